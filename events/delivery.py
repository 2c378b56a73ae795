"""Hands events to subscribers: their effects in the database and their cursor commit together."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby

from django.db import connection, transaction

from events.conf import options
from events.errors import ReplayIdExpired, SubscriberBrokeTransaction
from events.logs.base import EventLog
from events.models import Subscription, SubscriptionState
from events.subscribers import Event, Subscriber
from isthmus import clock, correlation
from isthmus.access.policy import system_user
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = ["deliver_batch"]

log = get_logger(__name__)

_LONGEST_ERROR = 2_000


def deliver_batch(event_log: EventLog, subscriber: Subscriber) -> int:
    """Let the subscriber handle its next batch, and return how many events it handled.

    0 means that there is nothing to do now: no event, not yet time for another try, paused, or another process is at
    it. The row of the subscription stays locked until the end, so that two processes which both believe that the
    subscription is theirs never handle the same events.

    The events of one correlation are handled in a call of their own. When a call fails, what the calls before it did
    is kept, the failure is recorded with it, and the next try starts with the events of the failed call.
    """
    attempt = Attempt()
    try:
        with transaction.atomic():
            # Runs before the hooks of handlers: tells whether an error came before or after the commit.
            transaction.on_commit(attempt.commit)
            return _handle_batch(event_log, subscriber, attempt)
    except Exception as error:
        # What no savepoint could contain: a lost connection, a refused commit. Before the function was called it was
        # not the function's failure; after the commit a hook failed, and the events are handled.
        if not attempt.called or attempt.committed:
            raise
        connection.close_if_unusable_or_obsolete()
        with transaction.atomic():
            subscription = _locked(subscriber)
            if subscription is not None:
                _record_failure(subscription, error)
                subscription.save()
        return 0


@dataclass
class Attempt:
    """How far one try has come."""

    called: bool = False
    committed: bool = False

    def commit(self) -> None:
        """Note that everything is stored."""
        self.committed = True


def _handle_batch(event_log: EventLog, subscriber: Subscriber, attempt: Attempt) -> int:
    subscription = _locked(subscriber)
    if subscription is None:
        return 0
    try:
        events = event_log.read(subscription.topic.name, after=subscription.cursor, limit=subscriber.batch_size)
    except ReplayIdExpired as expired:
        _stop(subscription, expired)
        return 0
    handled = 0
    failure: Exception | None = None
    for correlation_id, some in _by_correlation(events):
        attempt.called = True
        failure = _call(subscriber, some, correlation_id)
        if failure is not None:
            _record_failure(subscription, failure, some)
            break
        handled += len(some)
        subscription.cursor = some[-1].replay_id
    if handled and failure is None:
        _record_success(subscription)
    if events:
        subscription.save()
    return handled


def _locked(subscriber: Subscriber) -> Subscription | None:
    """Lock and return the subscription if it may be tried now; `None` also when another process has it locked."""
    return (
        Subscription.objects.due(clock.now())
        .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked, of=("self",))
        .select_related("topic")
        .filter(name=subscriber.name)
        .first()
    )


def _by_correlation(events: list[Event]) -> Iterator[tuple[str, list[Event]]]:
    return ((key, list(some)) for key, some in groupby(events, key=lambda event: event.correlation_id))


def _call(subscriber: Subscriber, events: list[Event], correlation_id: str) -> Exception | None:
    """Call the function in a savepoint of its own; return what it raised."""
    user = system_user()
    try:
        with correlation.bind(correlation_id), acting_as(user, origin=""), transaction.atomic():
            subscriber.handler(events)
            if transaction.get_rollback():
                raise SubscriberBrokeTransaction
    except Exception as error:
        # Whatever a subscriber raises is its failure, to be recorded and tried again; unless the connection is gone,
        # then nothing can be recorded here.
        if connection.connection is None or connection.needs_rollback or not connection.is_usable():
            raise
        return error
    return None


def _record_failure(subscription: Subscription, error: Exception, events: list[Event] | None = None) -> None:
    subscription.failures += 1
    subscription.state = SubscriptionState.RETRYING
    subscription.last_error = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
    delay = _delay(subscription.failures)
    subscription.next_attempt_at = clock.now() + delay
    log.error(
        "events.subscriber_failed",
        subscription=subscription.name,
        failures=subscription.failures,
        first_replay_id=events[0].replay_id if events else None,
        next_attempt_in_seconds=delay.total_seconds(),
        exc_info=error,
    )


def _delay(failures: int) -> timedelta:
    # The exponent is capped: 2 to the power of a year of failures is no number to compute.
    return timedelta(
        seconds=min(options.retry_longest_seconds, options.retry_first_seconds * 2.0 ** min(failures - 1, 32))
    )


def _record_success(subscription: Subscription) -> None:
    subscription.state = SubscriptionState.RUNNING
    subscription.failures = 0
    subscription.last_error = ""
    subscription.next_attempt_at = None
    subscription.last_success_at = clock.now()


def _stop(subscription: Subscription, expired: ReplayIdExpired) -> None:
    """Events that this subscription has not handled are gone: going on would skip them in silence."""
    subscription.state = SubscriptionState.STOPPED
    subscription.last_error = f"{expired.message} Decide where it goes on, and restart it there."
    subscription.next_attempt_at = None
    subscription.save()
    log.error("events.subscription_stopped", subscription=subscription.name, reason=expired.message)
