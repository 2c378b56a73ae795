"""Answers queries with GROUP BY or aggregate functions: one query of the database, or one for each level of ROLLUP and
CUBE (at most eight).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

from django.db.models import Count, F, IntegerField, QuerySet, Value

from records.soql.conditions import ConditionCompiler
from records.soql.errors import InvalidField, MalformedQuery, QueryTooComplicated, TooManyGroups
from records.soql.operands import AGGREGATES, Operand, operand, single_path
from records.soql.plans import chosen_rows, in_order, inner_values, order_expression
from records.soql.sources import Source
from records.soql.statements import Expression, Function, Ordering, Path, Query, Selected
from records.wire_columns import Column, column_writer

__all__ = ["MAX_GROUPING_FIELDS", "MAX_GROUPS", "GroupPlan", "plan_groups"]

MAX_GROUPS = 2_000
"""Rows of an answer with groups; more of them are refused, because there are no further pages of groups."""
MAX_GROUPING_FIELDS = 3
"""Fields of ROLLUP and CUBE."""


@dataclass
class _Shown:
    """One member of a group's record."""

    name: str
    source: str
    """The column that it is written from; of `GROUPING(field)` the key's."""
    write: Column
    is_grouping: bool = False


@dataclass
class GroupPlan:
    """How to answer a query for groups."""

    query: Query
    source: Source
    rows: "QuerySet[Any]"
    having: Any = None
    keys: dict[str, Operand] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    """The names of the keys by what they are keys of."""
    totals: dict[str, Operand] = field(default_factory=dict)
    shown: list[_Shown] = field(default_factory=list)
    levels: list[tuple[str, ...]] = field(default_factory=list)
    """The keys of each level, most detailed first."""
    order: list[tuple[str, Operand, Ordering]] = field(default_factory=list)

    def found(self) -> list[dict[str, Any]]:
        """Ask the database, and return the groups as JSON. Raises `TooManyGroups`."""
        start, limit = self.query.offset, self.query.limit
        if not self.keys:
            rows = [self.rows.aggregate(**{name: one.expression for name, one in self.totals.items()})]
            rows = rows[start:][:limit]
        elif len(self.levels) == 1:
            stop = start + (MAX_GROUPS + 1 if limit is None else min(limit, MAX_GROUPS + 1))
            rows = list(self._level(self.levels[0], is_sorted=True)[start:stop])
        else:
            rows = self._sorted([row for level in self.levels for row in self._bounded(level)])[start:]
            rows = rows if limit is None else rows[:limit]
        if len(rows) > MAX_GROUPS:
            raise TooManyGroups
        return self._written(rows)

    def _bounded(self, level: Sequence[str]) -> list[dict[str, Any]]:
        found = list(self._level(level)[: MAX_GROUPS + 1])
        if len(found) > MAX_GROUPS:
            raise TooManyGroups
        grouped = {f"{name}_grouped": 0 if name in level else 1 for name in self.keys}
        return [{**dict.fromkeys(self.keys), **row, **grouped} for row in found]

    def _level(self, keys: Sequence[str], *, is_sorted: bool = False) -> "QuerySet[Any]":
        groups: QuerySet[Any] = (
            self.rows.values(**{name: self.keys[name].expression for name in keys}) if keys else self.rows
        )
        totals = {name: one.expression for name, one in self.totals.items()}
        if not keys:
            # One group of everything: a key that is the same for every row.
            groups = groups.values(_all=Value(1, output_field=IntegerField()))
        # Counting makes groups of them, where nothing else is asked.
        groups = groups.annotate(_rows=Count("pk"), **totals)
        if self.having is not None:
            groups = groups.filter(self.having)
        if is_sorted:
            groups = groups.order_by(*(self._ordering(*one) for one in self.order), *(F(name) for name in keys))
        return groups.values("_rows", *keys, *totals)

    def _ordering(self, name: str, found: Operand, ordering: Ordering) -> Any:
        if name not in self.totals:
            return order_expression(found, ordering)
        return in_order(F(name), ordering)

    def _sorted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for name, _, ordering in reversed(self.order):
            first = not ordering.nulls_last
            values = [row for row in rows if row[name] is not None]
            values.sort(key=partial(_sort_key, name), reverse=ordering.descending)
            nulls = [row for row in rows if row[name] is None]
            rows = [*nulls, *values] if first else [*values, *nulls]
        return rows

    def _written(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        columns = []
        for one in self.shown:
            name = f"{one.source}_grouped" if one.is_grouping else one.source
            columns.append(one.write([row.get(name, 0) if one.is_grouping else row[name] for row in rows]))
        names = [one.name for one in self.shown]
        attributes = {"type": "AggregateResult"}
        return [
            {"attributes": attributes, **dict(zip(names, values, strict=True))}
            for values in (zip(*columns, strict=True) if columns else [() for _ in rows])
        ]


def plan_groups(query: Query, source: Source, *, include_deleted: bool = False) -> GroupPlan:
    """Return how to answer a query for groups. Raises `QueryError`s."""
    plan = GroupPlan(query, source, chosen_rows(query, source, include_deleted, 1))
    keys, kind = _grouping(query)
    for expression in keys:
        _add_key(plan, expression)
    plan.levels = _levels(tuple(plan.keys), kind)
    for item in query.selected:
        if not isinstance(item, Selected):
            raise MalformedQuery("sub-queries and TYPEOF have no place beside groups", at=query.source.at)
        _show(plan, item)
    if query.having is not None:
        if not plan.keys:
            raise MalformedQuery("HAVING needs GROUP BY", at=query.source.at)
        compiler = ConditionCompiler(
            lambda one: _of_group(plan, one), lambda inner: inner_values(inner, source.user, include_deleted, 1)
        )
        plan.having = compiler.compile(query.having)
    for ordering in query.order_by:
        plan.order.append(_ordered(plan, ordering))
    return plan


def _grouping(query: Query) -> tuple[tuple[Expression, ...], str]:
    """Return what is grouped by, and `ROLLUP`, `CUBE` or ""."""
    first = query.group_by[0] if query.group_by else None
    if not isinstance(first, Function) or first.name not in {"ROLLUP", "CUBE"}:
        return query.group_by, ""
    if len(query.group_by) > 1:
        raise MalformedQuery(f"{first.name} stands alone in GROUP BY", at=first.at)
    if not 1 <= len(first.arguments) <= MAX_GROUPING_FIELDS:
        raise QueryTooComplicated(f"{first.name} takes up to {MAX_GROUPING_FIELDS} fields.", at=first.at)
    fields = tuple(one for one in first.arguments if not isinstance(one, str))
    if len(fields) != len(first.arguments):
        raise MalformedQuery(f"{first.name} takes fields", at=first.at)
    return fields, first.name


def _levels(keys: tuple[str, ...], kind: str) -> list[tuple[str, ...]]:
    if kind == "ROLLUP":
        return [keys[:count] for count in range(len(keys), -1, -1)]
    if kind == "CUBE":
        return [one for count in range(len(keys), -1, -1) for one in combinations(keys, count)]
    return [keys]


def _add_key(plan: GroupPlan, expression: Expression) -> None:
    found = operand(plan.source, expression)
    if found.is_aggregate:
        raise MalformedQuery("aggregate functions cannot be grouped by", at=expression.at)
    if not found.field.groupable:
        raise InvalidField(f"field '{found.field.api_name}' can not be grouped in a query call", at=expression.at)
    identity = _identity(plan.source, expression)
    if identity in plan.identities:
        raise MalformedQuery(f"duplicate field in GROUP BY: {expression}"[:120], at=expression.at)
    name = f"_key{len(plan.keys)}"
    plan.keys[name], plan.identities[identity] = found, name


def _show(plan: GroupPlan, item: Selected) -> None:
    expression = item.expression
    unnamed = sum(1 for one in plan.shown if one.name.startswith("expr") and one.name[4:].isdigit())
    if isinstance(expression, Function) and expression.name == "GROUPING":
        key = plan.identities.get(_identity(plan.source, single_path(expression)))
        if key is None:
            raise MalformedQuery(f"{expression} names no field of GROUP BY"[:120], at=expression.at)
        shown = _Shown(item.alias or f"expr{unnamed}", key, list, is_grouping=True)
    elif isinstance(expression, Function) and expression.name in AGGREGATES:
        if not expression.arguments:
            raise MalformedQuery("COUNT() stands alone and without an alias; COUNT(Id) does not", at=expression.at)
        name, found = _total(plan, expression)
        shown = _Shown(item.alias or f"expr{unnamed}", name, column_writer(found.field))
    else:
        key = plan.identities.get(_identity(plan.source, expression))
        if key is None:
            raise MalformedQuery(f"Field must be grouped or aggregated: {expression}"[:120], at=expression.at)
        usual = plan.source.named(expression).field.api_name if isinstance(expression, Path) else f"expr{unnamed}"
        shown = _Shown(item.alias or usual, key, column_writer(plan.keys[key].field))
    if any(one.name.lower() == shown.name.lower() for one in plan.shown):
        raise MalformedQuery(f"duplicate alias: {shown.name}", at=expression.at)
    plan.shown.append(shown)


def _total(plan: GroupPlan, function: Function) -> tuple[str, Operand]:
    found = operand(plan.source, function)
    name = f"_total{len(plan.totals)}"
    plan.totals[name] = found
    return name, found


def _of_group(plan: GroupPlan, expression: Expression) -> Operand:
    if isinstance(expression, Function) and expression.name in AGGREGATES:
        return operand(plan.source, expression)
    named = _by_alias(plan, expression) or plan.identities.get(_identity(plan.source, expression))
    if named is None:
        raise MalformedQuery(f"Field must be grouped or aggregated: {expression}"[:120], at=expression.at)
    # Of a key the database knows, beside groups, nothing but the very expression that it groups by.
    return plan.totals.get(named) or replace(plan.keys[named], named=None)


def _ordered(plan: GroupPlan, ordering: Ordering) -> tuple[str, Operand, Ordering]:
    expression = ordering.expression
    if isinstance(expression, Function) and expression.name in AGGREGATES:
        name, found = _total(plan, expression)
        return name, found, ordering
    named = _by_alias(plan, expression) or plan.identities.get(_identity(plan.source, expression))
    if named is None:
        raise MalformedQuery(f"Ordered field must be grouped or aggregated: {expression}"[:120], at=expression.at)
    return named, plan.totals.get(named) or plan.keys[named], ordering


def _by_alias(plan: GroupPlan, expression: Expression) -> str | None:
    """Return the column that an alias of SELECT stands for, where no field has that name."""
    if not isinstance(expression, Path) or len(expression.names) != 1:
        return None
    name = expression.names[0]
    if plan.source.has_field(name):
        return None
    shown = next((one for one in plan.shown if one.name.lower() == name.lower() and not one.is_grouping), None)
    return None if shown is None else shown.source


def _identity(source: Source, expression: Expression) -> str:
    """Return a text that is the same for the same thing, however it was spelt."""
    if isinstance(expression, Path):
        return source.named(expression).column
    inner = [_identity(source, one) for one in expression.arguments if not isinstance(one, str)]
    if expression.name == "CONVERTTIMEZONE" and len(inner) == 1:
        return inner[0]
    return f"{expression.name}({','.join(inner)})"


def _sort_key(name: str, row: dict[str, Any]) -> Any:
    value = row[name]
    return (value.lower(), value) if isinstance(value, str) else value
