"""The state of an object's records and every later change of it: no hole, no double, while others write.

    stream = SnapshotStream("Contact")
    while events := stream.next_batch():
        for event in events: ...          # SNAPSHOT events first, then changes
    store(stream.state)                   # and go on later: SnapshotStream("Contact", state=…)

Records are read in pieces, each by one statement that also tells how far the log is and which transactions wait for the
relay. So for each piece it is known which changes its records show already; those are left out when the changes are
read.
"""

import json
import uuid
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import models
from django.db.models import Aggregate, CharField, Subquery, Value
from django.db.models.functions import Coalesce

from events import field_access, schemas
from events.changes import HEADER, change_header, object_schema
from events.logs import EventLog, get_event_log
from events.models import Topic
from events.names import change_topic
from events.subscribers import Event
from isthmus import clock
from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue
from isthmus.objects.errors import UnknownObject
from isthmus.objects.models import RawChange
from isthmus.objects.reading import as_wire, live_rows, told_fields
from isthmus.objects.record_ids import decode, encode

__all__ = ["SnapshotStream"]


@dataclass(frozen=True, kw_only=True)
class _Moment:
    """What a statement saw: everything up to an event, and what these transactions wrote."""

    replay_id: int
    waiting: frozenset[str]
    """Keys of the transactions that were committed and not in the log yet."""

    def shows(self, event: Event) -> bool:
        """Return whether the statement saw the change that the event tells of."""
        return event.replay_id <= self.replay_id or event.transaction_key.hex in self.waiting


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """Records that were read together: those after the piece before, up to a primary key."""

    last_pk: int
    seen: _Moment


