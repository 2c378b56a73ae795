"""Turns WHERE and HAVING into conditions of the database.

A condition of SOQL is true or false, never unknown: `Industry != 'Energy'` is true of a record without an industry. SQL
knows a third answer, so NOT is carried down to the comparisons, where each says what becomes of nulls.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Concat
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, In, IsNull, LessThan, LessThanOrEqual

from isthmus.objects.object_types import FieldKind, FieldType
from records.soql.errors import InvalidField, InvalidFilter, QueryTooComplicated
from records.soql.expressions import Junction, Matches, Never, NumberValue
from records.soql.letter_case import lower
from records.soql.operands import Operand
from records.soql.statements import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Expression,
    Literal,
    LiteralKind,
    Membership,
    Negation,
    Query,
)
from records.soql.texts import letters_of, unescaped
from records.soql.values import NOTHING, as_span, as_value

__all__ = ["MAX_COMPARISONS", "ConditionCompiler"]

MAX_COMPARISONS = 5_000
"""How many comparisons the conditions of a query may have."""

_LOOKUPS: "dict[str, type[models.Lookup[Any]]]" = {
    "=": Exact,
    "<": LessThan,
    "<=": LessThanOrEqual,
    ">": GreaterThan,
    ">=": GreaterThanOrEqual,
}
_COLUMNS: "dict[FieldKind, models.Field[Any, Any]]" = {
    FieldKind.BOOLEAN: models.BooleanField(),
    FieldKind.DATE: models.DateField(),
    FieldKind.DATETIME: models.DateTimeField(),
    FieldKind.TIME: models.TimeField(),
    FieldKind.ID: models.BigIntegerField(),
    FieldKind.REFERENCE: models.BigIntegerField(),
}


class ConditionCompiler:
    """Compiles the conditions of one query.

    `operand` finds what an expression stands for; `inner` returns, for a query inside IN, the values of its rows and
    the field that they are of.
    """

    def __init__(
        self, operand: Callable[[Expression], Operand], inner: Callable[[Query], tuple[Any, FieldType]]
    ) -> None:
        self._operand = operand
        self._inner = inner
        self._count = 0

    def compile(self, condition: Condition, *, negate: bool = False) -> Any:
        """Return the condition for a query set. Raises `QueryError`s."""
        if isinstance(condition, Negation):
            return self.compile(condition.condition, negate=not negate)
        if isinstance(condition, AllOf | AnyOf):
            parts = [self.compile(part, negate=negate) for part in condition.conditions]
            return Junction("AND" if isinstance(condition, AllOf) is not negate else "OR", *parts)
        self._count += 1
        if self._count > MAX_COMPARISONS:
            raise QueryTooComplicated(f"The conditions have more than {MAX_COMPARISONS} comparisons.")
        operand = self._operand(condition.operand)
        if not operand.field.filterable:
            name = operand.field.api_name
            raise InvalidField(f"field '{name}' can not be filtered in a query call", at=condition.operand.at)
        if isinstance(condition, Comparison):
            return self._comparison(operand, condition, negate)
        return self._membership(operand, condition, negate)

    def _comparison(self, operand: Operand, comparison: Comparison, negate: bool) -> Any:
        literal, operator = comparison.value, comparison.operator
        if operator == "!=":
            operator, negate = "=", not negate
        if operator == "LIKE":
            return self._like(operand, literal, negate)
        if literal.kind is LiteralKind.RELATIVE:
            return _settled(_within(operand, operator, literal), operand, negate)
        value = as_value(operand.field, literal)
        if value is None:
            if operator != "=":
                raise InvalidFilter(f"null cannot be compared with {operator}", at=literal.at)
            return IsNull(operand.expression, not negate)
        if operator != "=":
            _refuse_order(operand, operator, literal)
        return _settled(_compared(operand, operator, value), operand, negate)

    def _like(self, operand: Operand, literal: Literal, negate: bool) -> Any:
        if not operand.field.type.is_text:
            raise InvalidFilter(f"LIKE does not suit field '{operand.field.api_name}'", at=literal.at)
        pattern = "".join(_like_letter(letter, escaped) for letter, escaped in letters_of(literal.value))
        return _settled(_matches(operand.expression, operand.field, pattern), operand, negate)

    def _membership(self, operand: Operand, membership: Membership, negate: bool) -> Any:
        operator, values = membership.operator, membership.values
        if operator in {"NOT IN", "EXCLUDES"}:
            negate = not negate
        if isinstance(values, Query):
            return self._in_query(operand, values, negate)
        if operator in {"INCLUDES", "EXCLUDES"}:
            return _settled(_includes(operand, values), operand, negate)
        spans = [one for one in values if one.kind is LiteralKind.RELATIVE]
        given = [as_value(operand.field, one) for one in values if one.kind is not LiteralKind.RELATIVE]
        listed = [value for value in given if value is not None and value is not NOTHING]
        parts = [_within(operand, "=", one) for one in spans]
        if listed:
            parts.append(_listed(operand, listed))
        found = Junction("OR", *parts) if parts else Never()
        if any(value is None for value in given):
            found = Junction("OR", IsNull(operand.expression, True), found)
            # Nulls are settled: they are in the list.
            return Q(IsNull(operand.expression, False)) & ~Q(found) if negate else found
        return _settled(found, operand, negate)

    def _in_query(self, operand: Operand, query: Query, negate: bool) -> Any:
        if operand.field.type not in {FieldKind.ID, FieldKind.REFERENCE}:
            told = f"The left operand of a semi-join must be an id or a reference: '{operand.field.api_name}'"
            raise InvalidFilter(told, at=query.at)
        rows, field = self._inner(query)
        if not set(field.reference_to) & set(operand.field.reference_to):
            told = f"'{field.api_name}' of the inner query names other records than '{operand.field.api_name}'"
            raise InvalidField(told, at=query.at)
        return _settled(In(operand.expression, rows), operand, negate)


def _settled(condition: Any, operand: Operand, negate: bool) -> Any:
    """Return a condition that is true or false whatever the operand: a null meets only what is negated."""
    if not negate:
        return condition
    return Junction("OR", ~Q(condition), IsNull(operand.expression, True))


def _compared(operand: Operand, operator: str, value: Any) -> Any:
    if value is NOTHING:
        return Never()
    left, right = operand.expression, _value(operand.field, value)
    if operand.is_text:
        if operator == "=" and operand.named is not None and not operand.named.is_guarded:
            # As an index on Lower(…) has it; a text that is not empty needs no null for the empty one.
            left = operand.named.expression
        fold = lower(value)
        left, right = fold(left), fold(right)
    return _LOOKUPS[operator](left, right)


def _listed(operand: Operand, values: Sequence[Any]) -> Any:
    made = [_value(operand.field, value) for value in values]
    if operand.is_text:
        fold = lower("".join(values))
        return In(fold(operand.expression), [fold(value) for value in made])
    return In(operand.expression, made)


def _within(operand: Operand, operator: str, literal: Literal) -> Any:
    first, after = as_span(operand.field, literal)
    begins, ends = _value(operand.field, first), _value(operand.field, after)
    left = operand.expression
    if operator == "=":
        return Junction("AND", GreaterThanOrEqual(left, begins), LessThan(left, ends))
    lookup, bound = {
        "<": (LessThan, begins),
        "<=": (LessThan, ends),
        ">": (GreaterThanOrEqual, ends),
        ">=": (GreaterThanOrEqual, begins),
    }[operator]
    return lookup(left, bound)


def _includes(operand: Operand, values: Sequence[Literal]) -> Any:
    if operand.field.type is not FieldKind.MULTIPICKLIST:
        raise InvalidFilter(f"INCLUDES does not suit field '{operand.field.api_name}'", at=values[0].at)
    text = Concat(Value(";"), operand.expression, Value(";"), output_field=models.TextField())
    alternatives = []
    for literal in values:
        if literal.kind is not LiteralKind.STRING:
            raise InvalidField("INCLUDES and EXCLUDES take texts in quotes", at=literal.at)
        wanted = [one.strip() for one in unescaped(literal.value).split(";") if one.strip()]
        patterns = ["%;" + "".join(_like_letter(letter, True) for letter in one) + ";%" for one in wanted]
        parts = [_matches(text, operand.field, pattern) for pattern in patterns]
        alternatives.append(Junction("AND", *parts) if parts else Never())
    return Junction("OR", *alternatives)


def _matches(text: Any, field: FieldType, pattern: str) -> Matches:
    fold = lower(pattern)
    return Matches(fold(text), fold(_value(field, pattern)))


def _like_letter(letter: str, escaped: bool) -> str:
    if letter == "\\" or (escaped and letter in "%_"):
        return f"\\{letter}"
    return letter


def _refuse_order(operand: Operand, operator: str, literal: Literal) -> None:
    if operand.field.type in {FieldKind.BOOLEAN, FieldKind.MULTIPICKLIST}:
        told = f"{operator} does not suit field '{operand.field.api_name}' of type {operand.field.type.value}"
        raise InvalidFilter(told, at=literal.at)


def _value(field: FieldType, value: Any) -> Any:
    if field.type.is_number:
        column = models.DecimalField() if not isinstance(value, int | float) else None
        return NumberValue(value, output_field=column or _number_column(value))
    return Value(value, output_field=_COLUMNS.get(field.type, models.TextField()))


def _number_column(value: float) -> "models.Field[Any, Any]":
    return models.FloatField() if isinstance(value, float) else models.BigIntegerField()
