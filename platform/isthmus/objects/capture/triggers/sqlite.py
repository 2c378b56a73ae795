"""Row triggers that call back into this process for what they cannot know.

A program that is not the platform has no such functions, and SQLite refuses its writes to a tracked table ("no such
function: isthmus_context"): loudly, where it would otherwise change records unseen.
"""

from collections.abc import Sequence

from isthmus.objects.capture.context import RAW_TABLE
from isthmus.objects.capture.triggers.plan import TriggerPlan

__all__ = ["creation", "name_of", "removal", "snapshot"]

# A function of SQLite takes at most 127 arguments: https://www.sqlite.org/limits.html#max_function_arg
_PAIRS_IN_ONE_CALL = 60

_EVENTS = ("insert", "update", "rekey", "delete")


def name_of(table: str) -> str:
    """Return what the names of a table's triggers begin with."""
    return f"isthmus_capture_{table}"


def creation(plan: TriggerPlan) -> list[str]:
    """Return the statements that make (or renew) the triggers of a table."""
    return [*removal(plan.table), *(_creation(plan, event) for event in _EVENTS)]


def snapshot(plan: TriggerPlan) -> str:
    """Return the statement that notes what rows hold, of those after a primary key the given number.

    Nobody else writes meanwhile. Returns their primary keys.
    """
    table, key = _quoted(plan.table), _quoted(plan.primary_key)
    return f"""
INSERT INTO {RAW_TABLE}
  (transaction_key, object_name, operation, record_pk, old_values, new_values, context, created_at)
SELECT isthmus_transaction_key(), {_text(plan.object_name)}, 'S', {key}, NULL, {_values(table, plan.recorded)},
       isthmus_context(), strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')
FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT %s
RETURNING record_pk
"""


def removal(table: str) -> list[str]:
    """Return the statements that take the triggers of a table away."""
    return [f"DROP TRIGGER IF EXISTS {_quoted(f'{name_of(table)}_{event}')}" for event in _EVENTS]


def _creation(plan: TriggerPlan, event: str) -> str:
    key = _quoted(plan.primary_key)
    is_same = f"NEW.{key} IS OLD.{key}"
    if event == "update":
        changed = " OR ".join(f"NEW.{_quoted(name)} IS NOT OLD.{_quoted(name)}" for name in plan.telling)
        return _trigger(plan, event, "UPDATE", f"{is_same} AND ({changed})", _note(plan, "U"))
    if event == "rekey":
        return _trigger(plan, event, "UPDATE", f"NOT ({is_same})", _note(plan, "D") + _note(plan, "I"))
    return _trigger(plan, event, event.upper(), "TRUE", _note(plan, "I" if event == "insert" else "D"))


def _trigger(plan: TriggerPlan, name: str, event: str, condition: str, notes: str) -> str:
    return f"""
CREATE TRIGGER {_quoted(f"{name_of(plan.table)}_{name}")} AFTER {event} ON {_quoted(plan.table)}
WHEN isthmus_is_recording() AND {condition}
BEGIN{notes}
END
"""


def _note(plan: TriggerPlan, operation: str) -> str:
    old = "NULL" if operation == "I" else _values("OLD", plan.recorded)
    new = "NULL" if operation == "D" else _values("NEW", plan.recorded)
    row = "OLD" if operation == "D" else "NEW"
    return f"""
  INSERT INTO {RAW_TABLE}
    (transaction_key, object_name, operation, record_pk, old_values, new_values, context, created_at)
  VALUES (isthmus_transaction_key(), {_text(plan.object_name)}, '{operation}', {row}.{_quoted(plan.primary_key)},
          {old}, {new}, isthmus_context(), strftime('%Y-%m-%d %H:%M:%f', 'now'));"""


def _values(row: str, columns: Sequence[str]) -> str:
    """Return an expression for the row's columns as one JSON object."""
    pieces = [columns[start : start + _PAIRS_IN_ONE_CALL] for start in range(0, len(columns), _PAIRS_IN_ONE_CALL)]
    made = f"json_object({_pairs(row, pieces[0], '')})"
    for piece in pieces[1:]:
        made = f"json_insert({made}, {_pairs(row, piece, '$.')})"
    return made


def _pairs(row: str, columns: Sequence[str], path: str) -> str:
    return ", ".join(f"{_text(f'{path}{_quoted(name)}' if path else name)}, {row}.{_quoted(name)}" for name in columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