class SnapshotStream:
    """Reads an object's records, and then its changes for ever.

    `state` (what the attribute of that name held) lets another one go on exactly there. `user` sees the fields that
    they may read; `None` sees all. Raises `UnknownObject`.
    """

    def __init__(
        self,
        object_name: str,
        *,
        state: str = "",
        chunk_size: int = 1_000,
        user: AnyUser = None,
        event_log: EventLog | None = None,
    ) -> None:
        self._object = catalogue.get_object(object_name)
        if self._object.model is None:
            raise UnknownObject(f"{object_name} has no records.")
        self._topic = change_topic(self._object.api_name)
        self._log = event_log or get_event_log()
        self._chunk_size = chunk_size
        self._user = user
        self._pieces: list[_Piece] = []
        self._rest: _Moment | None = None
        self._cursor = 0
        if state:
            self._restore(json.loads(state))

    @property
    def is_snapshot_done(self) -> bool:
        """Whether all records were read, and changes come from now on."""
        return self._rest is not None

    @property
    def state(self) -> str:
        """Where the stream is, as JSON. Store it together with what was made of the events."""
        return json.dumps(
            {
                "pieces": [[piece.last_pk, *_written(piece.seen)] for piece in self._pieces],
                "rest": _written(self._rest) if self._rest is not None else None,
                "cursor": self._cursor,
            }
        )

    def next_batch(self) -> list[Event]:
        """Return the next events: records as long as there are, then changes; nothing when there is nothing new.

        Raises `ReplayIdExpired` when the stream was left alone until changes were no longer kept.
        """
        while self._rest is None:
            if records := self._next_records():
                return records
        while found := self._log.read(self._topic, after=self._cursor, limit=self._chunk_size):
            events = [narrow for event in found for narrow in self._unseen(event)]
            self._cursor = found[-1].replay_id
            self._forget_what_is_past()
            if events:
                return self._visible(events)
        return []

    def _next_records(self) -> list[Event]:
        # Asked before the rows: a record that comes in between is either among them or among the changes.
        before = self._moment()
        rows = list(self._rows()[: self._chunk_size])
        if not rows:
            self._rest = before
            self._cursor = min([piece.seen.replay_id for piece in self._pieces] + [before.replay_id])
            return []
        seen = _moment(rows[0]["seen_replay_id"], rows[0]["seen_waiting"])
        self._pieces.append(_Piece(last_pk=rows[-1]["pk"], seen=seen))
        return self._visible([self._as_event(row, seen) for row in rows])

    def _rows(self) -> Any:
        names = sorted(field.attname for field in told_fields(self._object))
        after = self._pieces[-1].last_pk if self._pieces else None
        rows = live_rows(self._model)
        return (
            (rows if after is None else rows.filter(pk__gt=after))
            .order_by("pk")
            .annotate(seen_replay_id=Subquery(self._end()), seen_waiting=self._waiting())
            .values("pk", "seen_replay_id", "seen_waiting", *names)
        )

    @property
    def _model(self) -> type[models.Model]:
        if self._object.model is None:
            raise UnknownObject(f"{self._object} has no records.")
        return self._object.model

    def _end(self) -> "models.QuerySet[Any, Any]":
        # Of the database, whatever the log: it moves in the transaction that takes the changes off the waiting ones.
        return Topic.objects.filter(name=self._topic).values("last_replay_id")

    def _waiting(self) -> Coalesce:
        rows = RawChange.objects.filter(object_name=self._object.api_name).order_by().values("object_name")
        return Coalesce(Subquery(rows.annotate(keys=_Joined("transaction_key")).values("keys")), Value(""))

    def _moment(self) -> _Moment:
        rows = Topic.objects.filter(name=self._topic).annotate(seen_waiting=self._waiting())
        found = rows.values_list("last_replay_id", "seen_waiting").first()
        return _moment(*found) if found is not None else _moment(0, "")

    def _unseen(self, event: Event) -> list[Event]:
        """Return the event with those of its records whose change is not shown by the snapshot."""
        header = event.payload[HEADER]
        if header["changeType"] == "GAP_OVERFLOW":
            return [event]
        kept = [record_id for record_id in header["recordIds"] if not self._seen_of(record_id).shows(event)]
        if not kept:
            return []
        if len(kept) == len(header["recordIds"]):
            return [event]
        return [replace(event, payload={**event.payload, HEADER: {**header, "recordIds": kept}})]

    def _seen_of(self, record_id: str) -> _Moment:
        place = bisect_left(self._pieces, decode(record_id)[1], key=lambda piece: piece.last_pk)
        if place < len(self._pieces):
            return self._pieces[place].seen
        return self._rest or _moment(0, "")

    def _forget_what_is_past(self) -> None:
        """Forget the pieces when no change that they show can come any more."""
        if self._rest is None or not self._pieces:
            return
        moments = [self._rest, *(piece.seen for piece in self._pieces)]
        if self._cursor < max(moment.replay_id for moment in moments):
            return
        keys = frozenset[str]().union(*(moment.waiting for moment in moments))
        still_wait = keys and RawChange.objects.filter(transaction_key__in=map(uuid.UUID, keys)).exists()
        # What waited and does no longer is in the log; it has been read when the end has.
        if not still_wait and self._cursor >= self._log.latest(self._topic):
            self._pieces, self._rest = [], _moment(self._cursor, "")

    def _as_event(self, row: Mapping[str, Any], seen: _Moment) -> Event:
        fields = told_fields(self._object)
        record_id = encode(self._object.key_prefix, row["pk"])
        body = {name: value for name, value in as_wire(fields, row).items() if value is not None}
        now = clock.now()
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._topic}#snapshot-{record_id}-{seen.replay_id}")
        header = change_header(self._object.api_name, [record_id], "SNAPSHOT", transaction_key=key, at=now)
        return Event(
            replay_id=seen.replay_id,
            event_uuid=key,
            topic=self._topic,
            schema_id=schemas.keep(object_schema(self._object.api_name)),
            payload={HEADER: header, **body},
            created_at=now,
            correlation_id="",
            transaction_key=key,
            sequence_number=1,
        )

    def _visible(self, events: Sequence[Event]) -> list[Event]:
        return list(events) if self._user is None else field_access.visible_to(self._user, events)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._pieces = [_Piece(last_pk=last_pk, seen=_read(*seen)) for last_pk, *seen in state["pieces"]]
        self._rest = _read(*state["rest"]) if state["rest"] is not None else None
        self._cursor = state["cursor"]


class _Joined(Aggregate):
    """All different values as one text, apart by commas."""

    function = "GROUP_CONCAT"
    template = "%(function)s(DISTINCT %(expressions)s)"
    output_field = CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **given: Any) -> Any:
        template = "STRING_AGG(DISTINCT %(expressions)s::text, ',')"
        return super().as_sql(compiler, connection, template=template, **given)


def _moment(replay_id: int, waiting: str) -> _Moment:
    return _Moment(replay_id=replay_id, waiting=frozenset(key.replace("-", "") for key in waiting.split(",") if key))


def _written(moment: _Moment) -> list[Any]:
    return [moment.replay_id, sorted(moment.waiting)]


def _read(replay_id: int, waiting: list[str]) -> _Moment:
    return _Moment(replay_id=replay_id, waiting=frozenset(waiting))
