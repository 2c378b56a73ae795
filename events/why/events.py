"""From an event in the log to those who read it: which channels carry it, which subscriptions looked at it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.urls import reverse

from events import channels, field_access, registry
from events.changes import HEADER, object_of_topic
from events.logs import get_event_log
from events.models import (
    Channel,
    ChannelKind,
    ChannelMember,
    EventLogEntry,
    ParkedEvent,
    Subscription,
    TopicKind,
)
from events.subscribers import Event
from events.why.findings import Finding, Group, Verdict, Way
from events.why.subscriptions import Reading, about_subscription
from events.why.values import values_of
from isthmus.objects.object_types import ObjectType
from isthmus.objects.reading import current_values
from isthmus.objects.record_ids import decode

__all__ = ["explain_event"]

Record = tuple[ObjectType, int]


def explain_event(
    entry: EventLogEntry, *, record: Record | None = None, subscription_id: int | None = None
) -> list[Group]:
    """Return what channels and subscriptions did with an event of the log.

    `record`: whom it is asked about, where the event is of a change. `subscription_id`: only at that subscription.
    """
    event = get_event_log().find(entry.replay_id)
    if event is None:
        gone = Finding(
            verdict=Verdict.STOPPED,
            subject="Is the event still kept?",
            reason="It is not: retention removed it, or the event log lost it.",
            cure="`manage.py cdc verify` compares records with their events.",
        )
        return [Group(title="The event", findings=(gone,))]
    carried = _by_channel(event)
    groups = []
    if about_channels := tuple(_about_channels(entry, carried)):
        groups.append(Group(title="Channels", findings=about_channels, decides=False))
    return [*groups, *_about_subscriptions(entry, event, carried, record, subscription_id), *_published_with(entry)]


Carried = Mapping[str, tuple[ChannelMember, list[tuple[Event, bool]]]]
"""By topic of a channel: the member that has the event, and what the channel made of it."""


def _by_channel(event: Event) -> Carried:
    rows = list(ChannelMember.objects.filter(topic__name=event.topic).select_related("channel__topic", "topic"))
    current: dict[int, dict[str, Any]] = {}
    wanted = frozenset().union(*(channels.looked_at(row) for row in rows))
    changed = object_of_topic(event.topic)
    if wanted and changed is not None and HEADER in event.payload:
        pks = [decode(record_id)[1] for record_id in event.payload[HEADER]["recordIds"]]
        current = current_values(changed, pks, wanted)
    return {row.channel.topic.name: (row, channels.decided(row, event, current)) for row in rows}


def _about_channels(entry: EventLogEntry, carried: Carried) -> Iterator[Finding]:
    for row, decisions in carried.values():
        yield _about_channel(row, decisions)
    kind = ChannelKind.DATA if entry.topic.kind == TopicKind.DATA else ChannelKind.EVENT
    members = [row.channel_id for row, _ in carried.values()]
    others = Channel.objects.filter(kind=kind).exclude(pk__in=members).values_list("name", flat=True)
    if names := list(others):
        yield Finding(
            verdict=Verdict.NOTE,
            subject="Which other channels are there?",
            reason=f"{', '.join(names)}: the topic is no member of them, so they never carry it.",
            cure="Add the topic to the channel in Set-up, Channels.",
            where=Way(reverse("admin:events_channel_changelist"), "Channels"),
        )


def _about_channel(row: ChannelMember, decisions: Sequence[tuple[Event, bool]]) -> Finding:
    subject = f"Does {row.channel.name} let it through?"
    way = Way(reverse("admin:events_channel_change", args=[row.channel_id]), "The channel")
    if not row.filter_expression:
        return Finding(verdict=Verdict.PASSED, subject=subject, reason="It has no filter for this topic.", where=way)
    is_let_through = any(is_wanted for _, is_wanted in decisions)
    values = tuple(value for event, _ in decisions for value in values_of(row.filter_expression, event))
    return Finding(
        verdict=Verdict.PASSED if is_let_through else Verdict.STOPPED,
        subject=subject,
        reason=f"Its filter is {'true' if is_let_through else 'false'}: {row.filter_expression}. Fields that a change "
        "event does not carry count with the value that the record has now.",
        cure="" if is_let_through else "Change the filter of the member, or the record.",
        values=values,
        where=way,
    )


def _about_subscriptions(
    entry: EventLogEntry, event: Event, carried: Carried, record: Record | None, subscription_id: int | None
) -> Iterator[Group]:
    topics = channels.carrying(entry.topic.name)
    rows = Subscription.objects.with_lag()
    found = rows.filter(pk=subscription_id) if subscription_id is not None else rows.filter(topic__name__in=topics)
    subscriptions = list(found.order_by("name"))
    if not subscriptions:
        nobody = Finding(
            verdict=Verdict.STOPPED,
            subject="Who reads it?",
            reason=f"No subscription reads {entry.topic.name}, nor a channel that carries it.",
            cure="Write a function with `@subscriber(…)` in an app's `subscribers.py`, and restart the bus.",
        )
        yield Group(title="Subscriptions", findings=(nobody,))
        return
    parked = {
        row.subscription_id: row
        for row in ParkedEvent.objects.filter(replay_id=entry.replay_id, subscription__in=subscriptions)
    }
    users = _users(subscriptions)
    for row in subscriptions:
        reading = _reading(row, event, carried, users, topics)
        findings = about_subscription(row, entry, reading, parked.get(row.pk), record)
        url = reverse("events:subscription", args=[row.pk])
        yield Group(title=row.name, findings=tuple(findings), url=url)


def _users(subscriptions: Sequence[Subscription]) -> dict[str, AbstractUser]:
    """Return the active users as whom the functions run, by name."""
    declared = (registry.get_subscriber(row.name) for row in subscriptions)
    names = {subscriber.run_as for subscriber in declared if subscriber is not None and subscriber.run_as}
    return {user.get_username(): user for user in get_user_model().objects.filter(username__in=names, is_active=True)}


def _reading(
    row: Subscription, event: Event, carried: Carried, users: Mapping[str, AbstractUser], topics: Sequence[str]
) -> Reading:
    subscriber = registry.get_subscriber(row.name)
    run_as = subscriber.run_as if subscriber is not None else ""
    user = users.get(run_as)
    events = [event]
    if row.topic.name in carried:
        events = [narrow for narrow, is_wanted in carried[row.topic.name][1] if is_wanted]
    seen = field_access.visible_to(user, events) if user is not None else events
    hidden = {name for before, after in zip(events, seen, strict=True) for name in _names(before) - _names(after)}
    return Reading(
        subscriber=subscriber,
        user=user,
        is_carried=row.topic.name in topics,
        is_let_through=bool(events),
        events=tuple(seen),
        hidden=tuple(sorted(hidden)),
    )


def _names(event: Event) -> set[str]:
    changed = event.payload[HEADER]["changedFields"] if HEADER in event.payload else []
    return {*event.payload, *changed}


def _published_with(entry: EventLogEntry) -> Iterator[Group]:
    """Yield the platform events that carry the same correlation: what was published on the way, or was not."""
    if not entry.correlation_id:
        return
    rows = EventLogEntry.objects.filter(correlation_id=entry.correlation_id, topic__kind=TopicKind.EVENT)
    others = list(rows.exclude(pk=entry.pk).select_related("topic").order_by("replay_id")[:_MOST_RELATED])
    findings = tuple(
        Finding(
            verdict=Verdict.NOTE,
            subject=other.topic.name,
            reason=f"Replay id {other.replay_id}, published {other.published_at:%Y-%m-%d %H:%M:%S} UTC.",
            where=Way(f"{reverse('events:why')}?event={other.replay_id}", "Who looked at it"),
        )
        for other in others
    )
    if findings:
        title = "Platform events of the same correlation"
        if len(others) == _MOST_RELATED:
            more = replace(
                findings[0],
                subject="There may be more",
                reason=f"The first {_MOST_RELATED} are shown; the time line has all.",
                where=Way(reverse("console:time-line", args=[entry.correlation_id]), "Time line"),
            )
            findings = (*findings, more)
        yield Group(title=title, findings=findings, decides=False)


_MOST_RELATED = 20
