"""The relay: moves what committed transactions have staged into the event log.

Rows come from two tables: published events, and changes as the database noted them. Each move is one transaction: wait
for any other relay, append the events of whole transactions to the log, remove their rows. A process that dies in the
middle leaves everything as it was. Leases see to it that one relay works at a time; should two believe that they lead,
the lock on the series keeps the second waiting, and it then reads what the first has left.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import islice

from django.db import connection, transaction

from events import changed_records, schemas, staged
from events.changes import object_schema
from events.conf import options
from events.logs.base import LOGGED, EventLog, NewEvent
from events.models import OutboxEvent
from events.outbox import side_door
from events.series import COMMIT_SERIES, advance, lock
from events.shaping import ShapingLimits, shape_changes
from events.staged import StagedTransaction
from isthmus import wakeups
from isthmus.objects.capture.shaping import as_changes, readable
from isthmus.objects.models import RawChange

__all__ = ["Relay"]

_APPENDED_AT_ONCE = 2_000


class Relay:
    """Moves staged rows into a log."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def move(self) -> int:
        """Move one batch of either table; return how many rows were moved, 0 when nothing waits."""
        side_door().empty()
        # Asked outside a transaction: on SQLite an idle relay must not take the writers' turn.
        events_wait, changes_wait = _what_waits()
        moved = self._log.take_staged(options.relay_batch_size) if events_wait else 0
        return moved + (self._move_changes() if changes_wait else 0)

    def move_all(self) -> int:
        """Move until nothing waits; return how many rows were moved."""
        moved = 0
        while now_moved := self.move():
            moved += now_moved
        return moved

    def _move_changes(self) -> int:
        with transaction.atomic():
            commit_number = lock(COMMIT_SERIES)
            staged.look_by_index()
            # What this process does not know (yet: others may run newer code) waits for one that does.
            known = readable()
            end = staged.end_of_next(RawChange, options.relay_batch_size, only=known)
            if end is None:
                return 0
            transactions = staged.next_transactions(RawChange, end, only=known)
            # Asked once a move: what is stored in this transaction is remembered only after it.
            schema_id = cache(lambda name: schemas.keep(object_schema(name)))
            events = (
                event
                for number, (found, rows) in enumerate(staged.with_rows(transactions), start=commit_number + 1)
                for event in _change_events(found, rows, number, schema_id)
            )
            while some := list(islice(events, _APPENDED_AT_ONCE)):
                changed_records.note(some, self._log.append(some))
            advance(COMMIT_SERIES, commit_number + len(transactions))
            wakeups.ring(LOGGED)
            return staged.remove(transactions)


# The least key is read from the index; EXISTS would walk over all that a burst has left until it is vacuumed.
_WAITS = f"""
SELECT (SELECT min(id) FROM {OutboxEvent._meta.db_table}) IS NOT NULL,
       (SELECT min(id) FROM {RawChange._meta.db_table}) IS NOT NULL
"""


def _what_waits() -> tuple[bool, bool]:
    """Return whether events and whether changes wait, in one look at both tables."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS)
        events_wait, changes_wait = cursor.fetchone()
    return bool(events_wait), bool(changes_wait)


def _change_events(
    found: StagedTransaction[RawChange],
    rows: Iterable[RawChange],
    commit_number: int,
    schema_id: Callable[[str], str],
) -> Iterator[NewEvent]:
    return shape_changes(
        as_changes(rows),
        schema_id=schema_id,
        transaction_key=found.key,
        commit_number=commit_number,
        commit_timestamp=found.last_created_at,
        limits=ShapingLimits(
            changes=options.max_changes_per_transaction,
            event_bytes=options.max_event_bytes,
            merged_records=options.max_merged_records,
        ),
    )
