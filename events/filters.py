"""Filter expressions: the WHERE clause of a query without the word, evaluated on the values of one event.

    Status__c = 'Ready' AND (Amount__c > 1000 OR Urgent__c = true)

Texts are compared whatever their case, `LIKE` knows `%` and `_`, a missing value is null. AND and OR are mixed only
with parentheses, as in Salesforce
(https://developer.salesforce.com/docs/atlas.en-us.platform_events.meta/platform_events/platform_events_filter_channel.htm).
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import re2
from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError
from lark.visitors import Transformer_NonRecursive

from events.avro import AvroSchema
from events.errors import InvalidFilter

__all__ = ["Filter", "parse_filter"]

LONGEST_EXPRESSION = 131_072
MOST_FIELDS = 10
_DEEPEST = 50

_GRAMMAR = r"""
?start: expression
?expression: operand | conjunction | disjunction
conjunction: operand ("AND"i operand)+
disjunction: operand ("OR"i operand)+
?operand: negation | comparison | "(" expression ")"
negation: "NOT"i operand
comparison: FIELD OPERATOR literal
          | FIELD LIKE text     -> like
?literal: text | number | moment | day | boolean | null
text: TEXT
number: NUMBER
moment: MOMENT
day: DAY
boolean: BOOLEAN
null: NULL

LIKE: "LIKE"i
BOOLEAN: "true"i | "false"i
NULL: "null"i
OPERATOR: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
FIELD: /[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?/i
TEXT: /'(?:[^'\\]|\\.)*'/s
MOMENT.3: /\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)/
DAY.2: /\d{4}-\d\d-\d\d/
NUMBER: /[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,3})?/
%ignore /\s+/
"""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}

Values = Callable[[str], Any]
"""Gives the value of a field by its name, as events carry it; `None` when it has none."""

Predicate = Callable[[Values], bool]


@dataclass(frozen=True)
class _Comparison:
    """What a filter asks of one field."""

    field: str
    kind: str
    """Kind of the literal: text, number, moment, day, boolean or null."""
    is_ordering: bool


@dataclass(frozen=True)
class _Node:
    matches: Predicate
    comparisons: tuple[_Comparison, ...]
    depth: int


@dataclass(frozen=True)
class Filter:
    """A filter expression that was understood."""

    expression: str
    comparisons: tuple[_Comparison, ...]
    matches: Predicate
    """Whether an event with these values is wanted."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that the filter looks at, as they are written."""
        return tuple(dict.fromkeys(found.field for found in self.comparisons))

    def takes(self, payload: Mapping[str, Any]) -> bool:
        """Return whether an event with this payload is wanted; `Parent.Child` looks into the header."""
        return self.matches(lambda name: _value(payload, name))

    def check(self, schema: AvroSchema) -> None:
        """Return if the filter makes sense for events of this schema. Raises `InvalidFilter`."""
        kinds = _kinds(schema)
        for found in self.comparisons:
            kind = kinds.get(found.field)
            if kind is None:
                raise InvalidFilter(f"{schema.record_name} has no field {found.field!r} that can be compared.")
            if found.kind not in {kind, "null"}:
                raise InvalidFilter(f"{found.field} is compared with a {found.kind}; it takes a {kind}.")
            if found.is_ordering and (found.kind == "null" or kind == "boolean"):
                raise InvalidFilter(f"{found.field} can be compared with this value only by = and !=.")


@lru_cache(maxsize=512)
def parse_filter(expression: str) -> Filter:
    """Return the filter that `expression` describes. Raises `InvalidFilter`, which tells where it goes wrong."""
    if len(expression) > LONGEST_EXPRESSION:
        raise InvalidFilter(f"A filter has at most {LONGEST_EXPRESSION:,} characters.")
    try:
        node = _Builder().transform(Tree("root", [_PARSER.parse(expression)])).children[0]
    except UnexpectedInput as unexpected:
        raise InvalidFilter(_complaint(unexpected, expression)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidFilter):
            raise error.orig_exc from None
        raise
    found = Filter(expression, node.comparisons, node.matches)
    if len(found.fields) > MOST_FIELDS:
        raise InvalidFilter(f"A filter looks at {MOST_FIELDS} fields at most, not {len(found.fields)}.")
    return found


def _complaint(unexpected: UnexpectedInput, expression: str) -> str:
    if isinstance(unexpected, UnexpectedToken) and unexpected.token.type == "$END":
        return "The filter ends too early."
    place = unexpected.pos_in_stream or 0
    return (
        f"The filter is not understood at character {place + 1}: {expression[place : place + 20]!r}. "
        "It looks like Status__c = 'New' AND (Amount__c > 10 OR Urgent__c = true); "
        "AND and OR are mixed with parentheses only."
    )


