"""Turns what the database noted of one transaction into change events.

The rules are those of Salesforce's Change Data Capture
(https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_intro.htm): several
changes of one record become one event; records of one object that changed alike share an event; what could not be told
in detail becomes a gap event; more changes than can be told singly become one overflow event per object.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from events.changes import HEADER, change_header
from events.json_text import encode
from events.logs.base import NewEvent
from events.names import change_topic
from isthmus.objects.capture import WHOLE_OBJECT_ID, Change, ChangeType
from isthmus.objects.capture.shaping import STAMPS

__all__ = ["MergedChange", "ShapingLimits", "merge", "shape_changes"]

OVERFLOW = "GAP_OVERFLOW"
GAP = "GAP_"
SNAPSHOT = "SNAPSHOT"


@dataclass(frozen=True, kw_only=True)
class ShapingLimits:
    """How much is told in detail."""

    changes: int
    """Changes of one transaction that are told singly; an update counts each changed field."""
    event_bytes: int
    """Size from which on an event is replaced by a gap event."""
    merged_records: int
    """Records that one event names at most."""


@dataclass
class MergedChange:
    """What happened in one transaction to one record, or alike to several."""

    first: Change
    last: Change
    was_there: bool
    """Whether the record was live before the transaction."""
    is_there: bool
    has_gap: bool = False
    deletion: Change | None = None
    """The last time it went."""
    values: dict[str, Any] = field(default_factory=dict)
    """The newest values of the fields that were written."""
    changed: dict[str, None] = field(default_factory=dict)
    """Names of the fields that updates changed, in order."""
    record_ids: list[str] = field(default_factory=list)

    def add(self, change: Change) -> None:
        """Take in what happened next to the record."""
        kind = change.change_type.removeprefix(GAP)
        self.last = change
        self.has_gap |= change.change_type.is_gap
        if kind == "DELETE":
            self.is_there, self.deletion = False, change
            return
        changed = change.changed_fields
        if not self.is_there:
            if self.was_there:
                changed = self._changed_while_gone(change)
            else:
                # It is told whole, whatever it held before it went.
                self.values.clear()
        self.is_there = True
        self.values.update(changed)
        if kind == "UPDATE" or self.was_there:
            self.changed.update(dict.fromkeys(changed))

    def _changed_while_gone(self, change: Change) -> Mapping[str, Any]:
        """Return what is different now that the record is back: it was deleted in this very transaction."""
        before = self.deletion.fields_before() if self.deletion is not None else None
        if before is None:
            self.has_gap = True
            return {}
        now = change.changed_fields
        different = {name: now.get(name) for name in {**before, **now} if before.get(name) != now.get(name)}
        return different if different.keys() - STAMPS else {}

    def change_type(self) -> str | None:
        """Return the type of the one event, `None` when nothing remains to tell."""
        if self.first.change_type == OVERFLOW:
            return OVERFLOW
        if self.first.change_type == SNAPSHOT and self.is_there:
            return SNAPSHOT
        if not self.is_there:
            kind = "DELETE" if self.was_there else None
        elif not self.was_there:
            kind = self.first.change_type.removeprefix(GAP)
        else:
            kind = "UPDATE" if self.changed or self.has_gap else None
        # A deletion carries no values, so nothing is missing from it.
        return GAP + kind if kind and self.has_gap and kind != "DELETE" else kind

    def body(self, change_type: str) -> dict[str, Any]:
        """Return the values an event of this type carries: all that are set, or all that changed, or none."""
        if change_type in {"CREATE", "UNDELETE", SNAPSHOT}:
            return {name: value for name, value in self.values.items() if value is not None}
        if change_type == "UPDATE":
            return {name: self.values[name] for name in self.changed}
        return {}


def shape_changes(
    changes: Iterable[Change],
    *,
    schema_id: Callable[[str], str],
    transaction_key: uuid.UUID,
    commit_number: int,
    commit_timestamp: datetime,
    limits: ShapingLimits,
) -> Iterator[NewEvent]:
    """Yield the events of one transaction, whose changes come in the order in which they were made.

    `schema_id` gives the id of an object's schema. `commit_number` rises from transaction to transaction. Everything
    beyond the limit is told by one overflow event per object, after the others. The same changes give the same events,
    their UUIDs included.
    """
    told: list[Change] = []
    overflowing: dict[str, Change] = {}
    count = 0
    for change in changes:
        count += max(1, len(change.changed_fields)) if change.change_type.endswith("UPDATE") else 1
        if count > limits.changes:
            overflowing.setdefault(change.object_name, change)
        else:
            told.append(change)
    events = [
        *_alike_together(merge(told), limits.merged_records),
        *((OVERFLOW, _overflow(change)) for change in overflowing.values()),
    ]
    for sequence_number, (change_type, merged) in enumerate(events, start=1):
        header = partial(
            change_header,
            transaction_key=transaction_key,
            at=commit_timestamp,
            sequence_number=sequence_number,
            commit_number=commit_number,
        )
        yield NewEvent(
            topic=change_topic(merged.first.object_name),
            event_uuid=uuid.uuid5(transaction_key, str(merged.first.note)),
            schema_id=schema_id(merged.first.object_name),
            payload=_payload(merged, change_type, header, limits.event_bytes),
            created_at=merged.last.occurred_at,
            correlation_id=merged.first.correlation_id,
            transaction_key=transaction_key,
            sequence_number=sequence_number,
            cause=merged.first.cause,
        )


def merge(changes: Iterable[Change]) -> list[tuple[str, MergedChange]]:
    """Return what remains to tell of each record, in the order in which the records were first touched."""
    by_record: dict[tuple[str, str], MergedChange] = {}
    for change in changes:
        identity = (change.object_name, change.record_id)
        if identity not in by_record:
            was_there = change.change_type.removeprefix(GAP) not in {"CREATE", "UNDELETE"}
            by_record[identity] = MergedChange(
                first=change, last=change, was_there=was_there, is_there=was_there, record_ids=[change.record_id]
            )
        by_record[identity].add(change)
    found = ((merged.change_type(), merged) for merged in by_record.values())
    return [(change_type, merged) for change_type, merged in found if change_type]


def _alike_together(found: list[tuple[str, MergedChange]], most: int) -> list[tuple[str, MergedChange]]:
    """Let records of one object to which the same happened share an event, at the place of the first."""
    shared: dict[tuple[object, ...], MergedChange] = {}
    kept = []
    for change_type, merged in found:
        alike = (
            merged.first.object_name,
            change_type,
            encode(merged.body(change_type)),
            merged.last.origin,
            merged.last.user_id,
            merged.first.correlation_id,
            merged.first.cause,
        )
        before = shared.get(alike)
        if before is not None and len(before.record_ids) < most:
            before.record_ids.extend(merged.record_ids)
            before.last = merged.last
        else:
            shared[alike] = merged
            kept.append((change_type, merged))
    return kept


def _overflow(change: Change) -> MergedChange:
    return MergedChange(
        first=change, last=change, was_there=True, is_there=True, has_gap=True, record_ids=[WHOLE_OBJECT_ID]
    )


def _payload(
    merged: MergedChange, change_type: str, header: Callable[..., dict[str, Any]], event_bytes: int
) -> dict[str, Any]:
    changed = list(merged.changed) if change_type == "UPDATE" else []
    payload = {
        HEADER: header(
            merged.first.object_name,
            merged.record_ids,
            change_type,
            user_id=merged.last.user_id or "",
            origin=merged.last.origin,
            changed_fields=changed,
            nulled_fields=[name for name in changed if merged.values[name] is None],
        ),
        **merged.body(change_type),
    }
    if change_type.startswith(GAP) or len(encode(payload).encode()) <= event_bytes:
        return payload
    return _payload(merged, ChangeType(change_type).as_gap(), header, event_bytes)
