"""What every event log does."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from events.subscribers import Event

__all__ = ["EventLog", "NewEvent"]


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

    @abstractmethod
    def read(self, topic: str, *, after: int, limit: int) -> list[Event]:
        """Return up to `limit` events of the topic that follow `after`, in order. `/data/ChangeEvents` has them all.

        Raises `UnknownTopic`, and `ReplayIdExpired` when events that follow `after` are no longer kept.
        """

    @abstractmethod
    def earliest(self, topic: str) -> int:
        """Return the position before the oldest kept event. Raises `UnknownTopic`."""

    @abstractmethod
    def latest(self, topic: str) -> int:
        """Return the position after the newest event. Raises `UnknownTopic`."""

    @abstractmethod
    def latest_of(self, topics: Iterable[str]) -> dict[str, int]:
        """Return `latest` for many topics at once; unknown ones are left out."""

    @abstractmethod
    def trim(self, *, before: datetime, limit: int, kept_after: Mapping[str, int]) -> int:
        """Remove up to `limit` of the oldest events that entered the log before that time; return how many.

        Of a topic in `kept_after` everything that follows the given position stays.
        """

    @abstractmethod
    def ensure_topics(self, topics: Iterable[str]) -> None:
        """Make the topics known, empty ones too."""
