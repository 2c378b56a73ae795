"""Turns the raw change rows of one transaction into change events.

The rules are those of Salesforce's Change Data Capture
(https://developer.salesforce.com/docs/atlas.en-us.change_data_capture.meta/change_data_capture/cdc_intro.htm): several
changes of one record become one event; what could not be told in detail becomes a gap event; more changes than can be
told singly become one overflow event per object.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from events.logs.base import NewEvent
from events.models import ChangeRow
from events.names import change_topic
from isthmus.objects.capture import WHOLE_OBJECT_ID

__all__ = ["ShapingLimits", "merge", "shape_changes"]

OVERFLOW = "GAP_OVERFLOW"
GAP = "GAP_"


@dataclass(frozen=True, kw_only=True)
class ShapingLimits:
    """How much is told in detail."""

    changes: int
    """Changes of one transaction that are told singly; an update counts each changed field."""
    event_bytes: int
    """Size from which on an event is replaced by a gap event."""


@dataclass
class MergedChange:
    """What happened to one record in one transaction."""

    first: ChangeRow
    last: ChangeRow
    was_there: bool
    """Whether the record was live before the transaction."""
    is_there: bool
    has_gap: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    """The newest values of the fields that were written."""
    changed: dict[str, None] = field(default_factory=dict)
    """Names of the fields that updates changed, in order."""

    def change_type(self) -> str | None:
        """Return the type of the one event, `None` when nothing remains to tell."""
        if self.first.change_type == OVERFLOW:
            return OVERFLOW
        if not self.is_there:
            kind = "DELETE" if self.was_there else None
        elif not self.was_there:
            kind = self.first.change_type.removeprefix(GAP)
        else:
            kind = "UPDATE" if self.changed or self.has_gap else None
        # A deletion carries no values, so nothing is missing from it.
        return GAP + kind if kind and self.has_gap and kind != "DELETE" else kind


def shape_changes(
    rows: Iterable[ChangeRow], *, commit_number: int, commit_timestamp: datetime, limits: ShapingLimits
) -> Iterator[NewEvent]:
    """Yield the events of one transaction, whose rows come in the order in which they were written.

    `commit_number` rises from transaction to transaction. Everything beyond the limit is told by one overflow event
    per object, after the others.
    """
    remaining = iter(rows)
    told: list[ChangeRow] = []
    overflowing: dict[str, ChangeRow] = {}
    count = 0
    for row in remaining:
        count += max(1, len(row.changed_fields)) if row.change_type.endswith("UPDATE") else 1
        if count > limits.changes:
            overflowing.setdefault(row.object_name, row)
        else:
            told.append(row)
    events = [*merge(told), *(_overflow(row) for row in overflowing.values())]
    for sequence_number, (change_type, merged) in enumerate(events, start=1):
        yield _event(
            merged,
            change_type,
            event_bytes=limits.event_bytes,
            header={
                "sequenceNumber": sequence_number,
                "commitTimestamp": int(commit_timestamp.timestamp() * 1000),
                "commitNumber": commit_number,
            },
        )


def merge(rows: Iterable[ChangeRow]) -> list[tuple[str, MergedChange]]:
    """Return what remains to tell of each record, in the order in which the records were first touched."""
    by_record: dict[tuple[str, str], MergedChange] = {}
    for row in rows:
        identity = (row.object_name, row.record_id)
        if identity not in by_record:
            kind = row.change_type.removeprefix(GAP)
            was_there = kind not in {"CREATE", "UNDELETE"}
            by_record[identity] = MergedChange(first=row, last=row, was_there=was_there, is_there=was_there)
        _add(by_record[identity], row)
    found = ((merged.change_type(), merged) for merged in by_record.values())
    return [(change_type, merged) for change_type, merged in found if change_type]


def _add(merged: MergedChange, row: ChangeRow) -> None:
    kind = row.change_type.removeprefix(GAP)
    merged.last = row
    merged.has_gap |= row.change_type.startswith(GAP)
    if kind == "DELETE":
        merged.is_there = False
        return
    merged.is_there = True
    merged.values.update(row.changed_fields)
    if kind == "UPDATE":
        merged.changed.update(dict.fromkeys(row.changed_fields))


def _overflow(row: ChangeRow) -> tuple[str, MergedChange]:
    return OVERFLOW, MergedChange(first=row, last=row, was_there=True, is_there=True, has_gap=True)


def _event(merged: MergedChange, change_type: str, *, header: dict[str, Any], event_bytes: int) -> NewEvent:
    payload = _payload(merged, change_type, header)
    if _size(payload) > event_bytes:
        payload = _payload(merged, GAP + change_type.removeprefix(GAP), header)
    row = merged.first
    return NewEvent(
        topic=change_topic(row.object_name),
        event_uuid=row.event_uuid,
        schema_id=row.schema_id,
        payload=payload,
        created_at=merged.last.created_at,
        correlation_id=row.correlation_id,
        transaction_key=row.transaction_key,
        sequence_number=header["sequenceNumber"],
    )


def _payload(merged: MergedChange, change_type: str, header: dict[str, Any]) -> dict[str, Any]:
    row = merged.first
    changed = list(merged.changed) if change_type == "UPDATE" else []
    return {
        "ChangeEventHeader": {
            "entityName": row.object_name,
            "recordIds": [WHOLE_OBJECT_ID if change_type == OVERFLOW else row.record_id],
            "changeType": change_type,
            "changeOrigin": merged.last.origin,
            "transactionKey": str(row.transaction_key),
            **header,
            "commitUser": merged.last.commit_user,
            "nulledFields": [name for name in changed if merged.values[name] is None],
            "diffFields": [],
            "changedFields": changed,
        },
        **_body(merged, change_type),
    }


def _body(merged: MergedChange, change_type: str) -> dict[str, Any]:
    """Return the values an event of this type carries: all that are set, or all that changed, or none."""
    if change_type in {"CREATE", "UNDELETE"}:
        return {name: value for name, value in merged.values.items() if value is not None}
    if change_type == "UPDATE":
        return {name: merged.values[name] for name in merged.changed}
    return {}


def _size(payload: dict[str, Any]) -> int:
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
