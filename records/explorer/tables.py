"""Turns the answer of a query into columns and rows.

>>> answer = {"totalSize": 1, "records": [{"Name": "Ada", "Account": {"attributes": {}, "Name": "Acme"}}]}
>>> table_of(answer).columns
('Name', 'Account.Name')
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

__all__ = ["Cell", "Table", "as_csv_rows", "shown", "table_of"]

_Tree = dict[str, Any]
_Path = tuple[str, ...]
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d\s().,/-]*$)")
"""Texts that spreadsheets would run; numbers and telephone numbers are none."""


@dataclass(frozen=True)
class Cell:
    """One value."""

    column: str
    text: str = ""
    is_null: bool = False
    is_number: bool = False
    object_name: str = ""
    """The object of the record that the value names; "" for a value that is no record id, or of an unseen object."""
    children: "Table | None" = None
    """The rows of a child sub-query."""


@dataclass(frozen=True)
class Table:
    """Rows with the same columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    """How many rows there are in all; more than are here when the answer has further pages."""
    numeric: frozenset[str] = frozenset()
    """The columns that hold numbers and nothing else."""

    @property
    def is_complete(self) -> bool:
        """Whether every row is here."""
        return len(self.rows) >= self.total


def table_of(answer: Mapping[str, Any], object_of_id: Callable[[str], str] = lambda _: "") -> Table:
    """Return the table of what `query` answered: `{"totalSize", "records"}`.

    Fields of parents become columns such as `Account.Name`. `object_of_id` returns the object's name for a record id
    that can be opened, and "" for every other text.
    """
    records = answer["records"]
    paths = list(_leaves(_columns_of(records)))
    rows = tuple(tuple(_cell(record, path, object_of_id) for path in paths) for record in records)
    total = answer.get("totalSize")
    return Table(
        columns=tuple(".".join(path) for path in paths),
        rows=rows,
        total=len(rows) if total is None else total,
        numeric=_numeric(rows),
    )


def shown(value: Any) -> str:
    """Return a value as a cell shows it; what has parts is JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    return str(value)


def as_csv_rows(table: Table) -> Iterator[list[str]]:
    """Yield the header and the rows. Child rows are told by their number.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets themselves mark one.
    """
    yield list(table.columns)
    for row in table.rows:
        yield [cell.text if cell.is_number else _harmless(cell.text) for cell in row]


def _harmless(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _columns_of(records: Sequence[Mapping[str, Any]]) -> _Tree:
    """Return the fields as a tree, in the order of the records; a parent is `null` in some and has fields in others."""
    tree: _Tree = {}
    for record in records:
        _join(tree, record)
    return tree


def _join(tree: _Tree, record: Mapping[str, Any]) -> None:
    for name, value in record.items():
        if name != "attributes":
            below = tree.setdefault(name, {})
            if _is_record(value):
                _join(below, value)


def _leaves(tree: _Tree, above: _Path = ()) -> Iterator[_Path]:
    for name, below in tree.items():
        if below:
            yield from _leaves(below, (*above, name))
        else:
            yield (*above, name)


def _cell(record: Mapping[str, Any], path: _Path, object_of_id: Callable[[str], str]) -> Cell:
    column = ".".join(path)
    holder: Any = record
    for name in path[:-1]:
        holder = holder.get(name) if _is_record(holder) or holder is record else None
        if not isinstance(holder, Mapping):
            return Cell(column, is_null=True)
    value = holder.get(path[-1])
    if value is None:
        return Cell(column, is_null=True)
    if isinstance(value, Mapping) and isinstance(value.get("records"), list):
        children = table_of(value, object_of_id)
        return Cell(column, str(children.total), children=children)
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    name = object_of_id(value) if isinstance(value, str) else ""
    return Cell(column, shown(value), is_number=is_number, object_name=name)


def _is_record(value: Any) -> bool:
    return isinstance(value, Mapping) and "attributes" in value and "records" not in value


def _numeric(rows: Sequence[Sequence[Cell]]) -> frozenset[str]:
    kinds: dict[str, set[bool]] = {}
    for row in rows:
        for cell in row:
            if not cell.is_null:
                kinds.setdefault(cell.column, set()).add(cell.is_number)
    return frozenset(column for column, found in kinds.items() if found == {True})
