"""Runs queries, and gives their answers page by page."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import connection
from django.db.models import Count, F, QuerySet, Window
from django.db.models.functions import RowNumber

from records import recently
from records.models import QueryCursor
from records.soql import cursors
from records.soql.errors import MalformedQuery, QueryError
from records.soql.groups import plan_groups
from records.soql.parsing import parse, parse_found
from records.soql.plans import Child, RowPlan, aggregates, plan_rows, source_of
from records.soql.statements import Function, Query, Selected
from records.soql.time_limit import time_limit

__all__ = ["MAX_BATCH", "MAX_CHILD_ROWS", "MIN_BATCH", "Asked", "is_count", "located", "next_page", "run", "run_among"]

MIN_BATCH, MAX_BATCH = 200, 2_000
MAX_CHILD_ROWS = 20_000
"""Children on one page, of all records together; a page ends early rather than hold more."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who asks, and how the answer is to be."""

    user: AbstractUser
    base: str
    """The path of the version, for addresses: `/services/data/v67.0`."""
    batch_size: int = MAX_BATCH
    include_deleted: bool = False


def run(text: str, asked: Asked) -> dict[str, Any]:
    """Return the answer to a query, or the first page of it. Raises `QueryError`s with their place in the text."""
    query = parse(text)
    # A lock is of use to a transaction that goes on after the query.
    is_inside = connection.in_atomic_block
    with located(text), time_limit():
        source = source_of(query, asked.user)
        if is_count(query):
            # LIMIT counts for what is counted.
            plan = plan_rows(replace(query, selected=()), source, include_deleted=asked.include_deleted)
            return {"totalSize": plan.count(), "done": True, "records": []}
        if aggregates(query):
            groups = plan_groups(query, source, include_deleted=asked.include_deleted).found()
            return {"totalSize": len(groups), "done": True, "records": groups}
        plan = plan_rows(query, source, include_deleted=asked.include_deleted)
        return _first_page(text, plan, asked, locks=is_inside and "UPDATE" in query.purposes)


def next_page(locator: str, asked: Asked) -> dict[str, Any]:
    """Return the page that a locator names. Raises `InvalidQueryLocator`, and what has become wrong with the query."""
    cursor, place = cursors.find(locator, asked.user)
    asked = replace(asked, include_deleted=cursor.include_deleted)
    query = parse(cursor.soql)
    with located(cursor.soql), time_limit():
        plan = plan_rows(query, source_of(query, asked.user), include_deleted=asked.include_deleted)
        for index in filter(None, cursor.child_path.split(".")):
            plan = plan.children[int(index)].plan
        return _page(cursor, place, plan, asked)


def run_among(text: str, object_name: str, keys: Sequence[int], asked: Asked) -> list[dict[str, Any]]:
    """Return what a search wants to know of the records that it found, in their order unless the text names one.

    `text`: `Id, Name WHERE … ORDER BY … LIMIT …`, as SOSL has it in brackets. Raises `QueryError`s.
    """
    query = parse_found(text, object_name)
    with located(text), time_limit():
        plan = plan_rows(query, source_of(query, asked.user))
        if plan.children or aggregates(query):
            raise MalformedQuery("A search returns records, without their children and not in groups", at=0)
        plan.rows = plan.rows.filter(pk__in=list(keys))
        if query.order_by:
            return plan.written(list(plan.limited().values_list(*plan.columns)), asked.base)
        by_key = {row[0]: row[1:] for row in plan.rows.values_list("pk", *plan.columns)}
        ranked = [by_key[key] for key in keys if key in by_key][query.offset :]
        return plan.written(ranked if query.limit is None else ranked[: query.limit], asked.base)


def is_count(query: Query) -> bool:
    """Return whether the query is `SELECT COUNT() …`, which is answered by a number alone."""
    first = query.selected[0]
    return (
        len(query.selected) == 1
        and isinstance(first, Selected)
        and isinstance(first.expression, Function)
        and (first.expression.name, first.expression.arguments) == ("COUNT", ())
        and first.alias is None
        and not query.group_by
    )


@contextmanager
def located(text: str) -> Iterator[None]:
    """Tell where in the text an error lies."""
    try:
        yield
    except QueryError as error:
        raise error.located(text) from None


def _first_page(text: str, plan: RowPlan, asked: Asked, *, locks: bool) -> dict[str, Any]:
    rows = plan.limited().select_for_update(of=("self",)) if locks else plan.limited()
    found = list(rows.values_list(*plan.columns)[: asked.batch_size + 1])
    if len(found) > asked.batch_size or (plan.children and _children_fill(found, plan)):
        cursor = cursors.begin(asked.user, text, _keys(plan.limited()), include_deleted=asked.include_deleted)
        return _page(cursor, 0, plan, asked)
    _read_children(plan, found, text, asked, "")
    _note_looks(plan, found)
    records = plan.written(found, asked.base)
    return {"totalSize": len(records), "done": True, "records": records}


