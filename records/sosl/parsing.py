r"""Reads SOSL.

    FIND {acme AND "new york"} IN NAME FIELDS RETURNING Account(Id, Name LIMIT 5), Contact LIMIT 20

Words beside each other must all be found; NOT binds closest, then AND, then OR. A word with punctuation in it is a
phrase of its parts (`ann@example.org`). `*` stands for any characters and `?` for one, in the middle or at the end of a
word: one that begins with them is refused, because no index helps to find it. In quotes they are characters like any
other punctuation. What changes only how results are shown or counted (`WITH HIGHLIGHT`, `UPDATE TRACKING`, …) is read
and has no effect; `WITH DATA CATEGORY` and `WITH PricebookId` would change what is found and are refused.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any as Anything
from typing import TypeAlias

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

from records.errors import SearchMalformed
from records.search_index import All, Any, Expression, Number, Words
from records.search_index.numbers import is_like_number, number_in
from records.search_index.words import patterns_in, words_in
from records.sosl.statements import MAX_FOUND, MAX_OBJECTS, Returned, Scope, Search

__all__ = [
    "LEAST_TERM_CHARACTERS",
    "MAX_DEPTH",
    "MAX_SEARCH_CHARACTERS",
    "MAX_TERM_CHARACTERS",
    "MAX_WORDS",
    "parse_search",
    "plain_expression",
]

MAX_SEARCH_CHARACTERS = 20_000
"""Of the whole statement."""

MAX_TERM_CHARACTERS = 10_000
"""Of what is searched for."""

LEAST_TERM_CHARACTERS = 2
"""Letters and digits of what is searched for."""

MAX_WORDS = 1_000
"""Words in what is searched for."""

MAX_DEPTH = 20
"""Parentheses within each other."""

_TERM = r"""
start: any
any: all (_OR all)*
all: _unit (_step)*
_step: _AND _unit | without | _unit
without: _AND_NOT _unit
_unit: word | phrase | group
word: WORD
phrase: PHRASE
group: _LEFT any _RIGHT

