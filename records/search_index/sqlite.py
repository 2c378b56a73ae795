"""A full-text table (FTS5) beside each searched one, with the row's primary key, and triggers that write to it.

They need nothing of the platform, so other programs may write to the tables. The table keeps the texts, because it has
to forget a row by its key alone: `INSERT OR REPLACE` takes rows away without telling any trigger.
"""

from collections.abc import Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from records.search_index.expressions import Any, Expression, Number, Words
from records.search_index.numbers import LEAST_DIGITS, MOST_DIGITS, PUNCTUATION, writings_of
from records.search_index.plan import IndexedColumn, IndexPlan
from records.search_index.words import MAX_WORD_CHARACTERS

__all__ = [
    "condition",
    "creation",
    "definition",
    "installed",
    "name_of",
    "prepare",
    "query_for",
    "removal",
    "trigger_removal",
]

_EVENTS = ("insert", "update", "delete")


def prepare(_connection: BaseDatabaseWrapper) -> None:
    """Do nothing: FTS5 brings all that is needed."""


def name_of(table: str) -> str:
    """Return the name of a table's full-text table, with which the names of its triggers begin."""
    return f"isthmus_search_{table}"


def definition(plan: IndexPlan) -> str:
    """Return a text that is another one whenever the index has to be another one."""
    return "\n".join([_table(plan), *(_trigger(plan, event) for event in _EVENTS)])


def installed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """Return the definition of every index by table; one without all of its triggers has another than it should."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE name LIKE 'isthmus\\_search\\_%%' ESCAPE '\\' "
            "AND (type = 'trigger' OR sql LIKE 'CREATE VIRTUAL TABLE %%')",
            [],
        )
        made: dict[str, str] = dict(cursor.fetchall())
    return {
        name.removeprefix(name_of("")): "\n".join([statement, *(made.get(f"{name}_{event}", "") for event in _EVENTS)])
        for name, statement in made.items()
        if statement.startswith("CREATE VIRTUAL TABLE ")
    }


def creation(plan: IndexPlan, _connection: BaseDatabaseWrapper) -> list[str]:
    """Return the statements that make the index of a table and fill it with the rows that are there."""
    table = _quoted(plan.table)
    filled = f"INSERT INTO {_quoted(name_of(plan.table))} ({_names(plan)}) SELECT {_values(plan, table)} FROM {table}"
    return [_table(plan), filled, *(_trigger(plan, event) for event in _EVENTS)]


def trigger_removal(table: str) -> list[str]:
    """Return the statements that take the triggers away, and leave what they wrote."""
    return [f"DROP TRIGGER IF EXISTS {_quoted(f'{name_of(table)}_{event}')}" for event in _EVENTS]


def removal(table: str) -> list[str]:
    """Return the statements that take the index of a table away."""
    return [*trigger_removal(table), f"DROP TABLE IF EXISTS {_quoted(name_of(table))}"]


def condition(plan: IndexPlan) -> str:
    """Return the SQL condition with which rows of the table fit a query, its one parameter."""
    index = _quoted(name_of(plan.table))
    key = f"{_quoted(plan.table)}.{_quoted(plan.primary_key)}"
    return f"{key} IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)"


def query_for(expression: Expression, columns: Sequence[IndexedColumn]) -> str | None:
    """Return what fits what is searched for in one of these columns; `None` when nothing can."""
    if isinstance(expression, Words):
        return _within([column for column in columns if not column.is_number], _phrase(expression.words))
    if isinstance(expression, Number):
        numbers = [f'"{digits}"{" *" if is_open else ""}' for digits, is_open in writings_of(expression)]
        # A beginning is a phrase that a star follows, which is one column filter each.
        filtered = [_within([column for column in columns if column.is_number], number) for number in numbers]
        return _joined([part for part in filtered if part is not None], "OR")
    parts = [query_for(part, columns) for part in expression.parts]
    possible = [part for part in parts if part is not None]
    if isinstance(expression, Any):
        return _joined(possible, "OR")
    found = _joined(possible, "AND") if len(possible) == len(parts) else None
    without = _joined([part for part in (query_for(one, columns) for one in expression.without) if part], "OR")
    return f"({found} NOT {without})" if found is not None and without is not None else found


def _table(plan: IndexPlan) -> str:
    names = ", ".join(f"c{column.code}" for column in plan.columns)
    tokens = "tokenize='unicode61 remove_diacritics 2'"
    return f"CREATE VIRTUAL TABLE {_quoted(name_of(plan.table))} USING fts5({names}, {tokens})"


def _trigger(plan: IndexPlan, event: str) -> str:
    index, key = _quoted(name_of(plan.table)), _quoted(plan.primary_key)
    forgotten = f"DELETE FROM {index} WHERE rowid = {'OLD' if event != 'insert' else 'NEW'}.{key};"
    # Where the row takes another's place without its leaving being told.
    replaced = f"DELETE FROM {index} WHERE rowid = NEW.{key};" if event == "update" else ""
    written = f"INSERT INTO {index} ({_names(plan)}) VALUES ({_values(plan, 'NEW')});" if event != "delete" else ""
    watched = dict.fromkeys([plan.primary_key, *(column.column for column in plan.columns)])
    changed = " OR ".join(f"NEW.{_quoted(name)} IS NOT OLD.{_quoted(name)}" for name in watched)
    when = f" WHEN {changed}" if event == "update" else ""
    return (
        f"CREATE TRIGGER {_quoted(f'{name_of(plan.table)}_{event}')} AFTER {event.upper()} ON {_quoted(plan.table)}"
        f"{when} BEGIN {forgotten} {replaced} {written} END"
    )


def _names(plan: IndexPlan) -> str:
    return ", ".join(["rowid", *(f"c{column.code}" for column in plan.columns)])


def _values(plan: IndexPlan, row: str) -> str:
    values = (_value(column, f"{row}.{_quoted(column.column)}") for column in plan.columns)
    return ", ".join([f"{row}.{_quoted(plan.primary_key)}", *values])


def _value(column: IndexedColumn, source: str) -> str:
    if not column.is_number:
        return f"substr({source}, 1, {column.characters})"
    bare = source
    for character in PUNCTUATION:
        bare = f"replace({bare}, '{character}', '')"
    # SQLite cannot turn a text round; a digit beyond the end of it is an empty text.
    backwards = " || ".join(f"substr(d, {place}, 1)" for place in range(MOST_DIGITS, 0, -1))
    is_number = f"d NOT GLOB '*[^0-9]*' AND length(d) BETWEEN {LEAST_DIGITS} AND {MOST_DIGITS}"
    return f"(SELECT CASE WHEN {is_number} THEN {backwards} END FROM (SELECT ltrim({bare}, '0') AS d))"


def _phrase(words: Sequence[str]) -> str:
    *others, last = words
    is_beginning = last.endswith("*") or len(last) > MAX_WORD_CHARACTERS
    text = " ".join([*others, last.removesuffix("*")[:MAX_WORD_CHARACTERS]])
    # Words hold nothing but letters and digits.
    return f'"{text}"{" *" if is_beginning else ""}'


def _within(columns: Sequence[IndexedColumn], phrase: str) -> str | None:
    return f"{{{' '.join(f'c{column.code}' for column in columns)}}} : {phrase}" if columns else None


def _joined(parts: Sequence[str], operator: str) -> str | None:
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else f"({f' {operator} '.join(parts)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
