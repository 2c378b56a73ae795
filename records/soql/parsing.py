"""Reads the text of a query. Time grows with the length of the text and nothing else: the parser is LALR(1)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, NoReturn

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from lark.exceptions import VisitError

from records.soql import relative_dates
from records.soql.errors import MalformedQuery, OffsetOutOfRange, QueryError, QueryTooComplicated
from records.soql.statements import (
    AllOf,
    AnyOf,
    ChildQuery,
    Comparison,
    Condition,
    Expression,
    Function,
    Literal,
    LiteralKind,
    Membership,
    Negation,
    Ordering,
    Path,
    Query,
    Selected,
    TypeOf,
)
from records.soql.texts import unescaped

__all__ = ["MAX_CONDITION_DEPTH", "MAX_QUERY_LENGTH", "parse", "parse_found"]

MAX_QUERY_LENGTH = 100_000
"""Characters of a query."""
MAX_CONDITION_DEPTH = 40
"""How deep NOT, AND and OR may be nested in each other."""
MAX_STRING_LENGTH = 4_000
MAX_OFFSET = 2_000
_MAX_LIMIT = 2**31 - 1
_REMEMBERED_LENGTH = 4_000
_MAX_SHOWN = 60
_MAX_EXPONENT = 400
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")
"""What no database holds, written as it is or by an escape: NUL, and half a surrogate pair."""


def parse(text: str) -> Query:
    """Return the query. Raises `MalformedQuery` and the like, with the place in their message."""
    # Most texts come again; long ones would fill the memory instead.
    return _parse_again(text) if len(text) <= _REMEMBERED_LENGTH else _parse(text)


def parse_found(text: str, object_name: str) -> Query:
    """Return the query for what SOSL has in brackets after an object: `Id, Name WHERE … ORDER BY … LIMIT …`.

    Raises what `parse` raises.
    """
    return replace(_parse(text, "found"), source=Path((object_name,), 0))


def _parse(text: str, start: str = "start") -> Query:
    if len(text) > MAX_QUERY_LENGTH:
        raise MalformedQuery(f"SOQL statements cannot be longer than {MAX_QUERY_LENGTH} characters.")
    if (refused := _NO_CHARACTER.search(text)) is not None:
        raise MalformedQuery(_no_character(refused), at=refused.start()).located(text)
    try:
        found: Any = _parser().parse(text, start=start)
    except UnexpectedToken as error:
        raise _unexpected(error.token, len(text)).located(text) from None
    except UnexpectedCharacters as error:
        place = error.pos_in_stream or 0
        raise _unexpected_character(text, place).located(text) from None
    except UnexpectedEOF:
        raise MalformedQuery("unexpected end of query", at=len(text)).located(text) from None
    except VisitError as error:
        raise _cause(error).located(text) from None
    except QueryError as error:
        raise error.located(text) from None
    assert isinstance(found, Query)  # noqa: S101 - for the type checker: the grammar's start is a query
    return found


_parse_again = lru_cache(maxsize=512)(_parse)


def _cause(error: VisitError) -> QueryError:
    if isinstance(error.orig_exc, QueryError):
        return error.orig_exc
    raise error


def _unexpected(token: Token, end: int) -> MalformedQuery:
    if token.type == "$END":
        return MalformedQuery("unexpected end of query", at=end)
    return MalformedQuery(f"unexpected token: '{_shortened(str(token))}'", at=token.start_pos)


def _unexpected_character(text: str, place: int) -> MalformedQuery:
    letter = text[place]
    if letter == "'":
        return MalformedQuery("a text is not closed: its second ' is missing", at=place)
    word = letter
    while letter.isalnum() and place + len(word) < len(text) and (text[place + len(word)].isalnum()):
        word += text[place + len(word)]
        if len(word) > _MAX_SHOWN:
            break
    return MalformedQuery(f"unexpected token: '{_shortened(word)}'", at=place)


def _no_character(found: re.Match[str]) -> str:
    return f"unexpected character: U+{ord(found[0]):04X}"


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


@v_args(inline=True)
class _Statements(Transformer[Token, Query]):
    """Builds the statement from the leaves up, as the parser goes along."""

    def start(self, query: Query) -> Query:
        return query

    def query(self, selected: Any, source: Any, *parts: tuple[str, Any]) -> Query:
        first, aliases = source
        given: dict[str, Any] = {}
        purposes = set()
        for name, value in parts:
            if name == "purposes":
                purposes.add(value)
            else:
                given[name] = value
        return Query(selected=selected, source=first, aliases=aliases, purposes=frozenset(purposes), **given)

    def found(self, selected: Any, *parts: tuple[str, Any]) -> Query:
        return Query(selected=selected, source=Path((), 0), **dict(parts))

    def select_list(self, *items: Any) -> tuple[Any, ...]:
        return items

    def selected(self, expression: Expression, alias: str | None = None) -> Selected:
        return Selected(expression, alias)

    def alias(self, token: Token) -> str:
        return _single(token, "alias")

    def child_query(self, query: Query) -> ChildQuery:
        return ChildQuery(query)

    def typeof(self, reference: Token, *parts: Any) -> TypeOf:
        cases = tuple(part for part in parts if len(part) == 2 and isinstance(part[0], Path) and part[1] is not None)
        otherwise = next((part[0] for part in parts if len(part) == 1), ())
        return TypeOf(_path(reference), cases, otherwise)

    def typeof_when(self, name: Token, fields: tuple[Path, ...]) -> tuple[Path, tuple[Path, ...]]:
        return _path(name), fields

    def typeof_else(self, fields: tuple[Path, ...]) -> tuple[tuple[Path, ...]]:
        return (fields,)

    def typeof_fields(self, *tokens: Token) -> tuple[Path, ...]:
        return tuple(_path(token) for token in tokens)

    def from_list(self, *items: tuple[Path, str | None]) -> tuple[Path, tuple[tuple[str, Path | None], ...]]:
        first, alias = items[0]
        aliases: list[tuple[str, Path | None]] = [(alias, None)] if alias else []
        for path, name in items[1:]:
            if name is None:
                raise MalformedQuery("every further object of FROM needs an alias", at=path.at)
            aliases.append((name, path))
        return first, tuple(aliases)

    def from_item(self, source: Token, alias: Token | None = None) -> tuple[Path, str | None]:
        return _path(source), None if alias is None else _single(alias, "alias")

    def scope(self, name: Token) -> tuple[str, str]:
        return "scope", str(name)

    def where(self, condition: Condition) -> tuple[str, Condition]:
        return "where", condition

    def having(self, condition: Condition) -> tuple[str, Condition]:
        return "having", condition

    def group_by(self, *expressions: Expression) -> tuple[str, tuple[Expression, ...]]:
        return "group_by", expressions

    def order_by(self, *items: Ordering) -> tuple[str, tuple[Ordering, ...]]:
        return "order_by", items

    def order_item(self, expression: Expression, *tokens: Token) -> Ordering:
        kinds = {token.type for token in tokens}
        nulls_last = True if "NULLS_LAST" in kinds else False if "NULLS_FIRST" in kinds else None
        return Ordering(expression, "DESC" in kinds, nulls_last)

    def limit(self, token: Token) -> tuple[str, int]:
        return "limit", _whole(token, "LIMIT", _MAX_LIMIT)

    def offset(self, token: Token) -> tuple[str, int]:
        found = _whole(token, "OFFSET", _MAX_LIMIT)
        if found > MAX_OFFSET:
            raise OffsetOutOfRange(at=token.start_pos)
        return "offset", found

    def for_what(self, token: Token) -> tuple[str, str]:
        return "purposes", token.split()[1].upper()

    def all_rows(self) -> tuple[str, bool]:
        return "all_rows", True

    def update_what(self, token: Token) -> tuple[str, str]:
        return "purposes", token.split()[1].upper()

    def all_of(self, *conditions: Condition) -> AllOf:
        return AllOf(conditions, _depth(conditions))

    def any_of(self, *conditions: Condition) -> AnyOf:
        return AnyOf(conditions, _depth(conditions))

    def negated(self, condition: Condition) -> Condition:
        # NOT NOT x is x, however often.
        return condition.condition if isinstance(condition, Negation) else Negation(condition, _depth((condition,)))

    def compared(self, operand: Expression, operator: Token, value: Literal) -> Comparison:
        name = operator.upper()
        if name == "LIKE" and value.kind is not LiteralKind.STRING:
            raise MalformedQuery("LIKE compares with a text in quotes", at=value.at)
        return Comparison(operand, "!=" if name == "<>" else name, value)

    def in_list(self, operand: Expression, operator: Token, values: tuple[Literal, ...]) -> Membership:
        return Membership(operand, " ".join(operator.upper().split()), values)

    def in_query(self, operand: Expression, operator: Token, query: Query) -> Membership:
        return Membership(operand, " ".join(operator.upper().split()), query)

    def value_list(self, *values: Literal) -> tuple[Literal, ...]:
        return values

    def path(self, token: Token) -> Path:
        return _path(token)

    def function(self, name: Token, *arguments: Expression | str) -> Function:
        if "." in name:
            raise MalformedQuery(f"unexpected token: '{_shortened(name)}'", at=name.start_pos)
        if any(isinstance(one, Function) and _is_nested(one) for one in arguments):
            raise MalformedQuery("functions stand inside each other two deep at most", at=name.start_pos)
        spelt = f"{name}({', '.join(str(argument) for argument in arguments)})"
        return Function(name.upper(), arguments, name.start_pos or 0, spelt)

    def text_argument(self, token: Token) -> str:
        return str(token)

    def string(self, token: Token) -> Literal:
        raw = token[1:-1]
        if len(raw) > MAX_STRING_LENGTH:
            told = f"a text in a query has at most {MAX_STRING_LENGTH} characters"
            raise MalformedQuery(told, at=token.start_pos)
        if (refused := _NO_CHARACTER.search(unescaped(raw))) is not None:
            raise MalformedQuery(_no_character(refused), at=token.start_pos)
        return Literal(LiteralKind.STRING, raw, token.start_pos or 0)

    def number(self, token: Token) -> Literal:
        return Literal(LiteralKind.NUMBER, _decimal(token, str(token)), token.start_pos or 0)

    def currency(self, token: Token) -> Literal:
        return Literal(LiteralKind.NUMBER, _decimal(token, token[3:]), token.start_pos or 0)

    def date(self, token: Token) -> Literal:
        return Literal(LiteralKind.DATE, _moment(token, date.fromisoformat), token.start_pos or 0)

    def datetime(self, token: Token) -> Literal:
        return Literal(LiteralKind.DATETIME, _moment(token, _read_datetime), token.start_pos or 0)

    def time(self, token: Token) -> Literal:
        found = _moment(token, lambda text: time.fromisoformat(text.upper().removesuffix("Z")))
        return Literal(LiteralKind.TIME, found, token.start_pos or 0)

    def word(self, token: Token) -> Literal:
        at = token.start_pos or 0
        name, _, number = (part.strip() for part in token.upper().partition(":"))
        if not number and name in _WORDS:
            kind, value = _WORDS[name]
            return Literal(kind, value, at)
        if relative_dates.is_known(name, bool(number)):
            return Literal(LiteralKind.RELATIVE, (name, int(number[:12]) if number else 0), at)
        raise MalformedQuery(f"unexpected token: '{_shortened(token)}'", at=at)

    def access_mode(self, token: Token) -> tuple[str, str]:
        # Grants and sharing are always asked; what else there is in Salesforce, is not here.
        mode = token.upper()
        if mode not in {"USER_MODE", "SECURITY_ENFORCED"}:
            raise MalformedQuery(f"unexpected token: '{_shortened(token)}'", at=token.start_pos)
        return "mode", mode


_WORDS: dict[str, tuple[LiteralKind, Any]] = {
    "TRUE": (LiteralKind.BOOLEAN, True),
    "FALSE": (LiteralKind.BOOLEAN, False),
    "NULL": (LiteralKind.NULL, None),
}


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = FilePath(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        start=["start", "found"],
        parser="lalr",
        lexer="contextual",
        transformer=_Statements(),
        maybe_placeholders=False,
    )


def _depth(conditions: Sequence[Condition]) -> int:
    found = 1 + max(getattr(condition, "depth", 0) for condition in conditions)
    if found > MAX_CONDITION_DEPTH:
        raise QueryTooComplicated(f"Conditions are nested deeper than {MAX_CONDITION_DEPTH} levels.")
    return found


def _path(token: Token) -> Path:
    return Path(tuple(name.strip() for name in token.split(".")), token.start_pos or 0)


def _is_nested(function: Function) -> bool:
    return any(isinstance(one, Function) for one in function.arguments)


def _single(token: Token, what: str) -> str:
    if "." in token:
        raise MalformedQuery(f"an {what} has no dots: '{_shortened(token)}'", at=token.start_pos)
    return str(token)


def _whole(token: Token, what: str, most: int) -> int:
    if not token.isdecimal():
        raise MalformedQuery(f"unexpected token: '{_shortened(token)}'", at=token.start_pos)
    return min(int(token[:20]), most)


def _decimal(token: Token, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        _refuse(token, "is no number")
    if found and abs(found.adjusted()) > _MAX_EXPONENT:
        _refuse(token, "is too large or too small a number")
    return found


def _moment(token: Token, read: Callable[[str], Any]) -> Any:
    try:
        return read(str(token))
    except (ValueError, OverflowError):
        _refuse(token, "is no date or time that there is")


def _read_datetime(text: str) -> datetime:
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _refuse(token: Token, why: str) -> NoReturn:
    raise MalformedQuery(f"'{_shortened(token)}' {why}", at=token.start_pos)