def _page(cursor: QueryCursor, place: int, plan: RowPlan, asked: Asked) -> dict[str, Any]:
    keys = cursors.keys_of(cursor, place, asked.batch_size)
    # What the rows were found by, they need not meet any more.
    current = plan.every_row.filter(pk__in=list(keys)).values_list("pk", *plan.columns)
    by_key = {row[0]: row[1:] for row in current}
    kept = len(keys)
    if plan.children:
        kept = _how_many_fit(plan, [key for key in keys if key in by_key], keys)
    found = [by_key[key] for key in keys[:kept] if key in by_key]
    _read_children(plan, found, cursor.soql, asked, cursor.child_path)
    _note_looks(plan, found)
    end = place + kept
    answer: dict[str, Any] = {"totalSize": cursor.total, "done": end >= cursor.total}
    if end < cursor.total:
        answer["nextRecordsUrl"] = f"{asked.base}/query/{cursors.locator(cursor, end)}"
    return {**answer, "records": plan.written(found, asked.base)}


def _note_looks(plan: RowPlan, rows: Sequence[tuple[Any, ...]]) -> None:
    """Remember that a person looked at the records, if the query says so."""
    if plan.query.purposes & {"VIEW", "REFERENCE"}:
        recently.note(plan.source.user, plan.object_type, _keys_of_rows(rows, plan))


def _keys(rows: "QuerySet[Any]") -> Iterator[int]:
    return iter(rows.values_list("pk", flat=True).iterator(chunk_size=20_000))


# --- children ---------------------------------------------------------------------------------------------------------
def _counts(child: Child, keys: Sequence[int]) -> dict[int, int]:
    """Return how many children each record has, within the query's LIMIT and OFFSET."""
    name = child.relationship.field.attname
    query = child.plan.query
    rows = child.plan.rows.filter(**{f"{name}__in": list(keys)}).order_by().values(name).annotate(_count=Count("pk"))
    found = {}
    for key, count in rows.values_list(name, "_count"):
        within = max(0, count - query.offset)
        found[key] = within if query.limit is None else min(within, query.limit)
    return found


def _children_fill(rows: Sequence[tuple[Any, ...]], plan: RowPlan) -> bool:
    """Return whether the children of these records are more than a page holds."""
    keys = _keys_of_rows(rows, plan)
    return sum(min(n, MAX_BATCH) for child in plan.children for n in _counts(child, keys).values()) > MAX_CHILD_ROWS


def _how_many_fit(plan: RowPlan, living: Sequence[int], keys: Sequence[int]) -> int:
    """Return how many of `keys` make a page that is not too full; one at least."""
    counts = [_counts(child, living) for child in plan.children]
    total = 0
    for place, key in enumerate(keys):
        total += sum(min(found.get(key, 0), MAX_BATCH) for found in counts)
        if total > MAX_CHILD_ROWS and place:
            return place
    return len(keys)


def _read_children(plan: RowPlan, rows: Sequence[tuple[Any, ...]], text: str, asked: Asked, path: str) -> None:
    """Read the children of a page's records, and theirs in turn."""
    keys = _keys_of_rows(rows, plan)
    for index, child in enumerate(plan.children):
        child.found.clear()
        if keys:
            child.found.update(_lists_of(child, keys, text, asked, f"{path}.{index}".strip(".")))


def _lists_of(child: Child, keys: Sequence[int], text: str, asked: Asked, path: str) -> dict[int, Any]:
    counts = _counts(child, keys)
    name, plan = child.relationship.field.attname, child.plan
    rows = plan.rows.filter(**{f"{name}__in": [key for key, count in counts.items() if count]})
    start, most = plan.query.offset, min(MAX_BATCH, MAX_BATCH if plan.query.limit is None else plan.query.limit)
    if start or any(count > most for count in counts.values()) or plan.query.limit is not None:
        place = Window(RowNumber(), partition_by=F(name), order_by=plan.order)
        rows = rows.annotate(_place=place).filter(_place__gt=start, _place__lte=start + most)
    found = list(rows.order_by(F(name), *plan.order).values_list(name, *plan.columns))
    _read_children(plan, [row[1:] for row in found], text, asked, path)
    records = plan.written([row[1:] for row in found], asked.base)
    lists: dict[int, Any] = {}
    for row, record in zip(found, records, strict=True):
        lists.setdefault(row[0], []).append(record)
    return {key: _list(child, key, one, counts[key], text, asked, path) for key, one in lists.items()}


def _list(child: Child, key: int, records: list[Any], total: int, text: str, asked: Asked, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"totalSize": total, "done": total <= len(records)}
    if total > len(records):
        of_one = child.plan.rows.filter(**{child.relationship.field.attname: key}).order_by(*child.plan.order)
        start, limit = child.plan.query.offset, child.plan.query.limit
        within = of_one[start : None if limit is None else start + limit]
        cursor = cursors.begin(asked.user, text, _keys(within), include_deleted=asked.include_deleted, child_path=path)
        answer["nextRecordsUrl"] = f"{asked.base}/query/{cursors.locator(cursor, len(records))}"
    return {**answer, "records": records}


def _keys_of_rows(rows: Sequence[tuple[Any, ...]], plan: RowPlan) -> list[int]:
    place = plan.shape.key_index if plan.shape else 0
    return [row[place] for row in rows]