_AND_NOT.4: /AND\s+NOT(?=[\s()"]|\Z)/i
_AND.3: /AND(?=[\s()"]|\Z)/i
_OR.3: /OR(?=[\s()"]|\Z)/i
WORD.1: /(?:\\.|[^\s\\"()])+/s
PHRASE: /"(?:\\.|[^"\\])*"/s
_LEFT: "("
_RIGHT: ")"
%ignore /\s+/
"""

_CLAUSES = r"""
start: within? returning? with_* limit? update?
within: _IN SCOPE _FIELDS
returning: _RETURNING object (_COMMA object)*
object: NAME body?
body: LEFT _piece* RIGHT
_piece: _CHUNK | _TEXT | _nested
_nested: LEFT _piece* RIGHT
with_: _WITH _option
_option: "HIGHLIGHT"i
       | "SNIPPET"i (LEFT "TARGET_LENGTH"i "=" NUMBER RIGHT)?
       | "SPELL_CORRECTION"i "=" /(true|false)\b/i
       | "METADATA"i "=" _TEXT
       | "DIVISION"i "=" _TEXT
       | "NETWORK"i ("=" _TEXT | "IN"i LEFT _TEXT (_COMMA _TEXT)* RIGHT)
limit: _LIMIT NUMBER
update: _UPDATE _use (_COMMA _use)*
_use: "TRACKING"i | "VIEWSTAT"i

_IN: /IN\b/i
_FIELDS: /FIELDS\b/i
_RETURNING: /RETURNING\b/i
_WITH: /WITH\b/i
_LIMIT: /LIMIT\b/i
_UPDATE: /UPDATE\b/i
SCOPE: /(ALL|NAME|EMAIL|PHONE|SIDEBAR)\b/i
NAME: /[a-z][a-z0-9_]{0,100}/i
NUMBER: /[0-9]{1,9}/
LEFT: "("
RIGHT: ")"
_COMMA: ","
_TEXT: /'(?:[^'\\]|\\.)*'/s
_CHUNK: /[^()'\s][^()']*/
%ignore /\s+/
"""

_FIND = re.compile(
    r"\s*FIND\s*(?:\{(?P<braced>(?:\\.|[^\\}])*)\}|'(?P<quoted>(?:\\.|[^\\'])*)')", re.IGNORECASE | re.DOTALL
)
_NESTING_IN_TERM = re.compile(r'\\.|"(?:\\.|[^"\\])*"|[()]', re.DOTALL)
_NESTING_IN_CLAUSES = re.compile(r"'(?:[^'\\]|\\.)*'|[()]", re.DOTALL)
_UNESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NO_CHARACTER = re.compile("[\x00\ud800-\udfff]")
"""What no database keeps and no answer can say: the zero, and half of a surrogate pair."""
_EXCERPT = 30


def parse_search(text: str) -> Search:
    """Return what a SOSL statement asks for. Raises `SearchMalformed`."""
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise SearchMalformed(f"The search is longer than {MAX_SEARCH_CHARACTERS} characters.")
    _require_characters(text)
    found = _FIND.match(text)
    if found is None:
        if re.match(r"\s*FIND\b", text, re.IGNORECASE):
            raise SearchMalformed("No search term found. The search term must be enclosed in braces.")
        raise _malformed(text, _Unreadable(len(text) - len(text.lstrip())))
    kind = "braced" if found["braced"] is not None else "quoted"
    try:
        expression = _expression(found[kind], found.start(kind))
        asked = _clauses(text[found.end() :], found.end())
    except _Unreadable as error:
        raise _malformed(text, error) from error
    return Search(expression=expression, **asked)


def plain_expression(text: str) -> Expression:
    """Return what finds every word of a text in which no character has a meaning. Raises `SearchMalformed`."""
    if len(text) > MAX_TERM_CHARACTERS:
        raise SearchMalformed(f"The search term is longer than {MAX_TERM_CHARACTERS} characters.")
    _require_characters(text)
    return _checked(text, _all_of([_Word(words_in(word), word) for word in text.split()]))


class _Unreadable(Exception):
    """Something at this place of the text cannot be read."""

    def __init__(self, place: int, told: str = "") -> None:
        super().__init__(told)
        self.place = place
        self.told = told
        """What is wrong; "" for a character that should not be there."""


@dataclass(frozen=True)
class _Word:
    """A word as it is written; of how many it consists, punctuation decides."""

    words: tuple[str, ...]
    raw: str


@dataclass(frozen=True)
class _Without:
    unit: Expression | None


_Unit: TypeAlias = _Word | _Without | Words | Number | All | Any | None


class _TermReader(Transformer[Token, Anything]):
    """Puts the expression together while it is read. `None` stands for what holds no word, such as `&`."""

    def word(self, children: list[Token]) -> _Unit:
        patterns = patterns_in(children[0])
        if any(pattern[0] in "*?" for pattern in patterns):
            raise _Unreadable(children[0].start_pos or 0, "a word must not begin with a wildcard")
        return _Word(patterns, _UNESCAPED.sub(r"\1", children[0]))

    def phrase(self, children: list[Token]) -> _Unit:
        text = _UNESCAPED.sub(r"\1", children[0][1:-1])
        words, number = words_in(text), number_in(text)
        if not words:
            return None
        return Words(words) if number is None else Any((Words(words), number))

    def group(self, children: list[Expression | None]) -> _Unit:
        return children[0]

    def without(self, children: list[_Unit]) -> _Unit:
        return _Without(_all_of(children))

    def all(self, children: list[_Unit]) -> Expression | None:
        return _all_of(children)

    def any(self, children: list[Expression | None]) -> Expression | None:
        parts = tuple(part for part in children if part is not None)
        return Any(parts) if len(parts) > 1 else next(iter(parts), None)

    def start(self, children: list[Expression | None]) -> Expression | None:
        return children[0]


def _all_of(units: Iterable[_Unit]) -> Expression | None:
    parts: list[Expression] = []
    without: list[Expression] = []
    for is_number, run in groupby(units, lambda unit: isinstance(unit, _Word) and is_like_number(unit.raw)):
        if is_number:
            parts.append(_number_or_words([unit for unit in run if isinstance(unit, _Word)]))
            continue
        for unit in run:
            if isinstance(unit, _Without):
                without.extend([unit.unit] if unit.unit is not None else [])
            elif isinstance(unit, _Word):
                parts.extend([Words(unit.words)] if unit.words else [])
            elif unit is not None:
                parts.append(unit)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 and not without else All(tuple(parts), tuple(without))


def _number_or_words(units: Sequence[_Word]) -> Expression:
    """Return what finds words of digits, each of which may be a telephone number, and all of them together one."""
    singly: list[Expression] = []
    for unit in units:
        number = number_in(unit.raw)
        singly.append(Words(unit.words) if number is None else Any((Words(unit.words), number)))
    together = number_in(" ".join(unit.raw for unit in units)) if len(units) > 1 else None
    each = singly[0] if len(singly) == 1 else All(tuple(singly))
    return each if together is None else Any((each, together))


def _expression(term: str, start: int) -> Expression:
    if len(term) > MAX_TERM_CHARACTERS:
        raise SearchMalformed(f"The search term is longer than {MAX_TERM_CHARACTERS} characters.")
    if not term.strip():
        return _checked(term, None)
    _require_shallow(term, start, _NESTING_IN_TERM)
    return _checked(term, _read(_term_parser(), term, start))


def _checked(term: str, expression: Expression | None) -> Expression:
    words = list(_words_of(expression)) if expression is not None else []
    if expression is None or sum(len(word.strip("*?")) for word in words) < LEAST_TERM_CHARACTERS:
        raise SearchMalformed(f"search term must be longer than one character: {term[:_EXCERPT]}")
    if len(words) > MAX_WORDS:
        raise SearchMalformed(f"The search term has more than {MAX_WORDS} words.")
    return expression


def _words_of(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Words):
        yield from expression.words
    elif isinstance(expression, Number):
        yield expression.digits
    else:
        for part in (*expression.parts, *(expression.without if isinstance(expression, All) else ())):
            yield from _words_of(part)


class _ClauseReader(Transformer[Token, Anything]):
    """Turns clauses into pairs of what `Search` calls them and what they say."""

    def within(self, children: list[Token]) -> tuple[str, Anything]:
        return "scope", Scope(children[0].upper())

    def returning(self, children: list[Anything]) -> tuple[str, Anything]:
        return "returned", children

    def object(self, children: list[Anything]) -> tuple[Token, slice | None]:
        return children[0], children[1] if len(children) > 1 else None

    def body(self, children: list[Token]) -> slice:
        return slice(children[0].end_pos, children[-1].start_pos)

    def limit(self, children: list[Token]) -> tuple[str, Anything]:
        if int(children[0]) > MAX_FOUND:
            raise _Unreadable(children[0].start_pos or 0, f"LIMIT must not be more than {MAX_FOUND}")
        return "limit", int(children[0])

    def with_(self, _children: list[Token]) -> None:
        return None

    def update(self, _children: list[Token]) -> None:
        return None

    def start(self, children: list[Anything]) -> dict[str, Anything]:
        return dict(child for child in children if child is not None)


def _clauses(clauses: str, start: int) -> dict[str, Anything]:
    _require_shallow(clauses, start, _NESTING_IN_CLAUSES)
    found = _read(_clause_parser(), clauses, start)
    returned = [
        Returned(object_name=str(name)) if body is None else Returned(object_name=str(name), source=clauses[body])
        for name, body in found.get("returned", ())
    ]
    if len(returned) > MAX_OBJECTS:
        raise SearchMalformed(f"The search names more than {MAX_OBJECTS} objects.")
    return {**found, "returned": tuple(returned)}


def _read(parser: Lark, text: str, start: int) -> Anything:
    try:
        return parser.parse(text)
    except _Unreadable as error:
        raise _Unreadable(start + error.place, error.told) from error
    except UnexpectedInput as error:
        place = error.pos_in_stream
        is_end = place is None or (isinstance(error, UnexpectedToken) and error.token.type == "$END")
        raise _Unreadable(start + (len(text) if is_end or place is None else place)) from error


def _require_characters(text: str) -> None:
    found = _NO_CHARACTER.search(text)
    if found is not None:
        raise SearchMalformed(f"unexpected character: U+{ord(found[0]):04X}")


def _require_shallow(text: str, start: int, nesting: re.Pattern[str]) -> None:
    depth = 0
    for found in nesting.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise _Unreadable(start + found.start(), f"more than {MAX_DEPTH} parentheses within each other")


def _malformed(text: str, error: _Unreadable) -> SearchMalformed:
    place = min(error.place, len(text))
    row = text.count("\n", 0, place) + 1
    first = text.rfind("\n", 0, place) + 1
    told = error.told or f"unexpected token: '{_token_at(text, place)}'"
    shown, before = text[max(first, place - _EXCERPT) : place + _EXCERPT].split("\n")[0], min(place - first, _EXCERPT)
    return SearchMalformed(f"\n{shown}\n{' ' * before}^\nERROR at Row:{row}:Column:{place - first + 1}\n{told}")


def _token_at(text: str, place: int) -> str:
    found = re.compile(r"\w{1,30}|\S").match(text, place)
    return found[0] if found is not None else "<EOF>"


@lru_cache(maxsize=1)
def _term_parser() -> Lark:
    return Lark(_TERM, parser="lalr", lexer="basic", transformer=_TermReader())


@lru_cache(maxsize=1)
def _clause_parser() -> Lark:
    return Lark(_CLAUSES, parser="lalr", transformer=_ClauseReader())
