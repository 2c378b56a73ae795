"""What every event log does."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction

from events import staged
from events.models import OutboxEvent
from events.series import COMMIT_SERIES, lock
from events.subscribers import Event
from isthmus import wakeups

__all__ = ["LOGGED", "EventLog", "NewEvent", "Retention"]

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


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Which events of a topic may go."""

    before: datetime
    """Those that entered the log before that time."""
    bytes_kept: int | None = None
    """The oldest ones beyond that size of all payloads; `None`: as many as there are."""


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

    @abstractmethod
    def read(self, topic: str, *, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events of the topic that follow `after`, in order. `/data/ChangeEvents` has them all.

        Raises `UnknownTopic`, and `ReplayIdExpired` when events that follow `after` are no longer kept.
        """

    @abstractmethod
    def earliest(self, topic: str) -> int:
        """Return the position before the oldest kept event. Raises `UnknownTopic`."""

    @abstractmethod
    def position_at(self, topic: str, moment: datetime) -> int:
        """Return the position before the oldest kept event that entered the log at or after `moment`.

        Raises `UnknownTopic`.
        """

    @abstractmethod
    def latest(self, topic: str) -> int:
        """Return the position after the newest event. Raises `UnknownTopic`."""

    @abstractmethod
    def latest_of(self, topics: Iterable[str]) -> dict[str, int]:
        """Return `latest` for many topics at once; unknown ones are left out."""

    @abstractmethod
    def trim(self, topic: str, rule: Retention, *, limit: int, kept_after: int | None = None) -> int:
        """Remove up to `limit` of the topic's oldest events that the rule does not keep; return how many.

        What follows the position `kept_after` stays in any case.
        """

    @abstractmethod
    def ensure_topics(self, topics: Iterable[str]) -> None:
        """Make the topics known, empty ones too."""


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
    )
