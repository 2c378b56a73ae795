"""What one subscription did with one event: the steps in the order in which an event meets them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.urls import reverse
from django.utils.http import urlencode

from events.models import EventLogEntry, ParkedEvent, ParkedState, Subscription, SubscriptionState
from events.subscribers import Event, Subscriber
from events.why.findings import Finding, Verdict, Way
from events.why.values import values_of
from isthmus.access.explaining import explain
from isthmus.objects import sharing
from isthmus.objects.object_types import ObjectType

__all__ = ["Reading", "about_subscription"]

Record = tuple[ObjectType, int]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a subscription meets the event."""

    subscriber: Subscriber | None
    """`None` where the code declares none of the name any more."""
    user: AbstractUser | None
    """As whom it reads; `None` where that is no active user, and for the automated process, which may do all."""
    is_carried: bool
    """Whether its topic carries the event's topic at all."""
    is_let_through: bool
    """Whether the channel that it reads lets the event through; true where it reads no channel."""
    events: tuple[Event, ...]
    """What the function would get: the event, or what the channel made of it, without the fields hidden from it."""
    hidden: tuple[str, ...]
    """Fields of the event that the user may not read."""


def about_subscription(
    row: Subscription, entry: EventLogEntry, reading: Reading, parked: ParkedEvent | None, record: Record | None
) -> Iterator[Finding]:
    """Yield what is found, up to what keeps the event from the function for good."""
    subscriber = reading.subscriber
    if not reading.is_carried:
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Does it read this topic?",
            reason=f"It reads {row.topic.name}, which does not carry {entry.topic.name}.",
            cure=f"Subscribe to {entry.topic.name}, or add the topic to the channel.",
        )
        return
    if subscriber is None:
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Is there a function?",
            reason="The code declares no subscriber of this name any more.",
            cure=f"Declare it again, with `name={row.name!r}`; it goes on where it was.",
        )
        return
    yield from _about_user(row, subscriber, reading, record)
    if not reading.is_let_through:
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Does its channel let it through?",
            reason=f"No: the filter of {row.topic.name} leaves the event out. It counts as read.",
            cure="See Channels above.",
        )
        return
    yield from _about_filter(subscriber, reading)
    yield _about_place(row, entry, subscriber, parked)


def _about_user(
    row: Subscription, subscriber: Subscriber, reading: Reading, record: Record | None
) -> Iterator[Finding]:
    if not subscriber.run_as:
        return
    user, topic = reading.user, row.topic.name.rpartition("/")[2]
    if user is None:
        yield Finding(
            verdict=Verdict.HELD,
            subject="As whom does it read?",
            reason=f"As {subscriber.run_as}, which is no active user. It fails and tries again until there is one.",
            cure="Make or activate the user in Set-up, Users.",
        )
        return
    may = explain(user, "event", "subscribe", topic)
    yield Finding(
        verdict=Verdict.PASSED if may.may else Verdict.HELD,
        subject=f"May {user} subscribe?",
        reason=may.rule,
        cure="" if may.may else f"Grant event.subscribe on {topic} to {user}.",
        where=_way_to_rule(user, "event.subscribe", topic),
    )
    if reading.hidden:
        yield Finding(
            verdict=Verdict.NOTE,
            subject="Which fields are hidden?",
            reason=f"{user} may not read {', '.join(reading.hidden)}: the function gets the event without them.",
            cure="Grant field.read on them.",
        )
    if record is not None:
        yield from _about_record(user, record)


def _about_record(user: AbstractUser, record: Record) -> Iterator[Finding]:
    """Yield what keeps the function from finding the record by a query, which is no part of the event's way."""
    object_type, pk = record
    seen = explain(user, "object", "read", object_type.api_name)
    is_seen, rule = (seen.may, seen.rule) if not seen.may else sharing.explain_record(user, object_type, pk, "read")
    if not is_seen:
        yield Finding(
            verdict=Verdict.NOTE,
            subject=f"Would {user} find the record?",
            reason=f"Not by a query: {rule} The event itself comes nevertheless.",
            cure="Share the record with the user, or grant the object.",
            where=_way_to_rule(user, "object.read", object_type.api_name),
        )


