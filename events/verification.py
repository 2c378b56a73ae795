"""Compares an object's records with the state that its kept change events tell of."""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from events.changes import HEADER
from events.logs import EventLog
from events.names import change_topic
from isthmus import clock
from isthmus.objects.capture.shaping import STAMPS
from isthmus.objects.models import RawChange
from isthmus.objects.object_types import ObjectType
from isthmus.objects.reading import as_wire, live_rows, told_fields
from isthmus.objects.record_ids import decode, encode

__all__ = ["Difference", "Verification", "verify"]

_AT_ONCE = 2_000
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A record that is not what its events tell."""

    record_id: str
    fields: tuple[str, ...]
    """Names of the fields that differ; empty when it is there and should not be, or the other way round."""


@dataclass(kw_only=True)
class Verification:
    """What was found."""

    equal: int = 0
    """Records that are what their events tell, as far as kept events tell it."""
    untold: int = 0
    """Records of which no kept event tells anything: `cdc backfill` does."""
    undecided: int = 0
    """Records that kept changing, or whose changes were not relayed in time."""
    differences: list[Difference] = field(default_factory=list)


def verify(object_type: ObjectType, event_log: EventLog, *, patience_seconds: float = 30.0) -> Verification:
    """Compare all records of an object with what the events tell, while others write.

    Holds the told state of the object in memory. A record that changes in between is looked at again, as long as the
    patience lasts.
    """
    deadline = clock.monotonic_seconds() + patience_seconds
    told = _ToldState(object_type, event_log)
    told.catch_up()
    found = Verification()
    suspects: set[int] = set(told.live())
    for pk, row in _rows(object_type, None):
        suspects.discard(pk)
        if told.knows(pk):
            if told.differs(pk, row) is None:
                found.equal += 1
            else:
                suspects.add(pk)
        else:
            found.untold += 1
    while suspects:
        # In this order: what is told of a record after it was read is not held against it.
        waiting = _waiting(object_type, suspects)
        rows = dict(_rows(object_type, suspects))
        moving = waiting | told.catch_up()
        for pk in sorted(suspects - moving):
            fields = told.differs(pk, rows.get(pk))
            if fields is None:
                found.equal += 1
            else:
                record_id = encode(object_type.key_prefix, pk)
                found.differences.append(Difference(record_id=record_id, fields=fields))
        suspects &= moving
        if suspects and clock.monotonic_seconds() >= deadline:
            found.undecided = len(suspects)
            break
        _pause.wait(_PAUSE_SECONDS if suspects else 0)
    return found


_pause = threading.Event()


@dataclass
class _Told:
    is_live: bool
    is_whole: bool
    """Whether all fields are known, not only those that changed since the oldest kept event."""
    values: dict[str, Any]


class _ToldState:
    """What the kept events tell of each record, up to where they have been read."""

    def __init__(self, object_type: ObjectType, event_log: EventLog) -> None:
        self._log = event_log
        self._topic = change_topic(object_type.api_name)
        self._names = {told.api_name for told in told_fields(object_type)} - STAMPS
        self._cursor = event_log.earliest(self._topic)
        self._records: dict[int, _Told] = {}

    def catch_up(self) -> set[int]:
        """Read on to the end; return the primary keys of the records that were told of."""
        touched: set[int] = set()
        while events := self._log.read(self._topic, after=self._cursor, limit=_AT_ONCE):
            for event in events:
                touched |= self._apply(event.payload)
            self._cursor = events[-1].replay_id
        return touched

    def live(self) -> Iterator[int]:
        """Yield the records that should be there."""
        return (pk for pk, told in self._records.items() if told.is_live)

    def knows(self, pk: int) -> bool:
        """Return whether anything is told of the record."""
        return pk in self._records

    def differs(self, pk: int, row: Mapping[str, Any] | None) -> tuple[str, ...] | None:
        """Return the fields in which the record differs, none if it is there or not itself; `None`: it does not."""
        told = self._records.get(pk)
        if told is None:
            return None
        if told.is_live != (row is not None):
            return ()
        if row is None:
            return None
        names = self._names if told.is_whole else self._names & told.values.keys()
        return tuple(sorted(name for name in names if told.values.get(name) != row[name])) or None

    def _apply(self, payload: Mapping[str, Any]) -> set[int]:
        header = payload[HEADER]
        change_type = header["changeType"]
        if change_type == "GAP_OVERFLOW":
            touched, self._records = set(self._records), {}
            return touched
        pks = {decode(record_id)[1] for record_id in header["recordIds"]}
        body = {name: value for name, value in payload.items() if name != HEADER}
        for pk in pks:
            before = self._records.get(pk)
            if change_type in {"CREATE", "UNDELETE", "SNAPSHOT"}:
                self._records[pk] = _Told(True, True, dict(body))
            elif change_type == "DELETE":
                self._records[pk] = _Told(False, True, {})
            elif change_type == "UPDATE" and before is not None:
                before.values.update(body)
            elif change_type == "UPDATE":
                self._records[pk] = _Told(True, False, dict(body))
            else:
                # Something happened, nobody knows what.
                self._records.pop(pk, None)
        return pks


def _rows(object_type: ObjectType, pks: Collection[int] | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield primary key and told values of the records that are live: all, or those of these keys."""
    if object_type.model is None:
        return
    fields = told_fields(object_type)
    chosen = {} if pks is None else {"pk__in": pks}
    for row in (
        live_rows(object_type.model)
        .filter(**chosen)
        .order_by("pk")
        .values("pk", *(told.attname for told in fields))
        .iterator(chunk_size=_AT_ONCE)
    ):
        yield row["pk"], as_wire(fields, row)


def _waiting(object_type: ObjectType, pks: Collection[int]) -> set[int]:
    rows = RawChange.objects.filter(object_name=object_type.api_name, record_pk__in=pks)
    return {pk for pk in rows.values_list("record_pk", flat=True) if pk is not None}
