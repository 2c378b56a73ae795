"""The event log in NATS JetStream, with an index of it in the database.

The stream holds the events, and its sequence numbers are the replay ids. The database holds a row for each event,
without its payload: who asks for a topic, a time or an event's UUID asks there. A message is published first, and the
row committed after the stream has acknowledged it. What happens between the two is mended by the next append: each
message names the sequence number that it expects to follow, so the stream refuses it when it holds more than the
database knows of; then those messages are taken into the index before anything else is published. Two relays cannot
come between each other for the same reason.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import msgspec
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F

from events import topics as known_topics
from events.conf import options
from events.errors import EventLogUnavailable
from events.gaps import gap_payload
from events.logs.base import EventLog, NewEvent, Retention
from events.logs.database import DatabaseEventLog, add_entries, entry_of, event_of, known_places
from events.logs.nats_bridge import NatsBridge
from events.models import EventLogEntry, Topic
from events.subscribers import Event
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["JetStreamEventLog", "log_at"]

log = get_logger(__name__)

DEFAULT_STREAM = "ISTHMUS"

_WRONG_LAST_SEQUENCE = 10071
"""https://github.com/nats-io/nats-server/blob/main/server/errors.json"""
_AT_ONCE = 500
"""Messages under way at the same time."""


class _Message(msgspec.Struct):
    """What a message of the stream holds, as JSON."""

    topic: str
    event_uuid: uuid.UUID
    schema_id: str
    payload: dict[str, Any] | None
    """`None`: it is larger than the server takes, and in the database."""
    created_at: datetime
    correlation_id: str
    transaction_key: uuid.UUID
    sequence_number: int
    is_gap: bool
    cause: str = ""