def _about_filter(subscriber: Subscriber, reading: Reading) -> Iterator[Finding]:
    if subscriber.filter is None:
        return
    subject = "Does its filter want it?"
    written = subscriber.filter_expression
    told = written or f"{subscriber.filter.__module__}.{subscriber.filter.__qualname__}"
    try:
        # A filter only looks; should it write all the same, nothing of that stays.
        with transaction.atomic():
            is_wanted = any(subscriber.wants(event) for event in reading.events)
            transaction.set_rollback(True)
    except Exception as error:  # noqa: BLE001 - a filter is code of somebody else's, and its failure is the answer
        yield Finding(
            verdict=Verdict.STOPPED,
            subject=subject,
            reason=f"The filter {told} fails on it: {type(error).__name__}. The event is parked after some tries.",
            cure="Mend the filter, then drive the parked event again.",
        )
        return
    values = [value for event in reading.events for value in values_of(written, event)] if written else []
    yield Finding(
        verdict=Verdict.PASSED if is_wanted else Verdict.STOPPED,
        subject=subject,
        reason=f"{'Yes' if is_wanted else 'No'}: {told} is {'true' if is_wanted else 'false'}.",
        cure="" if is_wanted else f"Change the filter of {subscriber.declared_in}.",
        values=tuple(values),
    )


def _about_place(
    row: Subscription, entry: EventLogEntry, subscriber: Subscriber, parked: ParkedEvent | None
) -> Finding:
    subject = "Did it handle the event?"
    if parked is not None and parked.state != ParkedState.HANDLED:
        is_given_up = parked.state == ParkedState.DISCARDED
        return Finding(
            verdict=Verdict.STOPPED,
            subject=subject,
            reason=f"No: it failed {parked.failures} times and {'was given up' if is_given_up else 'is parked'}. "
            f"{parked.error}",
            cure="" if is_given_up else "Mend the reason, then drive it again on the subscription's page.",
            where=_way_to(row),
        )
    if row.cursor < entry.replay_id:
        return _about_waiting(row, entry)
    if parked is None and subscriber.start == "latest" and entry.published_at < row.created_at:
        return Finding(
            verdict=Verdict.STOPPED,
            subject=subject,
            reason=f"No: the subscription began {row.created_at:%Y-%m-%d %H:%M:%S} UTC, after the event, with what "
            "came from then on.",
            cure=f"Rewind it to replay id {entry.replay_id - 1}.",
            where=_way_to(row),
        )
    return Finding(
        verdict=Verdict.PASSED,
        subject=subject,
        reason=f"Yes: it has handled everything up to replay id {row.cursor}, unless it was skipped by hand.",
        where=_way_to(row),
    )


def _about_waiting(row: Subscription, entry: EventLogEntry) -> Finding:
    place = f"It has read up to replay id {row.cursor}; this one is {entry.replay_id}."
    verdict, reason, cure = {
        SubscriptionState.PAUSED: (Verdict.HELD, "Not yet: somebody paused it.", "Resume it."),
        SubscriptionState.STOPPED: (
            Verdict.STOPPED,
            f"No: it stopped before it. {row.last_error}",
            "Mend the reason, then rewind it or let it skip.",
        ),
        SubscriptionState.RETRYING: (
            Verdict.HELD,
            f"Not yet: it fails, and tries again. {row.last_error}",
            "Mend the reason; resuming tries at once.",
        ),
        SubscriptionState.RUNNING: (
            Verdict.HELD,
            "Not yet: it is behind.",
            "Wait; if it does not get on, start the bus: `manage.py bus`.",
        ),
    }[SubscriptionState(row.state)]
    return Finding(
        verdict=verdict, subject="Did it handle the event?", reason=f"{reason} {place}", cure=cure, where=_way_to(row)
    )


def _way_to(row: Subscription) -> Way:
    return Way(reverse("events:subscription", args=[row.pk]), "The subscription")


def _way_to_rule(user: AbstractUser, action: str, target: str) -> Way:
    asked = urlencode({"user": user.pk, "action": action, "target": target})
    return Way(f"{reverse('console:why')}?{asked}", "Which rule decides")
