"""What every event log does."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from django.db import transaction

from events import channels, staged
from events.channels import Source
from events.errors import ReplayIdExpired, UnknownTopic
from events.models import EventLogEntry, OutboxEvent
from events.names import UNION_TOPIC, topic_kind
from events.series import COMMIT_SERIES, lock
from events.subscribers import Event
from isthmus import wakeups

__all__ = ["LOGGED", "Ends", "EventLog", "NewEvent", "Retention"]

LOGGED = "logged"
"""The channel on which readers are woken: the log has new events."""

_APPENDED_AT_ONCE = 2_000


@dataclass(frozen=True, kw_only=True)
class NewEvent:
    """An event that has no place in the log yet."""

    topic: str
    event_uuid: uuid.UUID
    schema_id: str
    payload: dict[str, Any]
    created_at: datetime
    correlation_id: str
    transaction_key: uuid.UUID
    sequence_number: int
    is_gap: bool = False
    """Whether it tells that events are missing."""
    cause: str = ""
    """What it was published in, as `isthmus.causes` has it."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Which events of a topic may go."""

    before: datetime
    """Those that entered the log before that time."""
    bytes_kept: int | None = None
    """The oldest ones beyond that size of all payloads; `None`: as many as there are."""


class Ends(NamedTuple):
    """Where a topic begins and ends."""

    trimmed: int
    """The newest event that is no longer kept; 0 while all are."""
    last: int
    """The newest event; 0 while there was none."""


