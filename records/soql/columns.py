"""What the columns of a query's answer are (`columns=true`), for clients that print tables."""

from typing import Any

from isthmus.objects.object_types import FieldKind, FieldType
from records.soql.operands import AGGREGATES, operand
from records.soql.parsing import parse
from records.soql.plans import RowPlan, aggregates, plan_rows, source_of
from records.soql.running import Asked, located
from records.soql.shapes import ChildMember, FieldMember, ParentMember, Shape
from records.soql.sources import Source
from records.soql.statements import Expression, Function, Query, Selected
from records.soql.time_limit import time_limit

__all__ = ["columns_of"]

_TEXTS = {kind for kind in FieldKind if kind.is_text}


def columns_of(text: str, asked: Asked) -> dict[str, Any]:
    """Return the columns of the query's answer. Raises `QueryError`s."""
    query = parse(text)
    with located(text), time_limit():
        source = source_of(query, asked.user)
        if aggregates(query):
            columns = _of_groups(query, source)
        else:
            plan = plan_rows(query, source, include_deleted=asked.include_deleted)
            columns = [] if plan.shape is None else _of_shape(plan.shape, plan)
    return {
        "columnMetadata": columns,
        "entityName": source.object_type.api_name,
        "groupBy": bool(query.group_by),
        "idSelected": any(column["columnName"] == "Id" for column in columns),
        "keyPrefix": source.object_type.key_prefix,
    }


def _of_shape(shape: Shape, plan: RowPlan | None) -> list[dict[str, Any]]:
    found = []
    for member in shape.members:
        if isinstance(member, FieldMember):
            found.append(_column(member.name, member.field))
        elif isinstance(member, ParentMember):
            found.append(_column(member.name, joined=_of_shape(member.shape, None)))
        elif isinstance(member, ChildMember) and plan is not None:
            child = next(one for one in plan.children if one.member == member.name)
            below = [] if child.plan.shape is None else _of_shape(child.plan.shape, child.plan)
            found.append(_column(member.name, aggregate=True, joined=below))
    return found


def _of_groups(query: Query, source: Source) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    unnamed = 0
    for item in query.selected:
        if not isinstance(item, Selected):
            continue
        expression: Expression = item.expression
        is_total = isinstance(expression, Function)
        name = item.alias or (f"expr{unnamed}" if is_total else operand(source, expression).field.api_name)
        unnamed += is_total and item.alias is None
        field = None
        if not isinstance(expression, Function) or expression.name in AGGREGATES:
            field = operand(source, expression).field
        shown = item.alias or (expression.spelt if isinstance(expression, Function) else name)
        found.append(_column(name, field, aggregate=is_total, shown=shown))
    return found


def _column(
    name: str,
    field: FieldType | None = None,
    *,
    aggregate: bool = False,
    joined: list[dict[str, Any]] | None = None,
    shown: str = "",
) -> dict[str, Any]:
    kind = field.type if field is not None else None
    return {
        "aggregate": aggregate,
        "apexType": kind.value.title() if kind is not None else None,
        "booleanType": kind is FieldKind.BOOLEAN,
        "columnName": name,
        "custom": field is not None and field.custom,
        "displayName": shown or name,
        "foreignKeyName": (field.relationship_name or None) if field is not None else None,
        "insertable": field is not None and field.createable and not aggregate,
        "joinColumns": joined or [],
        "numberType": kind is not None and kind.is_number,
        "textType": kind in _TEXTS,
        "updatable": field is not None and field.updateable and not aggregate,
    }
