"""The move from the outbox into the log, inside the database: no event passes through this process."""

from dataclasses import dataclass
from datetime import datetime

from django.db.backends.base.base import BaseDatabaseWrapper

from events.models import EventLogEntry, OutboxEvent
from events.staged import COMPLETE

__all__ = ["Moved", "MovedTopic", "move_staged"]

_OUTBOX = OutboxEvent._meta.db_table
_LOG = EventLogEntry._meta.db_table


@dataclass(frozen=True, kw_only=True)
class MovedTopic:
    """What one topic got."""

    events: int
    bytes: int
    last_replay_id: int


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a move did."""

    rows: int
    """Rows that left the outbox. Those whose event was in the log already took no number's place."""
    by_topic: dict[int, MovedTopic]


_CARRIED = "topic_id, event_uuid, schema_id, payload, size, created_at, correlation_id, transaction_key"

# In the order of the transactions' last rows, each transaction whole and its events numbered from 1.
_NUMBERED = f"""
SELECT %s + row_number() OVER (ORDER BY last_id, id) AS replay_id, {_CARRIED}, %s AS published_at,
       row_number() OVER (PARTITION BY transaction_key ORDER BY id) AS sequence_number
FROM (SELECT *, max(id) OVER (PARTITION BY transaction_key) AS last_id FROM {{source}}) AS found
"""

# One statement, one snapshot: what commits meanwhile is neither moved nor removed.
_ON_POSTGRESQL = f"""
WITH moved AS (DELETE FROM {_OUTBOX} WHERE {COMPLETE.format(table=_OUTBOX)} RETURNING *),
numbered AS ({_NUMBERED.format(source="moved")}),
added AS (
  INSERT INTO {_LOG} (replay_id, {_CARRIED}, published_at, sequence_number)
  SELECT replay_id, {_CARRIED}, published_at, sequence_number FROM numbered ORDER BY replay_id
  ON CONFLICT (event_uuid) DO NOTHING
  RETURNING topic_id, size, replay_id
)
SELECT topic_id, count(*), sum(size), max(replay_id), (SELECT count(*) FROM moved) FROM added GROUP BY topic_id
UNION ALL SELECT NULL, 0, 0, 0, (SELECT count(*) FROM moved)
"""

_SQLITE_COPY = f"""
INSERT OR IGNORE INTO {_LOG} (replay_id, {_CARRIED}, published_at, sequence_number)
SELECT replay_id, {_CARRIED}, published_at, sequence_number
FROM ({_NUMBERED.format(source=f"{_OUTBOX} WHERE {COMPLETE.format(table=_OUTBOX)}")})
ORDER BY replay_id
"""
_SQLITE_REMOVE = f"DELETE FROM {_OUTBOX} WHERE {COMPLETE.format(table=_OUTBOX)}"
_SQLITE_COUNT = f"""
SELECT topic_id, count(*), sum(size), max(replay_id) FROM {_LOG} WHERE replay_id > %s GROUP BY topic_id
"""


def move_staged(connection: BaseDatabaseWrapper, *, end: int, last_replay_id: int, now: datetime) -> Moved:
    """Move the transactions that have ended at or before row `end`; the first event gets `last_replay_id` + 1."""
    moment = connection.ops.adapt_datetimefield_value(now)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # A batch is put in order in memory, not in files.
            cursor.execute("SET LOCAL work_mem = '64MB'")
            cursor.execute(_ON_POSTGRESQL, [end, end, last_replay_id, moment])
            found = cursor.fetchall()
        rows = found[-1][4]
        return Moved(rows=rows, by_topic=_by_topic([row[:4] for row in found[:-1]]))
    # SQLite has one writer at a time: between these statements nothing changes.
    with connection.cursor() as cursor:
        cursor.execute(_SQLITE_COPY, [last_replay_id, moment, end, end])
        cursor.execute(_SQLITE_COUNT, [last_replay_id])
        found = cursor.fetchall()
        cursor.execute(_SQLITE_REMOVE, [end, end])
        rows = cursor.rowcount
    return Moved(rows=rows, by_topic=_by_topic(found))


def _by_topic(found: list[tuple[int, int, int, int]]) -> dict[int, MovedTopic]:
    return {
        topic_id: MovedTopic(events=events, bytes=int(size), last_replay_id=last)
        for topic_id, events, size, last in found
    }
