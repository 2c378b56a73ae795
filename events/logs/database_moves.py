"""The move from the outbox into the log, inside the database: no event passes through this process.

Besides moving, it numbers the events, tells the topics what they hold now, counts what was published, and keeps the
last number. On PostgreSQL all of that is one message to the server, which is one transaction.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events import staged
from events.logs.base import LOGGED
from events.models import EventLogEntry, EventUsage, NumberSeries, OutboxEvent, Topic
from events.series import REPLAY_SERIES, lock
from events.staged import BY_INDEX, COMPLETE
from isthmus import wakeups

__all__ = ["move_staged"]

_OUTBOX = OutboxEvent._meta.db_table
_LOG = EventLogEntry._meta.db_table
_TOPICS = Topic._meta.db_table
_USAGE = EventUsage._meta.db_table
_SERIES = NumberSeries._meta.db_table

_CARRIED = "topic_id, event_uuid, schema_id, payload, size, created_at, correlation_id, cause, transaction_key"

# In the order of the transactions' last rows, each transaction whole and its events numbered from 1.
_NUMBERED = f"""
SELECT {{last}} + row_number() OVER (ORDER BY last_id, id) AS replay_id, {_CARRIED},
       row_number() OVER (PARTITION BY transaction_key ORDER BY id) AS sequence_number
FROM (SELECT *, max(id) OVER (PARTITION BY transaction_key) AS last_id FROM {{source}}) AS found
"""
_WINDOW_END = f"(SELECT max(id) FROM (SELECT id FROM {_OUTBOX} ORDER BY id LIMIT %s) AS waiting)"
_LAST = f"(SELECT last_number FROM {_SERIES} WHERE name = '{REPLAY_SERIES}')"

# The move itself is one statement with one snapshot: what commits meanwhile is neither moved nor removed. The lock is
# taken by a statement before it, so that the snapshot shows what the holder before us has left.
_ON_POSTGRESQL = f"""
SET LOCAL work_mem = '64MB';
{BY_INDEX};
SELECT last_number FROM {_SERIES} WHERE name = '{REPLAY_SERIES}' FOR UPDATE;
{wakeups.notification(LOGGED)};
WITH place AS MATERIALIZED (SELECT coalesce(%s, {_WINDOW_END}) AS last_row, {_LAST} AS last_number),
moved AS (
  DELETE FROM {_OUTBOX} WHERE id <= (SELECT last_row FROM place) AND NOT EXISTS (
    SELECT 1 FROM {_OUTBOX} later
    WHERE later.transaction_key = {_OUTBOX}.transaction_key AND later.id > (SELECT last_row FROM place))
  RETURNING *),
numbered AS ({_NUMBERED.format(last="(SELECT last_number FROM place)", source="moved")}),
added AS (
  INSERT INTO {_LOG} (replay_id, {_CARRIED}, sequence_number, published_at)
  SELECT replay_id, {_CARRIED}, sequence_number, %s FROM numbered ORDER BY replay_id
  ON CONFLICT (event_uuid) DO NOTHING
  RETURNING topic_id, size, replay_id),
counted AS (
  SELECT topic_id, count(*) AS events, sum(size) AS bytes, max(replay_id) AS last FROM added GROUP BY topic_id),
told AS (
  UPDATE {_TOPICS} t
  SET last_replay_id = c.last, logged_events = t.logged_events + c.events, kept_events = t.kept_events + c.events,
      kept_bytes = t.kept_bytes + c.bytes
  FROM counted c WHERE t.id = c.topic_id RETURNING t.name, c.events),
used AS (
  INSERT INTO {_USAGE} AS u (name, event_name, start_date, end_date, value)
  SELECT '{EventUsage.Measure.PLATFORM_EVENTS_PUBLISHED}', regexp_replace(name, '^.*/', ''), %s, %s, events FROM told
  ORDER BY 2
  ON CONFLICT (name, event_name, start_date) DO UPDATE SET value = u.value + excluded.value),
advanced AS (
  UPDATE {_SERIES} SET last_number = last_number + (SELECT count(*) FROM moved) WHERE name = '{REPLAY_SERIES}')
SELECT count(*) FROM moved
"""


def move_staged(connection: BaseDatabaseWrapper, *, limit: int, now: datetime) -> int:
    """Move about `limit` waiting events, whole transactions of them; return how many rows left the outbox.

    Rows whose event is in the log already leave without taking a place in it.
    """
    move = _move_on_postgresql if connection.vendor == "postgresql" else _move_step_by_step
    if moved := move(connection, None, limit, now):
        return moved
    # Nothing, or transactions that are larger than `limit`: then up to the end of the one that ends first.
    end = staged.end_of_next(OutboxEvent, limit)
    return 0 if end is None else move(connection, end, limit, now)


def _move_on_postgresql(connection: BaseDatabaseWrapper, end: int | None, limit: int, now: datetime) -> int:
    hour = now.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_ON_POSTGRESQL, [end, limit, now, hour, hour + timedelta(hours=1)])
        # The last answer is that of the move.
        while cursor.nextset():
            pass
        moved: int = cursor.fetchone()[0]
    return moved


_COPY = f"""
INSERT OR IGNORE INTO {_LOG} (replay_id, {_CARRIED}, sequence_number, published_at)
SELECT replay_id, {_CARRIED}, sequence_number, %s
FROM ({_NUMBERED.format(last="%s", source=f"{_OUTBOX} WHERE {COMPLETE.format(table=_OUTBOX)}")})
ORDER BY replay_id
"""
_COUNT = f"SELECT topic_id, count(*), sum(size), max(replay_id) FROM {_LOG} WHERE replay_id > %s GROUP BY topic_id"
_TELL = f"""
UPDATE {_TOPICS}
SET last_replay_id = %s, logged_events = logged_events + %s,
    kept_events = kept_events + %s, kept_bytes = kept_bytes + %s
WHERE id = %s
RETURNING name
"""
_USE = f"""
INSERT INTO {_USAGE} (name, event_name, start_date, end_date, value) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (name, event_name, start_date) DO UPDATE SET value = value + excluded.value
"""


def _move_step_by_step(connection: BaseDatabaseWrapper, end: int | None, limit: int, now: datetime) -> int:
    """Move with statements of which each builds on the last: with one writer at a time nothing changes in between."""
    adapt = connection.ops.adapt_datetimefield_value
    hour = now.replace(minute=0, second=0, microsecond=0)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        last = lock(REPLAY_SERIES)
        if end is None:
            cursor.execute(f"SELECT {_WINDOW_END}", [limit])
            (end,) = cursor.fetchone()
        if end is None:
            return 0
        cursor.execute(_COPY, [adapt(now), last, end, end])
        cursor.execute(_COUNT, [last])
        for topic_id, events, size, newest in cursor.fetchall():
            cursor.execute(_TELL, [newest, events, events, size, topic_id])
            (name,) = cursor.fetchone()
            measure = EventUsage.Measure.PLATFORM_EVENTS_PUBLISHED.value
            until = adapt(hour + timedelta(hours=1))
            cursor.execute(_USE, [measure, name.rpartition("/")[2], adapt(hour), until, events])
        cursor.execute(f"DELETE FROM {_OUTBOX} WHERE {COMPLETE.format(table=_OUTBOX)}", [end, end])
        moved: int = cursor.rowcount
        cursor.execute(f"UPDATE {_SERIES} SET last_number = %s WHERE name = %s", [last + moved, REPLAY_SERIES])
        wakeups.ring(LOGGED, connection.alias)
    return moved