class EventLog(ABC):
    """Events in order. Replay ids are positive, rise with every event over all topics, and may have gaps.

    The promise to readers: once an event can be read, no event with a smaller replay id appears. A position in a topic
    is the replay id of the last event that was read; 0 is before all events.
    """

    @abstractmethod
    def append(self, events: Sequence[NewEvent]) -> list[int]:
        """Add events in their order and return the replay id of each.

        An event whose `event_uuid` is in the log already is not added again; its replay id is the one it has.
        """

    def take_staged(self, limit: int) -> int:
        """Move about `limit` published events, whole transactions of them, out of the outbox; return how many rows.

        0 when nothing waits. The order is that of `events/staged.py`; a second relay waits until the first is done.
        """
        with transaction.atomic():
            lock(COMMIT_SERIES)
            end = staged.end_of_next(OutboxEvent, limit)
            transactions = [] if end is None else staged.next_transactions(OutboxEvent, end)
            events = (
                _new_event(row, place)
                for _, rows in staged.with_rows(transactions)
                for place, row in enumerate(rows, start=1)
            )
            while some := list(islice(events, _APPENDED_AT_ONCE)):
                self.append(some)
            if transactions:
                wakeups.ring(LOGGED)
            return staged.remove(transactions)

    def read(self, topic: str, *, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events that the topic carries and that follow `after`, in order.

        Of a channel these are all events of its members; `channels.narrowed` applies its filters. Raises
        `UnknownTopic`, and `ReplayIdExpired` when events that follow `after` are no longer kept.
        """
        sources = self._sources(topic)
        found, ends = self._read([source.topic for source in sources], after=after, limit=limit)
        earliest = _earliest(sources, ends)
        if after < earliest:
            raise ReplayIdExpired(
                f"Events of {topic} after replay id {after} are no longer kept; the oldest that can be read follow "
                f"{earliest}."
            )
        return found

    def earliest(self, topic: str) -> int:
        """Return the position before the oldest kept event. Raises `UnknownTopic`."""
        sources = self._sources(topic)
        return _earliest(sources, self._ends([source.topic for source in sources]))

    def latest(self, topic: str) -> int:
        """Return the position after the newest event. Raises `UnknownTopic`."""
        sources = self._sources(topic)
        return self._latest(sources, self._ends([source.topic for source in sources]))

    def latest_of(self, topics: Iterable[str]) -> dict[str, int]:
        """Return `latest` for many topics at once; unknown ones are left out."""
        sources = {}
        for topic in topics:
            with suppress(UnknownTopic):
                sources[topic] = self._sources(topic)
        ends = self._ends({source.topic for found in sources.values() for source in found})
        return {
            topic: self._latest(found, ends)
            for topic, found in sources.items()
            if all(source.topic in ends for source in found)
        }

    def position_at(self, topic: str, moment: datetime) -> int:
        """Return the position before the oldest kept event that entered the log at or after `moment`.

        Raises `UnknownTopic`.
        """
        sources = self._sources(topic)
        older = self._newest_before([source.topic for source in sources], moment)
        return self.earliest(topic) if older is None else older

    def carried_by(self, topic: str) -> list[str]:
        """Return the topics whose events this one carries. Raises `UnknownTopic` for an unknown channel."""
        return [source.topic for source in self._sources(topic)]

    def _sources(self, topic: str) -> Sequence[Source]:
        if topic == UNION_TOPIC:
            return [Source(topic=name) for name in self._change_topics()]
        if topic_kind(topic) == "channel":
            return channels.sources(topic)
        return [Source(topic=topic)]

    def _latest(self, sources: Sequence[Source], ends: Mapping[str, Ends]) -> int:
        if not sources:
            # Nothing is carried yet: whoever begins now is owed nothing that is there already.
            return self.newest()
        return max(_ends_of(source, ends).last for source in sources)

    @abstractmethod
    def find(self, replay_id: int) -> Event | None:
        """Return one kept event; `None` when there is none of that replay id."""

    def payloads_of(self, entries: Sequence[EventLogEntry]) -> dict[int, dict[str, Any]]:
        """Return by replay id the payloads of these rows, which are in them unless the log says otherwise."""
        return {entry.replay_id: entry.payload for entry in entries}

    @abstractmethod
    def newest(self) -> int:
        """Return the replay id of the newest event of all topics; 0 when there was none."""

    def ask(self) -> None:
        """Return if the log answers. Raises `EventLogUnavailable`, or an error of the database."""
        self.newest()

    @abstractmethod
    def _read(self, topics: Sequence[str], *, after: int, limit: int) -> tuple[list[Event], Mapping[str, Ends]]:
        """Return up to `limit` events of these topics after `after`, and the ends, not older than the events."""

    @abstractmethod
    def _ends(self, topics: Iterable[str]) -> Mapping[str, Ends]:
        """Return where these topics begin and end; unknown ones are left out."""

    @abstractmethod
    def _newest_before(self, topics: Sequence[str], moment: datetime) -> int | None:
        """Return the newest kept event of these topics that entered the log before `moment`; `None`: there is none."""

    @abstractmethod
    def _change_topics(self) -> Iterable[str]:
        """Return the topics that carry the change events of one object each."""

    @abstractmethod
    def trim(self, topic: str, rule: Retention, *, limit: int, kept_after: int | None = None) -> int:
        """Remove up to `limit` of the topic's oldest events that the rule does not keep; return how many.

        What follows the position `kept_after` stays in any case.
        """

    @abstractmethod
    def check(self, topic: str) -> int:
        """Compare what the log holds of the topic with what ever entered it, since the last check; return how many
        events are missing. What was found counts as complete from then on. Raises `UnknownTopic`.
        """

    @abstractmethod
    def recount(self, topic: str) -> int:
        """Count all kept events of the topic again; return how many are missing. Raises `UnknownTopic`."""

    @abstractmethod
    def ensure_topics(self, topics: Iterable[str]) -> None:
        """Make the topics known, empty ones too."""


def _earliest(sources: Sequence[Source], ends: Mapping[str, Ends]) -> int:
    trimmed = ((source, _ends_of(source, ends).trimmed) for source in sources)
    # What went before a topic became a member of the channel was never owed to the channel's readers.
    return max((at for source, at in trimmed if at > source.joined_at), default=0)


def _ends_of(source: Source, ends: Mapping[str, Ends]) -> Ends:
    found = ends.get(source.topic)
    if found is None:
        raise UnknownTopic(f"There is no topic named {source.topic!r}.")
    return found


def _new_event(row: OutboxEvent, sequence_number: int) -> NewEvent:
    return NewEvent(
        topic=row.topic.name,
        event_uuid=row.event_uuid,
        schema_id=row.schema_id,
        payload=row.payload,
        created_at=row.created_at,
        correlation_id=row.correlation_id,
        transaction_key=row.transaction_key,
        sequence_number=sequence_number,
        cause=row.cause,
    )
