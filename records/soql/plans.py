"""A query that was found good: which rows it means, in which order, and what becomes of each.

One query of the database gives the rows; each list of children takes two more for a page, however many rows it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import connection
from django.db.models import F, QuerySet
from django.db.models.functions import Lower

from isthmus.objects import catalogue, sharing
from isthmus.objects.errors import UnknownObject
from isthmus.objects.object_types import FieldKind, FieldType, ObjectType
from isthmus.objects.permissions import may, readable_child
from isthmus.objects.reading import live_rows
from isthmus.objects.relationships import ChildRelationship
from records import reading
from records.soql.conditions import ConditionCompiler
from records.soql.errors import (
    InvalidField,
    MalformedQuery,
    QueryTooComplicated,
    no_such_relationship,
    no_such_type,
)
from records.soql.expressions import WrittenMoment
from records.soql.operands import AGGREGATES, SHOWN_ONLY, Operand, operand, single_path
from records.soql.shapes import BlobMember, ChildMember, FieldMember, ParentMember, Shape
from records.soql.sources import NamedField, Parent, Source, guarded, guarded_by
from records.soql.statements import (
    ChildQuery,
    Expression,
    Function,
    Ordering,
    Path,
    Query,
    Selected,
    TypeOf,
)
from records.wire_columns import Column, column_writer

__all__ = [
    "MAX_CHILD_QUERIES",
    "MAX_LEVELS",
    "Child",
    "RowPlan",
    "aggregates",
    "chosen_rows",
    "every_row",
    "in_order",
    "inner_values",
    "order_expression",
    "plan_rows",
    "source_of",
]

MAX_LEVELS = 5
"""How deep queries may stand inside queries."""
MAX_CHILD_QUERIES = 20
_MAX_UNBOUNDED = 200


@dataclass
class Child:
    """A query inside SELECT."""

    relationship: ChildRelationship
    plan: "RowPlan"
    member: str
    found: dict[int, Any] = field(default_factory=dict)
    """What was read for the page at hand, by the parent's primary key."""