class JetStreamEventLog(DatabaseEventLog):
    """Keeps events in one stream for all topics, so that replay ids rise over all of them."""

    def __init__(self, servers: list[str], stream: str = DEFAULT_STREAM, *, replicas: int = 1) -> None:
        self._stream = stream
        self._replicas = replicas
        self._bridge = NatsBridge(servers, timeout_seconds=options.nats_timeout_seconds)
        self._largest = 0
        """The largest message that the server takes; 0 before it was asked."""

    def close(self) -> None:
        """Close the connection; it is made again when it is needed."""
        self._bridge.close()

    # Whole transactions are published one after the other; the move inside the database is not for this log.
    take_staged = EventLog.take_staged

    def trim(self, topic: str, rule: Retention, *, limit: int, kept_after: int | None = None) -> int:
        removed = super().trim(topic, rule, limit=limit, kept_after=kept_after)
        if removed:
            last = Topic.objects.values_list("trimmed_replay_id", flat=True).get(name=topic)
            # Messages that a crash leaves behind are in no index, and go with the next trim.
            transaction.on_commit(partial(self._purge, topic, last))
        return removed

    def check(self, topic: str) -> int:
        return super().check(topic) + self._drop_lost(topic)

    def recount(self, topic: str) -> int:
        return super().recount(topic) + len(self._lost(topic))

    def _add(
        self, events: Sequence[NewEvent], last: int, known: Mapping[str, Topic], now: datetime
    ) -> dict[uuid.UUID, int]:
        if not events:
            return {}
        self._prepare()
        messages = [self._outgoing(event) for event in events]
        found: dict[uuid.UUID, int] = {}
        try:
            acks = self._publish(messages, last, together=True)
        except _Elsewhere:
            last = self._adopt(last)
            found = known_places([event.event_uuid for event in events])
            messages = [message for message in messages if message.event.event_uuid not in found]
            # One after the other: an event that the stream knows takes no place, so the next one expects another.
            acks = self._publish(messages, last, together=False)
        acknowledged = list(zip(messages, acks, strict=True))
        add_entries(
            [
                _row(message.event, ack.number, known[message.event.topic], now, is_whole=message.is_too_large)
                for message, ack in acknowledged
                if not ack.is_known
            ]
        )
        return {**found, **{message.event.event_uuid: ack.number for message, ack in acknowledged}}

    def _read(self, topics: Sequence[str], *, after: int, limit: int) -> tuple[list[Event], Any]:
        found, ends = super()._read(topics, after=after, limit=limit)
        return self._with_payloads(found), ends

    def find(self, replay_id: int) -> Event | None:
        found = super().find(replay_id)
        return self._with_payloads([found])[0] if found is not None else None

    def payloads_of(self, entries: Sequence[EventLogEntry]) -> dict[int, dict[str, Any]]:
        found = self._with_payloads([event_of(entry) for entry in entries])
        return {event.replay_id: event.payload for event in found}

    # --- the stream ---------------------------------------------------------------------------------------------------
    def ask(self) -> None:
        # The stream itself is made with the first event.
        self._bridge.run(lambda client: client.jetstream().account_info())

    def _prepare(self) -> None:
        if not self._largest:
            self._largest = self._bridge.run(self._make_stream)

    async def _make_stream(self, client: Any) -> int:
        """See to it that the stream is there and set up as it must be; return the largest message it takes."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        stream = client.jetstream()
        wanted = StreamConfig(
            name=self._stream,
            subjects=[f"{self._stream}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            # Full is an error of whoever publishes, never a reason to forget.
            discard=DiscardPolicy.NEW,
            num_replicas=self._replicas,
            allow_direct=True,
        )
        try:
            found = (await stream.stream_info(self._stream)).config
        except NotFoundError:
            await stream.add_stream(wanted)
            return int(client.max_payload)
        limits = [name for name in ("max_age", "max_msgs", "max_bytes", "max_msgs_per_subject") if _limits(found, name)]
        if limits or found.discard != DiscardPolicy.NEW or found.subjects != wanted.subjects:
            raise ImproperlyConfigured(
                f"The stream {self._stream} is set up otherwise. It takes {self._stream}.>, discards new messages when "
                f"it is full, and has no limits (now: {', '.join(limits) or 'none'}): retention is the platform's."
            )
        return int(client.max_payload)

    def _publish(self, messages: Sequence["_Outgoing"], last: int, *, together: bool) -> list["_Ack"]:
        """Publish messages in their order. Raises `_Elsewhere` when the stream does not end where it should."""

        async def work(client: Any) -> list[_Ack]:
            stream = client.jetstream()
            acks: list[_Ack] = []
            expected = last
            for start in range(0, len(messages), _AT_ONCE if together else 1):
                some = messages[start : start + (_AT_ONCE if together else 1)]
                found = await asyncio.gather(
                    *(self._publish_one(stream, message, expected + place) for place, message in enumerate(some)),
                    return_exceptions=True,
                )
                failed = next((each for each in found if isinstance(each, BaseException)), None)
                if failed is not None:
                    raise failed
                acks += [each for each in found if isinstance(each, _Ack)]
                expected = max([expected, *(ack.number for ack in acks if not ack.is_known)])
            return acks

        return self._bridge.run(work)

    def _outgoing(self, event: NewEvent) -> "_Outgoing":
        body = _encoder.encode(_Message(**vars(event)))
        if len(body) <= self._largest - _HEADER_BYTES:
            headers = {"Nats-Msg-Id": str(event.event_uuid)}
            return _Outgoing(event, self._subject(event.topic), headers, body, is_too_large=False)
        # Its payload is in the row of the index alone, so it must not be taken for one that is there already.
        body = _encoder.encode(_Message(**{**vars(event), "payload": None}))
        return _Outgoing(event, self._subject(event.topic), {}, body, is_too_large=True)

    async def _publish_one(self, stream: Any, message: "_Outgoing", expected: int) -> "_Ack":
        from nats.js.errors import APIError

        headers = {**message.headers, "Nats-Expected-Last-Sequence": str(expected)}
        try:
            ack = await stream.publish(
                message.subject,
                message.body,
                timeout=options.nats_timeout_seconds,
                stream=self._stream,
                headers=headers,
            )
        except APIError as error:
            if error.err_code == _WRONG_LAST_SEQUENCE:
                raise _Elsewhere from error
            raise EventLogUnavailable(f"JetStream refused a message: {error.description}") from error
        return _Ack(number=ack.seq, is_known=bool(ack.duplicate))

    def _adopt(self, last: int) -> int:
        """Take what the stream holds beyond `last` into the index; return the last sequence number.

        A stream that ends before `last` has lost what it acknowledged. Its numbers are used up with empty messages:
        none is handed out twice, and the check tells readers what is missing.
        """
        end = self._bridge.run(self._end)
        if end < last:
            log.error("events.stream_lost_messages", stream=self._stream, expected=last, found=end)
            for start in range(end, last, _AT_ONCE):
                self._bridge.run(partial(self._fill, start, min(start + _AT_ONCE, last)))
            return last
        for start in range(last + 1, end + 1, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, end + 1))
            messages = self._bridge.run(partial(self._get, numbers))
            self._index({number: message for number, message in messages.items() if message is not None})
        log.warning("events.stream_adopted", stream=self._stream, first=last + 1, last=end)
        return end

    def _index(self, messages: dict[int, _Message]) -> None:
        known = known_topics.ensure({message.topic for message in messages.values()})
        now = clock.now()
        rows = [
            _row(_as_new(message), number, known[message.topic], now, is_whole=False)
            for number, message in sorted(messages.items())
            if message.payload is not None
        ]
        add_entries(rows)

    async def _end(self, client: Any) -> int:
        return int((await client.jetstream().stream_info(self._stream)).state.last_seq)

    async def _fill(self, start: int, end: int, client: Any) -> None:
        stream = client.jetstream()
        for _ in range(start, end):
            await stream.publish(f"{self._stream}.void", b"", stream=self._stream)

    async def _get(self, numbers: Sequence[int], client: Any) -> dict[int, _Message | None]:
        stream = client.jetstream()
        found = await asyncio.gather(*(self._get_one(stream, number) for number in numbers))
        return dict(zip(numbers, found, strict=True))

    async def _get_one(self, stream: Any, number: int) -> _Message | None:
        from nats.js.errors import NotFoundError

        try:
            found = await stream.get_msg(self._stream, seq=number, direct=True)
        except NotFoundError:
            return None
        return _decoder.decode(found.data) if found.data else None

    def _with_payloads(self, events: list[Event]) -> list[Event]:
        """Fill in the payloads. An event that the stream has lost becomes a gap event at its place."""
        numbers = [event.replay_id for event in events if event.payload is None]
        messages: dict[int, _Message | None] = {}
        if numbers:
            self._prepare()
        for start in range(0, len(numbers), _AT_ONCE):
            messages |= self._bridge.run(partial(self._get, numbers[start : start + _AT_ONCE]))
        return [
            event if event.payload is not None else _filled(event, messages.get(event.replay_id)) for event in events
        ]

    def _lost(self, topic: str) -> list[int]:
        """Return the events of the index that the stream does not have any more."""
        self._prepare()
        number = Topic.objects.values_list("kept_events", flat=True).get(name=topic)
        if self._bridge.run(partial(self._count, topic)) >= number:
            return []
        lost = []
        kept = EventLogEntry.objects.filter(topic__name=topic)
        numbers = list(kept.order_by("replay_id").values_list("replay_id", flat=True))
        for start in range(0, len(numbers), _AT_ONCE):
            messages = self._bridge.run(partial(self._get, numbers[start : start + _AT_ONCE]))
            lost += [number for number, message in messages.items() if message is None]
        return lost

    def _drop_lost(self, topic: str) -> int:
        lost = self._lost(topic)
        if lost:
            with transaction.atomic():
                EventLogEntry.objects.filter(replay_id__in=lost).delete()
                Topic.objects.filter(name=topic).update(kept_events=F("kept_events") - len(lost))
        return len(lost)

    async def _count(self, topic: str, client: Any) -> int:
        subject = self._subject(topic)
        info = await client.jetstream().stream_info(self._stream, subjects_filter=subject)
        return int((info.state.subjects or {}).get(subject, 0))

    def _purge(self, topic: str, last: int) -> None:
        self._prepare()
        subject = self._subject(topic)
        self._bridge.run(lambda client: client.jetstream().purge_stream(self._stream, seq=last + 1, subject=subject))

    def _subject(self, topic: str) -> str:
        return f"{self._stream}{topic.replace('/', '.')}"


_HEADER_BYTES = 1_024
"""What headers and the subject may take."""
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Message)


@dataclass(frozen=True)
class _Outgoing:
    """An event and its message."""

    event: NewEvent
    subject: str
    headers: dict[str, str]
    body: bytes
    is_too_large: bool
    """Whether the message goes without its payload."""


@dataclass(frozen=True)
class _Ack:
    """What the stream answered."""

    number: int
    is_known: bool
    """Whether the stream had the event already, at that number."""


class _Elsewhere(Exception):
    """The stream does not end where it was thought to end."""


def _limits(config: Any, name: str) -> bool:
    value = getattr(config, name)
    return value is not None and value > 0


def _row(event: NewEvent, number: int, topic: Topic, now: datetime, *, is_whole: bool) -> EventLogEntry:
    """Return the row of the index; with its payload only where the message has none."""
    row = entry_of(event, number, topic, now)
    if not is_whole:
        row.payload = None
    return row


def _as_new(message: _Message) -> NewEvent:
    return NewEvent(**{name: getattr(message, name) for name in message.__struct_fields__})


def _filled(event: Event, message: _Message | None) -> Event:
    if message is not None and message.payload is not None:
        return replace(event, payload=message.payload)
    return replace(event, payload=gap_payload(event.replay_id - 1, event.replay_id, 1), is_gap=True)


@lru_cache(maxsize=8)
def log_at(url: str) -> JetStreamEventLog:
    """Return the log in the stream of this address: `nats://host:4222,host2:4222/STREAM?replicas=3`.

    Raises `ImproperlyConfigured` for an address that is none.
    """
    parts = urlsplit(url)
    replicas = parse_qs(parts.query).get("replicas", ["1"])[-1]
    stream = parts.path.strip("/") or DEFAULT_STREAM
    if not parts.netloc or not replicas.isdecimal() or not stream.replace("_", "").replace("-", "").isalnum():
        raise ImproperlyConfigured(f"{url!r} names no stream; it looks like nats://127.0.0.1:4222/ISTHMUS?replicas=3.")
    servers = [urlunsplit((parts.scheme, server, "", "", "")) for server in parts.netloc.split(",")]
    return JetStreamEventLog(servers, stream, replicas=int(replicas))
