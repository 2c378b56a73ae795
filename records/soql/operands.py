"""What a query compares, sorts and groups by: fields and functions of fields, as expressions of the database."""

from dataclasses import dataclass
from typing import Any

from django.db import models

from isthmus.objects.object_types import FieldKind, FieldType
from records.soql.errors import InvalidField, MalformedQuery
from records.soql.expressions import DATE_FUNCTIONS, date_function, none_if_empty
from records.soql.sources import NamedField, Source
from records.soql.statements import Expression, Function, Path

__all__ = ["AGGREGATES", "SHOWN_ONLY", "Operand", "aggregate", "operand", "plain"]

AGGREGATES = {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}
SHOWN_ONLY = {"TOLABEL", "FORMAT", "CONVERTCURRENCY"}
"""Functions that change how a value is shown and not what it is."""
_DATES = {FieldKind.DATE, FieldKind.DATETIME}


@dataclass(frozen=True)
class Operand:
    """Something with a value for each row, or for each group of rows."""

    field: FieldType
    """The field, or one made up for a function: it says what type the values have."""
    expression: Any
    """With null for an empty text."""
    named: NamedField | None = None
    """The field, if it is nothing but one."""
    is_aggregate: bool = False

    @property
    def is_text(self) -> bool:
        """Whether letter case does not count."""
        return self.field.type.is_text and not self.field.case_sensitive


def operand(source: Source, expression: Expression) -> Operand:
    """Return what an expression stands for. Raises `InvalidField`, `MalformedQuery`."""
    if isinstance(expression, Path):
        return plain(source.named(expression))
    if expression.name in AGGREGATES:
        return aggregate(source, expression)
    if expression.name in DATE_FUNCTIONS:
        return _of_date(source, expression)
    if expression.name in SHOWN_ONLY:
        return operand(source, single_path(expression))
    raise MalformedQuery(f"unexpected function: {expression.name[:60]}", at=expression.at)


def plain(named: NamedField) -> Operand:
    """Return the operand for a field itself."""
    expression = named.expression
    if named.field.type.is_text:
        expression = none_if_empty(expression)
    return Operand(named.field, expression, named)


def single_path(function: Function) -> Path:
    """Return the one field that a function is given. Raises `MalformedQuery`."""
    if len(function.arguments) != 1 or not isinstance(function.arguments[0], Path):
        raise MalformedQuery(f"{function.name}() takes one field", at=function.at)
    return function.arguments[0]


def aggregate(source: Source, function: Function) -> Operand:
    """Return the operand for a function of many rows. Raises `InvalidField`, `MalformedQuery`."""
    if function.name == "COUNT" and not function.arguments:
        return Operand(_made("COUNT", FieldKind.INT), models.Count("pk"), is_aggregate=True)
    found = plain(source.named(single_path(function)))
    field = found.field
    unsuited = InvalidField(f"field '{field.api_name}' does not support {function.name}()", at=function.at)
    if not field.aggregatable:
        raise unsuited
    if function.name in {"COUNT", "COUNT_DISTINCT"}:
        counted = models.Count(found.expression, distinct=function.name == "COUNT_DISTINCT")
        return Operand(_made(function.name, FieldKind.INT), counted, is_aggregate=True)
    if function.name in {"MIN", "MAX"}:
        made = models.Min if function.name == "MIN" else models.Max
        return Operand(field, made(found.expression), is_aggregate=True)
    if not field.type.is_number:
        raise unsuited
    whole = field.type in {FieldKind.INT, FieldKind.LONG} and function.name == "SUM"
    kind = FieldKind.LONG if whole else FieldKind.DOUBLE
    added = (models.Sum if function.name == "SUM" else models.Avg)(found.expression)
    return Operand(_made(function.name, kind), added, is_aggregate=True)


def _of_date(source: Source, function: Function) -> Operand:
    if len(function.arguments) != 1 or isinstance(function.arguments[0], str):
        raise MalformedQuery(f"{function.name}() takes one field", at=function.at)
    given = function.arguments[0]
    if isinstance(given, Function):
        if given.name != "CONVERTTIMEZONE":
            raise MalformedQuery(f"{function.name}() takes one field", at=function.at)
        # Days are those of UTC for everybody.
        given = single_path(given)
    named = source.named(given)
    is_moment = named.field.type is FieldKind.DATETIME
    if named.field.type not in _DATES or (function.name == "HOUR_IN_DAY" and not is_moment):
        raise InvalidField(f"field '{named.field.api_name}' does not support {function.name}", at=function.at)
    kind = FieldKind.DATE if function.name == "DAY_ONLY" else FieldKind.INT
    return Operand(_made(function.name, kind), date_function(function.name, named.expression, is_moment=is_moment))


def _made(name: str, kind: FieldKind) -> FieldType:
    return FieldType(api_name=name, label=name, type=kind)
