"""Hands events to subscribers: their effects in the database and their cursor commit together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from django.db import InterfaceError, OperationalError, connection, transaction

from events import figures, gaps, parking
from events.calling import call, prepare
from events.conf import options
from events.errors import PoisonousEvent, ReplayIdExpired, Retryable, TooManyPoisonous, UnknownRunAsUser
from events.logs.base import EventLog
from events.models import Subscription, SubscriptionState
from events.subscribers import Event, Subscriber
from isthmus import clock
from isthmus.access.errors import PermissionRefused
from isthmus.logs import get_logger

__all__ = ["deliver_batch"]

log = get_logger(__name__)

_LONGEST_ERROR = 2_000

_WRITTEN = ["cursor", "state", "last_error", "failures", "next_attempt_at", "last_success_at"]

# Whatever the events hold, these come again until somebody mends what is wrong.
_NOT_THE_EVENTS = (OperationalError, InterfaceError, UnknownRunAsUser, PermissionRefused)


def deliver_batch(event_log: EventLog, subscriber: Subscriber) -> int:
    """Let the subscriber handle its next batch, and return by how many events its cursor moved.

    0 means that there is nothing to do now: no event, not yet time for another try, paused, or another process is at
    it. The row of the subscription stays locked until the end, so that two processes which both believe that the
    subscription is theirs never handle the same events.

    When a call fails, what the calls before it did is kept, the failure is recorded with it, and the next try starts
    with the events of the failed call. When it has failed often enough, the events that make it fail are looked for.
    """
    attempt = _Attempt()
    prepare(subscriber)
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
                subscription.save(update_fields=_WRITTEN)
        return 0


@dataclass
class _Attempt:
    """How far one try has come."""

    called: bool = False
    committed: bool = False

    def commit(self) -> None:
        """Note that everything is stored."""
        self.committed = True


@dataclass
class _Progress:
    """What became of a batch."""

    moved: int = 0
    cursor: int | None = None
    failure: Exception | None = None
    failed: Sequence[Event] = field(default_factory=list)

    def move_to(self, events: Sequence[Event]) -> None:
        """Note that these events, the next ones, are dealt with."""
        if events:
            self.moved += len(events)
            self.cursor = events[-1].replay_id


def _handle_batch(event_log: EventLog, subscriber: Subscriber, attempt: _Attempt) -> int:
    subscription = _locked(subscriber)
    if subscription is None:
        return 0
    try:
        events: Sequence[Event] = event_log.read(
            subscription.topic.name, after=subscription.cursor, limit=subscriber.batch_size
        )
    except ReplayIdExpired as expired:
        found = gaps.after_expiry(event_log, subscriber, subscription, expired)
        if found is None:
            _stop(subscription, f"{expired.message} Decide where it goes on: rewind it, or skip.")
            subscription.save(update_fields=_WRITTEN)
            return 0
        events = found
    if not events:
        return 0
    attempt.called = True
    progress = _handle(subscriber, subscription, events)
    figures.count_delivered(subscription.name, events[: progress.moved], has_failed=progress.failure is not None)
    if progress.cursor is not None:
        subscription.cursor = progress.cursor
    if isinstance(progress.failure, PoisonousEvent):
        _stop(subscription, progress.failure.message)
    elif progress.failure is not None:
        if progress.moved:
            # Another call than the one that failed before.
            subscription.failures = 0
        _record_failure(subscription, progress.failure, progress.failed)
    else:
        _record_success(subscription)
    subscription.save(update_fields=_WRITTEN)
    return progress.moved


def _handle(subscriber: Subscriber, subscription: Subscription, events: Sequence[Event]) -> _Progress:
    progress = _Progress()
    for group in _groups(subscriber, events):
        retries = 0 if progress.moved else subscription.failures
        done = call(subscriber, group, retries=retries, last_error=subscription.last_error)
        progress.move_to(group[: done.handled])
        rest = group[done.handled :]
        if done.error is not None and _is_exhausted(done.error, retries):
            _isolate(subscriber, subscription, rest, progress)
        elif rest:
            progress.failure, progress.failed = done.error, rest
            return progress
        if progress.failure is not None:
            return progress
    return progress


def _isolate(subscriber: Subscriber, subscription: Subscription, events: Sequence[Event], progress: _Progress) -> None:
    """Find by bisection the events that cannot be handled, and park them; all of it or nothing."""
    try:
        with transaction.atomic():
            parking.isolate(subscriber, subscription, events)
    except PoisonousEvent as poisonous:
        before = [event for event in events if event.replay_id < poisonous.replay_id]
        progress.move_to(before[: call(subscriber, before, retries=0).handled])
        progress.failure = poisonous
    except TooManyPoisonous as error:
        progress.failure, progress.failed = error, events
    else:
        progress.move_to(events)


def _groups(subscriber: Subscriber, events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    if not subscriber.one_correlation:
        yield events
        return
    for _, some in groupby(events, key=lambda event: event.correlation_id):
        yield list(some)


def _locked(subscriber: Subscriber) -> Subscription | None:
    """Lock and return the subscription if it may be tried now; `None` also when another process has it locked."""
    return (
        Subscription.objects.due(clock.now())
        .select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked, of=("self",))
        .select_related("topic")
        .filter(name=subscriber.name)
        .first()
    )


def _is_exhausted(error: Exception, retries: int) -> bool:
    """Return whether another try of all these events together is not worth it."""
    if isinstance(error, _NOT_THE_EVENTS):
        return False
    most = options.retryable_retries if isinstance(error, Retryable) else options.failure_retries
    return retries >= most


def _record_failure(subscription: Subscription, error: Exception, events: Sequence[Event] = ()) -> None:
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


def _stop(subscription: Subscription, reason: str) -> None:
    """Let it wait for a person: going on would skip events in silence."""
    subscription.state = SubscriptionState.STOPPED
    subscription.last_error = reason[:_LONGEST_ERROR]
    subscription.next_attempt_at = None
    log.error("events.subscription_stopped", subscription=subscription.name, reason=reason)
