"""From a record to its change events: is the object captured, what changed, what is still kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse

from events import changed_records
from events.changes import HEADER
from events.conf import options
from events.logs import get_event_log
from events.models import EventLogEntry, Topic
from events.names import change_topic
from events.why.events import explain_event
from events.why.findings import Finding, Group, Verdict, Way
from isthmus import clock
from isthmus.objects.capture.shaping import as_changes
from isthmus.objects.capture.tracking import is_tracked
from isthmus.objects.capture.triggers import missing_triggers
from isthmus.objects.models import ChangeTracking, RawChange
from isthmus.objects.object_types import ObjectType

__all__ = ["CHANGES_OFFERED", "RecordAnswer", "explain_record"]

CHANGES_OFFERED = 20
"""Changes of one record that can be chosen from: the latest ones."""
_LATE = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class RecordAnswer:
    """What is known about the changes of one record."""

    groups: tuple[Group, ...]
    changes: tuple[EventLogEntry, ...]
    """The latest kept ones, the newest first."""
    chosen: EventLogEntry | None
    """The one that was followed further."""


def explain_record(
    object_type: ObjectType,
    pk: int,
    *,
    replay_id: int | None = None,
    until: datetime | None = None,
    subscription_id: int | None = None,
) -> RecordAnswer:
    """Follow a change of a record: that of `replay_id`, or the latest one up to `until`, or the latest of all.

    `subscription_id`: what became of it at that subscription alone; `None` for all.
    """
    changes = changed_records.latest_changes(object_type, pk, CHANGES_OFFERED)
    chosen = _chosen(object_type, pk, changes, replay_id, until)
    groups = [
        Group(title="The object", findings=tuple(_about_object(object_type))),
        Group(title="The change", findings=tuple(_about_change(object_type, pk, changes, chosen))),
    ]
    if chosen is not None:
        groups += explain_event(chosen, record=(object_type, pk), subscription_id=subscription_id)
    return RecordAnswer(groups=tuple(groups), changes=tuple(changes), chosen=chosen)


def _chosen(
    object_type: ObjectType,
    pk: int,
    changes: Sequence[EventLogEntry],
    replay_id: int | None,
    until: datetime | None,
) -> EventLogEntry | None:
    if replay_id is not None:
        return changed_records.changes_of(object_type, pk).filter(pk=replay_id).first()
    if until is not None:
        return next(iter(changed_records.latest_changes(object_type, pk, 1, until=until)), None)
    return next(iter(changes), None)


def _about_object(object_type: ObjectType) -> Iterator[Finding]:
    subject = "Are changes of the object captured?"
    way = Way(reverse("admin:objects_changetracking_changelist"), "Change tracking")
    if object_type.model is None:
        yield Finding(verdict=Verdict.STOPPED, subject=subject, reason=f"{object_type.label} has no table of its own.")
        return
    is_switched = ChangeTracking.objects.filter(object_name=object_type.api_name).exists()
    who = "an administrator decided so" if is_switched else "the code declares it so"
    if not is_tracked(object_type):
        yield Finding(
            verdict=Verdict.STOPPED,
            subject=subject,
            reason=f"Changes of {object_type.api_name} are not captured; {who}. No change of it becomes an event.",
            cure="Switch capture on for the object in Set-up, Change tracking. It tells changes from then on.",
            where=way,
        )
        return
    yield Finding(
        verdict=Verdict.PASSED,
        subject=subject,
        reason=f"Changes of {object_type.api_name} are captured; {who}.",
        where=way,
    )
    if object_type.api_name in missing_triggers("default"):
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Does the database note them?",
            reason="The table has no capture triggers, so nothing is noted.",
            cure="Run `manage.py migrate`, which makes them.",
        )


def _about_change(
    object_type: ObjectType, pk: int, changes: Sequence[EventLogEntry], chosen: EventLogEntry | None
) -> Iterator[Finding]:
    yield from _waiting(object_type, pk)
    if chosen is not None:
        yield _told(chosen)
    elif changes:
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Was there a change?",
            reason=f"Not then. The latest kept changes have the replay ids {_numbers(changes)}.",
            cure="Choose one of them, or another time.",
        )
    else:
        yield from _nothing_kept(object_type)


def _waiting(object_type: ObjectType, pk: int) -> Iterator[Finding]:
    """Yield changes that no relay has moved yet. The table is the relay's queue, and empty but for moments."""
    rows = list(RawChange.objects.filter(object_name=object_type.api_name, record_pk=pk).order_by("pk")[:5])
    for row, change in ((row, next(as_changes([row]), None)) for row in rows):
        if change is None:
            yield Finding(
                verdict=Verdict.STOPPED,
                subject="Is there anything to tell of the change?",
                reason="No: no field changed that change events carry, or the record was in the recycle bin.",
                values=(("transaction", str(row.transaction_key)),),
            )
            continue
        age = clock.now() - row.created_at
        yield Finding(
            verdict=Verdict.HELD,
            subject="Did the change enter the event log?",
            reason=f"Not yet: it waits for the relay since {int(age.total_seconds())} s.",
            cure="Start the bus: `manage.py bus`." if age > _LATE else "It takes a moment.",
            where=Way(reverse("events:monitor"), "Event monitor"),
            values=(
                ("change", str(change.change_type)),
                ("fields", ", ".join(change.changed_fields) or "—"),
                ("transaction", str(row.transaction_key)),
            ),
        )


def _told(chosen: EventLogEntry) -> Finding:
    header = _header(chosen)
    change_type = str(header.get("changeType", ""))
    reason = f"{change_type}, as replay id {chosen.replay_id} of {chosen.topic.name}."
    if change_type.startswith("GAP_"):
        reason += " It is a gap event: what changed could not be told in detail, and no filter holds it back."
    return Finding(
        verdict=Verdict.PASSED,
        subject="Was there a change?",
        reason=reason,
        where=Way(reverse("events:event", args=[chosen.replay_id]), "The event"),
        values=(
            ("changed at", f"{chosen.created_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("fields", ", ".join(header.get("changedFields", [])) or "all that are set"),
            ("by", str(header.get("commitUser") or "—")),
            ("through", str(header.get("changeOrigin") or "—")),
            ("transaction", str(chosen.transaction_key)),
        ),
    )


def _nothing_kept(object_type: ObjectType) -> Iterator[Finding]:
    topic = Topic.objects.filter(name=change_topic(object_type.api_name)).first()
    if topic is not None and topic.trimmed_replay_id:
        hours = topic.retention_hours or options.retention_hours
        yield Finding(
            verdict=Verdict.STOPPED,
            subject="Is the change still kept?",
            reason=f"Events of {topic.name} up to replay id {topic.trimmed_replay_id} are gone: they are kept {hours} "
            "hours. If the record changed before that, its event went with them.",
            cure="Keep them longer (`ISTHMUS_EVENTS_RETENTION_HOURS`). `manage.py cdc backfill` tells records anew.",
        )
    yield Finding(
        verdict=Verdict.STOPPED,
        subject="Was there a change?",
        reason="None of this record is kept, and none waits. It did not change since capture began, or only in fields "
        "that change events do not carry.",
        cure="Change the record and look again.",
    )


def _numbers(changes: Sequence[EventLogEntry]) -> str:
    return ", ".join(str(change.replay_id) for change in changes[:5])


def _header(entry: EventLogEntry) -> dict[str, Any]:
    payload = get_event_log().payloads_of([entry]).get(entry.replay_id) or {}
    header = payload.get(HEADER)
    return header if isinstance(header, dict) else {}
