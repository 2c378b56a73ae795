"""Reads the history of a run out of its database, its log and its diary."""

from collections.abc import Iterator
from pathlib import Path

from events.changes import HEADER
from events.crash_matrix.history import History, Told
from events.crash_matrix.models import Effect, Item, Step
from events.logs import EventLog, get_event_log
from events.models import OutboxEvent, Subscription, Topic, TopicKind
from events.outbox import side_door
from events.subscribers import Event
from isthmus.objects.models import RawChange
from isthmus.objects.record_ids import decode

__all__ = ["is_quiet", "read_history"]

_STEPS, _ALARMS = "/event/History_Step__e", "/event/History_Alarm__e"
_CHANGES = "/data/History_Item__ChangeEvent"


def is_quiet() -> bool:
    """Return whether everything was relayed and handled."""
    side_door().empty()
    waits = OutboxEvent.objects.exists() or RawChange.objects.exists()
    return not waits and not any(row.lag for row in Subscription.objects.with_lag())  # type: ignore[attr-defined]  # annotated


def read_history(diary: Path) -> History:
    """Return everything that was written down."""
    event_log = get_event_log()
    noted = [line.split() for line in diary.read_text().splitlines()] if diary.exists() else []
    return History(
        steps=[_told(step) for step in Step.objects.order_by("pk")],
        events=[_step(event) for event in _events(event_log, _STEPS)],
        changes=[told for event in _events(event_log, _CHANGES) for told in _changes(event)],
        step_effects=[_told(effect) for effect in Effect.objects.filter(subscriber="steps").order_by("pk")],
        change_effects=[_told(effect) for effect in Effect.objects.filter(subscriber="changes").order_by("pk")],
        items=dict(Item.objects.values_list("pk", "sequence")),
        accepted_alarms={event for what, event in noted if what == "accepted"},
        tried_alarms={event for what, event in noted if what == "tried"},
        alarms=[str(event.event_uuid) for event in _events(event_log, _ALARMS)],
        missing=sum(event_log.recount(topic.name) for topic in Topic.objects.filter(kind__in=TopicKind.of_their_own())),
    )


def _events(event_log: EventLog, topic: str) -> Iterator[Event]:
    after = event_log.earliest(topic)
    while found := event_log.read(topic, after=after, limit=1_000):
        yield from found
        after = found[-1].replay_id


def _told(row: Step | Effect) -> Told:
    return Told(row.item, row.sequence, str(row.event_uuid))


def _step(event: Event) -> Told:
    return Told(event.payload["Item__c"], event.payload["Sequence__c"], str(event.event_uuid))


def _changes(event: Event) -> Iterator[Told]:
    if event.payload[HEADER]["changeType"] == "UPDATE":
        for record_id in event.payload[HEADER]["recordIds"]:
            yield Told(decode(record_id)[1], event.payload["Sequence__c"], str(event.event_uuid))