@dataclass
class RowPlan:
    """How to answer a query for records."""

    query: Query
    source: Source
    rows: "QuerySet[Any]"
    """All rows that it means, in no order, without LIMIT and OFFSET."""
    order: list[Any]
    every_row: "QuerySet[Any]"
    """All rows of the object that the user sees, whatever WHERE says."""
    columns: list[Any] = field(default_factory=list)
    shape: Shape | None = None
    children: list[Child] = field(default_factory=list)

    @property
    def object_type(self) -> ObjectType:
        """The object that it asks for."""
        return self.source.object_type

    def limited(self) -> "QuerySet[Any]":
        """Return the rows within LIMIT and OFFSET."""
        return self._within_limits(self.rows.order_by(*self.order))

    def count(self) -> int:
        """Return how many rows there are within LIMIT and OFFSET."""
        return self._within_limits(self.rows.order_by()).count()

    def _within_limits(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        start, limit = self.query.offset, self.query.limit
        return rows[start : None if limit is None else start + limit]

    def written(self, rows: Sequence[tuple[Any, ...]], base: str) -> list[dict[str, Any]]:
        """Return the rows as JSON. `rows`: what the database gave for `columns`."""
        if not rows or self.shape is None:
            return []
        return self.shape.written(list(zip(*rows, strict=True)), base)


def aggregates(query: Query) -> bool:
    """Return whether the query asks for groups of rows and not for records."""
    functions = [one.expression for one in query.selected if isinstance(one, Selected)]
    return bool(query.group_by) or any(
        isinstance(one, Function) and one.name in AGGREGATES | {"GROUPING"} for one in functions
    )


def source_of(query: Query, user: AbstractUser) -> Source:
    """Return where the fields of a query are found. Raises `InvalidType`, `MalformedQuery`."""
    names = query.source.names
    if len(names) > 1:
        raise no_such_type(str(query.source), query.source.at)
    try:
        object_type = catalogue.get_object(names[0])
    except UnknownObject:
        raise no_such_type(names[0], query.source.at) from None
    if object_type.model is None or not object_type.queryable or not may(user, object_type, "read"):
        raise no_such_type(names[0], query.source.at)
    return Source(object_type, user, _aliases(query))


def plan_rows(
    query: Query,
    source: Source,
    *,
    include_deleted: bool = False,
    level: int = 1,
) -> RowPlan:
    """Return how to answer a query for records. Raises `QueryError`s."""
    if level > MAX_LEVELS:
        raise QueryTooComplicated(f"Queries may stand inside each other {MAX_LEVELS} deep.")
    if query.having is not None:
        raise MalformedQuery("HAVING needs GROUP BY", at=query.source.at)
    order = [order_expression(_row_operand(source, one.expression), one) for one in query.order_by]
    plan = RowPlan(
        query,
        source,
        chosen_rows(query, source, include_deleted, level),
        # By id at last, so that the order is the same again.
        [*order, "pk"],
        every_row(query, source, include_deleted),
    )
    _Selection(plan, include_deleted, level).read()
    return plan


def chosen_rows(query: Query, source: Source, include_deleted: bool, level: int) -> "QuerySet[Any]":
    """Return the rows that WHERE means and that the user sees, in no order."""
    rows = every_row(query, source, include_deleted)
    if query.scope:
        rows = _in_scope(query, source, rows)
    if query.where is not None:
        compiler = ConditionCompiler(
            lambda one: _row_operand(source, one),
            lambda inner: inner_values(inner, source.user, include_deleted, level),
        )
        rows = rows.filter(compiler.compile(query.where))
    return rows


def every_row(query: Query, source: Source, include_deleted: bool) -> "QuerySet[Any]":
    """Return the rows that the user sees, in no order: those in the recycle bin too, if that was asked for."""
    model = source.object_type.model
    assert model is not None  # noqa: S101 - for the type checker: `source_of` refuses others
    everything: QuerySet[Any] = model._base_manager.all()
    rows = everything if include_deleted or query.all_rows else live_rows(model)
    return sharing.visible(source.user, source.object_type, rows).order_by()


def order_expression(operand: Operand, ordering: Ordering) -> Any:
    """Return what to sort by; letter case does not count."""
    if not operand.field.sortable:
        name = operand.field.api_name
        raise InvalidField(f"field '{name}' can not be sorted in a query call", at=ordering.expression.at)
    expression = operand.expression
    named = operand.named
    if named is not None and named.field.type is FieldKind.ID and not named.parents:
        # Never null: an index may be read in its order.
        return F("pk").desc() if ordering.descending else F("pk").asc()
    if operand.is_text:
        expression = Lower(expression)
    elif named is not None:
        expression = named.expression
    return in_order(expression, ordering)


def in_order(expression: Any, ordering: Ordering) -> Any:
    """Return the expression to sort by, nulls where the query has them: first, unless it says otherwise."""
    nulls = {"nulls_last": True} if ordering.nulls_last else {"nulls_first": True}
    return expression.desc(**nulls) if ordering.descending else expression.asc(**nulls)


class _Selection:
    """Reads the SELECT list of a query for records."""

    def __init__(self, plan: RowPlan, include_deleted: bool, level: int) -> None:
        self._plan = plan
        self._source = plan.source
        self._include_deleted = include_deleted
        self._level = level
        self._places: dict[str, int] = {}
        self._shapes: dict[tuple[str, ...], Shape] = {}
        self._names: set[tuple[tuple[str, ...], str]] = set()

    def read(self) -> None:
        object_type = self._plan.object_type
        key = object_type.field("Id").attname
        shape = Shape(object_type.api_name, object_type.key_prefix, self._column(key, F(key)))
        self._plan.shape = self._shapes[()] = shape
        for item in self._plan.query.selected:
            if isinstance(item, ChildQuery):
                self._child(item.query)
            elif isinstance(item, TypeOf):
                self._typeof(item)
            elif isinstance(item.expression, Path):
                self._field(self._source.named(item.expression), item.alias, item.expression.at)
            elif item.expression.name == "FIELDS":
                self._fields(item.expression)
            else:
                self._shown(item.expression, item.alias)

    def _field(self, named: NamedField, alias: str | None, at: int) -> None:
        if alias is not None:
            raise MalformedQuery("only aggregate expressions use field aliasing", at=at)
        self._add(named, named.field.api_name, at, column_writer(named.field))

    def _add(self, named: NamedField, name: str, at: int, write: Column) -> None:
        way = tuple(parent.name for parent in named.parents)
        if (way, name) in self._names:
            raise InvalidField(f"duplicate field selected: {'.'.join((*way, name))}", at=at)
        self._names.add((way, name))
        shape = self._shape_of(named.parents)
        if named.field.type is FieldKind.BASE64 and named.owner.model is not None:
            filled = reading.is_filled(named.owner.model, named.field.attname, named.column)
            index = self._column(f"{named.column}!", guarded_by(filled, named.parents))
            shape.members.append(BlobMember(name, index, named.field, shape))
            return
        if named.field.type is FieldKind.DATETIME and connection.vendor == "postgresql":
            index = self._column(f"{named.column}!", WrittenMoment(named.expression))
        else:
            index = self._column(named.column, named.expression)
        shape.members.append(FieldMember(name, index, named.field, write))

    def _shape_of(self, parents: tuple[Parent, ...]) -> Shape:
        way = tuple(parent.name for parent in parents)
        known = self._shapes.get(way)
        if known is not None:
            return known
        above = self._shape_of(parents[:-1])
        last = parents[-1]
        index = self._column(last.key, guarded(last.key, parents))
        made = Shape(last.object_type.api_name, last.object_type.key_prefix, index)
        above.members.append(ParentMember(last.name, made))
        self._shapes[way] = made
        return made

    def _column(self, name: str, expression: Any) -> int:
        # A reference and the id of what it names may be one column, seen with and without the guard.
        simple = isinstance(expression, F)
        key = name if simple else f"{name}?"
        if key not in self._places:
            self._places[key] = len(self._plan.columns)
            self._plan.columns.append(name if simple else expression)
        return self._places[key]

    def _fields(self, function: Function) -> None:
        chosen = str(function.arguments[0]).upper() if len(function.arguments) == 1 else ""
        if chosen not in {"ALL", "STANDARD", "CUSTOM"}:
            raise MalformedQuery("FIELDS() takes ALL, STANDARD or CUSTOM", at=function.at)
        limit = self._plan.query.limit
        if chosen != "STANDARD" and (limit is None or limit > _MAX_UNBOUNDED):
            told = f"The SOQL FIELDS function must have a LIMIT of at most {_MAX_UNBOUNDED}"
            raise MalformedQuery(told, at=function.at)
        for named in self._source.fields(lambda one: chosen == "ALL" or one.custom is (chosen == "CUSTOM")):
            if ((), named.field.api_name) not in self._names:
                self._field(named, None, function.at)

    def _shown(self, function: Function, alias: str | None) -> None:
        if function.name not in SHOWN_ONLY:
            # Date functions and the like have a meaning for groups only.
            raise MalformedQuery(f"{function.spelt[:80]} needs GROUP BY", at=function.at)
        named = self._source.named(single_path(function))
        write = column_writer(named.field)
        if function.name == "FORMAT":
            write = _as_text(write)
        elif function.name == "TOLABEL":
            write = _as_label(named.field)
        self._add(named, alias or named.field.api_name, function.at, write)

    def _typeof(self, item: TypeOf) -> None:
        names = self._source.own_names(item.reference.names)
        # Every reference names records of one kind, so the case that counts is known beforehand.
        probe = self._source.named(Path((*names, "Id"), item.reference.at))
        target = probe.parents[-1].object_type if probe.parents else self._plan.object_type
        chosen = item.otherwise
        for kind, fields in item.cases:
            self._require_type(kind)
            if str(kind).lower() == target.api_name.lower():
                chosen = fields
        self._shape_of(probe.parents)
        for path in chosen:
            named = self._source.named(Path((*names, *path.names), path.at))
            self._field(named, None, path.at)

    def _require_type(self, kind: Path) -> None:
        try:
            found = catalogue.get_object(str(kind))
        except UnknownObject:
            raise no_such_type(str(kind), kind.at) from None
        if not may(self._source.user, found, "read"):
            raise no_such_type(str(kind), kind.at)

    def _child(self, query: Query) -> None:
        if len(self._plan.children) >= MAX_CHILD_QUERIES:
            raise QueryTooComplicated(f"A query may have {MAX_CHILD_QUERIES} sub-queries of children.")
        relationship = self._relationship(query)
        if aggregates(query):
            raise MalformedQuery("aggregate functions have no place in a sub-query of children", at=query.source.at)
        source = Source(relationship.owner, self._source.user, _aliases(query))
        plan = plan_rows(query, source, include_deleted=self._include_deleted, level=self._level + 1)
        name = relationship.name or ""
        if ((), name) in self._names:
            raise MalformedQuery(f"duplicate sub-query: {name}", at=query.source.at)
        self._names.add(((), name))
        child = Child(relationship, plan, name)
        self._plan.children.append(child)
        assert self._plan.shape is not None  # noqa: S101 - for the type checker: made first
        self._plan.shape.members.append(ChildMember(name, self._plan.shape.key_index, lambda: child.found))

    def _relationship(self, query: Query) -> ChildRelationship:
        names = self._source.own_names(query.source.names)
        found = readable_child(self._source.user, self._plan.object_type, names[0]) if len(names) == 1 else None
        if found is None:
            raise no_such_relationship(str(query.source), "FROM part of query call", query.source.at)
        return found


def _row_operand(source: Source, expression: Expression) -> Operand:
    found = operand(source, expression)
    if found.is_aggregate:
        raise MalformedQuery(f"Grouped field or aggregate has no place here: {expression}"[:120], at=expression.at)
    return found


def inner_values(query: Query, user: AbstractUser, include_deleted: bool, level: int) -> tuple[Any, FieldType]:
    """Return the values of a query inside IN, and the field that they are of."""
    if level >= MAX_LEVELS:
        raise QueryTooComplicated(f"Queries may stand inside each other {MAX_LEVELS} deep.")
    source = source_of(query, user)
    item = query.selected[0]
    if len(query.selected) != 1 or not isinstance(item, Selected) or not isinstance(item.expression, Path):
        raise MalformedQuery("The inner query of IN selects one field", at=query.source.at)
    if query.limit is not None or query.order_by or query.group_by or query.having is not None or query.offset:
        raise MalformedQuery("The inner query of IN has no ORDER BY, LIMIT or GROUP BY", at=query.source.at)
    named = source.named(item.expression)
    if named.field.type not in {FieldKind.ID, FieldKind.REFERENCE}:
        raise InvalidField(f"'{named.field.api_name}' of the inner query is no id", at=item.expression.at)
    rows = chosen_rows(query, source, include_deleted, level + 1)
    values = rows.annotate(_inner=named.expression).filter(_inner__isnull=False).values("_inner")
    return values.query, named.field


def _in_scope(query: Query, source: Source, rows: "QuerySet[Any]") -> "QuerySet[Any]":
    scope = query.scope.lower()
    if scope == "everything":
        return rows
    owner = source.object_type.find_field("OwnerId")
    if scope != "mine" or owner is None:
        raise MalformedQuery(f"USING SCOPE {query.scope[:40]} is not supported for {source.object_type}")
    return rows.filter(**{owner.attname: source.user.pk})


def _aliases(query: Query) -> Mapping[str, Path | None]:
    found: dict[str, Path | None] = {}
    for name, path in query.aliases:
        if name.lower() in found:
            raise MalformedQuery(f"duplicate alias: {name}", at=query.source.at)
        found[name.lower()] = path
    return found


def _as_text(write: Column) -> Column:
    return lambda values: [None if value is None else str(value) for value in write(values)]


def _as_label(field: FieldType) -> Column:
    labels = {offered.value: offered.label or offered.value for offered in field.picklist_values}
    return lambda values: [labels.get(value, value) or None for value in values]