class _Builder(Transformer_NonRecursive[Token, Any]):
    """Makes predicates of the tree, from its leaves up."""

    def conjunction(self, children: list[_Node]) -> _Node:
        return _combined(children, all)

    def disjunction(self, children: list[_Node]) -> _Node:
        return _combined(children, any)

    def negation(self, children: list[_Node]) -> _Node:
        (child,) = children
        return _node(lambda values: not child.matches(values), children)

    def comparison(self, children: list[Any]) -> _Node:
        field, sign, (kind, wanted) = str(children[0]), str(children[1]), children[2]
        compare = _SIGNS[sign]
        is_ordering = sign not in {"=", "!=", "<>"}

        def matches(values: Values) -> bool:
            given = _comparable(values(field), kind)
            if given is None or wanted is None:
                return not is_ordering and compare(given, wanted)
            return compare(given, wanted)

        return _Node(matches, (_Comparison(field, kind, is_ordering),), 1)

    def like(self, children: list[Any]) -> _Node:
        field, pattern = str(children[0]), _like(children[2][1])

        def matches(values: Values) -> bool:
            given = values(field)
            return isinstance(given, str) and pattern.fullmatch(given.casefold()) is not None

        return _Node(matches, (_Comparison(field, "text", is_ordering=False),), 1)

    def text(self, children: list[Token]) -> tuple[str, Any]:
        return "text", _unescaped(children[0][1:-1]).casefold()

    def number(self, children: list[Token]) -> tuple[str, Any]:
        return "number", float(children[0])

    def moment(self, children: list[Token]) -> tuple[str, Any]:
        return "moment", _parsed(datetime.fromisoformat, children[0])

    def day(self, children: list[Token]) -> tuple[str, Any]:
        return "day", _parsed(date.fromisoformat, children[0])

    def boolean(self, children: list[Token]) -> tuple[str, Any]:
        return "boolean", children[0].lower() == "true"

    def null(self, _children: list[Token]) -> tuple[str, Any]:
        return "null", None


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}

_PARSER = Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


def _combined(children: Sequence[_Node], together: Callable[[Iterable[bool]], bool]) -> _Node:
    predicates = [child.matches for child in children]
    return _node(lambda values: together(predicate(values) for predicate in predicates), children)


def _node(matches: Predicate, children: Sequence[_Node]) -> _Node:
    depth = 1 + max(child.depth for child in children)
    if depth > _DEEPEST:
        raise InvalidFilter(f"A filter is nested at most {_DEEPEST} deep.")
    return _Node(matches, tuple(found for child in children for found in child.comparisons), depth)


def _comparable(value: Any, kind: str) -> Any:
    """Return a field's value as it compares with a literal of that kind; `None` when it does not."""
    if value is None or kind == "null":
        return value
    if isinstance(value, bool) or kind == "boolean":
        return value if isinstance(value, bool) and kind == "boolean" else None
    if isinstance(value, int | float):
        return value if kind == "number" else None
    if not isinstance(value, str):
        return None
    if kind == "text":
        return value.casefold()
    readers: dict[str, Callable[[str], Any]] = {"moment": datetime.fromisoformat, "day": date.fromisoformat}
    try:
        return readers[kind](value) if kind in readers else None
    except ValueError:
        return None


def _value(payload: Mapping[str, Any], name: str) -> Any:
    parent, _, child = name.partition(".")
    return payload.get(parent, {}).get(child) if child else payload.get(parent)


def _parsed(read: Callable[[str], Any], token: Token) -> Any:
    try:
        return read(token)
    except ValueError:
        raise InvalidFilter(f"There is no such day or time: {token}.") from None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text, flags=re.DOTALL)


def _like(pattern: str) -> Any:
    """Return what matches a pattern of LIKE, in time that grows with the text only."""
    signs = {"%": "(?s:.*)", "_": "(?s:.)"}
    return re2.compile("".join(signs.get(sign) or re2.escape(sign) for sign in pattern))


def _kinds(schema: AvroSchema) -> dict[str, str]:
    """Return what kind of literal each field takes; of the header its single values."""
    by_data_type = {"DateTime": "moment", "DateOnly": "day", "TimeOnly": "text"}
    by_avro_type = {"string": "text", "boolean": "boolean"}
    return {
        field.name: by_data_type.get(field.data_type) or by_avro_type.get(field.avro_type, "number")
        for field in schema.plain_fields()
    }
