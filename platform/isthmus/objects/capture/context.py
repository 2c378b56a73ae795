"""Who changes something, from where and under which correlation, told to the triggers that note the change.

On PostgreSQL a transaction-local setting carries it. It rides in front of the first statement that writes, in the same
message, so it costs no exchange with the server; it is told again when it has changed meanwhile. On SQLite the
triggers call back into this process.
"""

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from isthmus import causes, correlation, wakeups
from isthmus.objects import catalogue
from isthmus.objects.capture.actors import acting_origin, acting_user
from isthmus.objects.capture.transactions import transaction_key
from isthmus.objects.record_ids import record_id_of
from isthmus.transaction_marks import TransactionMark

__all__ = ["RAW_TABLE", "SETTING", "STAGED", "WriteContext", "current_context", "read_context", "watch"]

RAW_TABLE = "objects_rawchange"
"""The table that the triggers write to."""

SETTING = "isthmus.context"
"""Name of the setting on PostgreSQL."""

STAGED = "staged"
"""The channel on which the relay is woken: something waits for it."""

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]

# A statement that writes, and the table where that can be told so easily.
_WRITES = re.compile(
    r"""
    (?: \s | --[^\n]*\n | /\*.*?\*/ )*
    (?: (?: insert\s+into | update | delete\s+from ) \s+ "?(?P<table>[^"\s(]+)
      | insert | update | delete | merge | replace | with | truncate | copy )
    \b
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class WriteContext:
    """What the triggers cannot know by themselves."""

    user_id: str = ""
    """The 18-character id of the user; "" when nobody was said to act."""
    origin: str = ""
    correlation_id: str = ""
    cause: str = ""
    """What it is done in, as `isthmus.causes` has it."""


def current_context() -> str:
    """Return what is to be told now, as text; "" when there is nothing to tell."""
    user = acting_user()
    return _as_text(
        record_id_of(user) if user is not None else "", acting_origin(), correlation.current(), causes.current()
    )


def read_context(text: str) -> WriteContext:
    """Return what `current_context` wrote."""
    if not text:
        return WriteContext()
    user_id, origin, correlation_id, cause = json.loads(text)
    return WriteContext(user_id=user_id, origin=origin, correlation_id=correlation_id, cause=cause)


@functools.lru_cache(maxsize=256)
def _as_text(user_id: str, origin: str, correlation_id: str, cause: str) -> str:
    # The setting takes no NUL; a name with one tells nothing that is worth an error.
    told = [part.replace("\x00", "") for part in (user_id, origin, correlation_id, cause)]
    return json.dumps(told) if any(told) else ""


def watch(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Let the triggers know what they need. The receiver of Django's `connection_created` signal."""
    if connection.vendor == "postgresql":
        teller: object = _PostgresTeller(connection)
    elif connection.vendor == "sqlite":
        teller = _SqliteTeller(connection)
    else:
        return
    wrappers: list[Any] = connection.execute_wrappers
    # The last one is the nearest to the database: what others see of a statement is what the code wrote.
    wrappers[:] = [*(wrapper for wrapper in wrappers if type(wrapper) is not type(teller)), teller]


class _PostgresTeller:
    """Puts the context in front of a statement that writes, when the transaction does not know it yet.

    The relay is woken along with it, when the transaction commits. Who writes without a context is found by looking.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._told: TransactionMark[str] | None = None

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if not _may_be_noted(sql):
            return execute(sql, params, many, context)
        wanted = current_context()
        if wanted == self._in_force():
            return execute(sql, params, many, context)
        answer = self._execute_and_tell(wanted, execute, sql, params, many, context)
        if self._connection.in_atomic_block:
            # It ceases exactly when the setting does.
            self._told = TransactionMark(self._connection, wanted)
        return answer

    def _execute_and_tell(
        self, wanted: str, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if many:
            if self._connection.in_atomic_block:
                execute(f"SELECT set_config('{SETTING}', %s, true)", [wanted], False, context)
            return execute(sql, params, many, context)
        if isinstance(params, list | tuple):
            # As a parameter: the text stays the same from request to request, so that it is analysed once.
            value, params = "%s", [wanted, *params]
        else:
            value = "'" + wanted.replace("'", "''") + "'"
            # In a statement without parameters a `%` is one, in one with them it is doubled.
            value = value.replace("%", "%%") if params is not None else value
        told = [f"SELECT set_config('{SETTING}', {value}, true)"]
        # Within a transaction nobody knows when it commits; a single statement does at once.
        if self._connection.in_atomic_block or wakeups.is_due(STAGED):
            told.append(wakeups.notification(STAGED))
        answer = execute("; ".join([*told, sql]), params, many, context)
        for _ in told:
            context["cursor"].nextset()
        return answer

    def _in_force(self) -> str:
        """Return what the open transaction was told; one that was told nothing knows nothing."""
        return self._told.value if self._told is not None and self._told.is_in_force() else ""


class _SqliteTeller:
    """Answers the triggers' questions, with what it found out before the statement began."""

    _FLUSH = f'DELETE FROM "{RAW_TABLE}"'

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._key = ""
        self._context = ""
        self._flush: TransactionMark[None] | None = None
        database: Any = connection.connection
        database.create_function("isthmus_transaction_key", 0, self._transaction_key)
        database.create_function("isthmus_context", 0, lambda: self._context)
        database.create_function("isthmus_is_recording", 0, self._is_recording)

    def __call__(self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._key = self._context = ""
        if not _may_be_noted(sql):
            return execute(sql, params, many, context)
        if self._connection.in_atomic_block and sql.rstrip(";") == self._FLUSH:
            # Whoever empties this very table empties the database (`flush`): nobody is to be told of each row.
            self._flush = TransactionMark(self._connection, None)
        self._context = current_context()
        answer = execute(sql, params, many, context)
        if self._key:
            wakeups.ring(STAGED, self._connection.alias)
        return answer

    def _transaction_key(self) -> str:
        # Once a statement: outside `atomic()` it is a transaction of its own.
        if not self._key:
            self._key = transaction_key(self._connection).hex
        return self._key

    def _is_recording(self) -> bool:
        return self._flush is None or not self._flush.is_in_force()


def _may_be_noted(sql: Any) -> bool:
    """Return whether a statement may write to a table whose changes are noted."""
    found = _WRITES.match(sql) if isinstance(sql, str) else None
    if found is None:
        return False
    table = found["table"]
    return table is None or table in _tables(catalogue.generation())


@functools.lru_cache(maxsize=1)
def _tables(_generation: int) -> frozenset[str]:
    """Return the tables of all objects: whether changes are noted of one may be switched at any time."""
    models = (found.model for found in catalogue.all_objects())
    return frozenset({RAW_TABLE, *(model._meta.db_table for model in models if model is not None)})
