"""Events that a subscriber cannot handle: found by bisection, put aside with their error, tried again on demand."""

import traceback
from collections.abc import Sequence

from django.db import transaction

from events import registry
from events.calling import call
from events.conf import options
from events.errors import NotParked, PoisonousEvent, TooManyPoisonous
from events.models import ParkedEvent, ParkedState, Subscription
from events.subscribers import Event, Subscriber
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.logs import get_logger

__all__ = ["discard", "isolate", "redrive"]

log = get_logger(__name__)

_LONGEST_ERROR = 2_000
_LONGEST_TRACE = 20_000


def isolate(subscriber: Subscriber, subscription: Subscription, events: Sequence[Event]) -> None:
    """Let the function handle all of these events that it can, and park the others.

    Raises `PoisonousEvent` for the first of the others when the subscription is to stop there, and `TooManyPoisonous`
    when so many fail that the events can hardly be the reason.
    """
    parked = 0
    waiting = [list(events)]
    while waiting:
        some = waiting.pop()
        done = call(subscriber, some, retries=subscription.failures, last_error=subscription.last_error)
        rest = some[done.handled :]
        if not rest:
            continue
        if done.error is None:
            waiting.append(rest)
        elif len(rest) > 1:
            half = len(rest) // 2
            waiting.extend([rest[half:], rest[:half]])
        elif subscriber.on_poison == "stop":
            raise PoisonousEvent(rest[0].replay_id, done.error)
        else:
            parked += 1
            if parked > options.parked_at_once:
                raise TooManyPoisonous(f"More than {options.parked_at_once} events of one call fail.") from done.error
            _park(subscription, rest[0], done.error)


def redrive(parked: ParkedEvent) -> bool:
    """Let the subscriber handle a parked event now, and return whether it could. Raises `NotParked`."""
    with transaction.atomic():
        row = ParkedEvent.objects.select_for_update(of=("self",)).select_related("subscription").get(pk=parked.pk)
        subscriber = registry.get_subscriber(row.subscription.name)
        if row.state != ParkedState.PARKED:
            raise NotParked(f"The event was {row.get_state_display().lower()} already.")
        if subscriber is None:
            raise NotParked(f"The code declares no subscriber named {row.subscription.name!r} any more.")
        done = call(subscriber, [row.as_event()], retries=row.failures, last_error=row.error)
        if done.error is None:
            row.state, row.resolved_at = ParkedState.HANDLED, clock.now()
        else:
            _describe(row, done.error)
            row.failures += 1
        row.save()
        audit.record(
            "events.parked_redriven",
            target=row.subscription.name,
            outcome="failed" if done.error else "done",
            details={"replay_id": row.replay_id},
        )
    log.info("events.redriven", subscription=row.subscription.name, replay_id=row.replay_id, handled=not done.error)
    return done.error is None


def discard(parked: ParkedEvent) -> None:
    """Give a parked event up. Raises `NotParked`."""
    with transaction.atomic():
        changed = ParkedEvent.objects.filter(pk=parked.pk, state=ParkedState.PARKED).update(
            state=ParkedState.DISCARDED, resolved_at=clock.now()
        )
        if not changed:
            raise NotParked("The event is not parked any more.")
        audit.record(
            "events.parked_discarded", target=parked.subscription.name, details={"replay_id": parked.replay_id}
        )


def _park(subscription: Subscription, event: Event, error: Exception) -> None:
    # It may be parked already, if the subscription went back to before it.
    row = ParkedEvent.objects.filter(subscription=subscription, replay_id=event.replay_id).first() or ParkedEvent(
        subscription=subscription,
        replay_id=event.replay_id,
        event_uuid=event.event_uuid,
        topic_name=event.topic,
        schema_id=event.schema_id,
        payload=event.payload,
        created_at=event.created_at,
        correlation_id=event.correlation_id,
        transaction_key=event.transaction_key,
        sequence_number=event.sequence_number,
    )
    row.state, row.parked_at, row.resolved_at = ParkedState.PARKED, clock.now(), None
    row.failures = subscription.failures + 1
    _describe(row, error)
    row.save()
    log.error(
        "events.parked", subscription=subscription.name, replay_id=event.replay_id, event_uuid=str(event.event_uuid)
    )


def _describe(row: ParkedEvent, error: Exception) -> None:
    row.error = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
    # Source lines without values: what the event held stands in its payload, under its own rules.
    row.trace = "".join(traceback.format_tb(error.__traceback__))[-_LONGEST_TRACE:]
