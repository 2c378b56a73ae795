"""What records are searched for, put together from words."""

import re
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property, lru_cache
from typing import TypeAlias

from records.search_index.words import MAX_WORD_CHARACTERS

__all__ = ["All", "Any", "Expression", "Number", "Words", "is_exact", "loosened", "positive"]


@dataclass(frozen=True)
class Words:
    """Words that stand side by side in one field. `*` within one stands for any characters, `?` for any one."""

    words: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the index can answer it by itself: nothing is left open but how the last word ends."""
        *others, last = self.words
        return not any(_is_open(word) for word in [*others, last.removesuffix("*")])

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """One regular expression a word."""
        # fnmatch's expressions do not go back, however many stars there are.
        return tuple(_pattern(word) for word in self.words)


@dataclass(frozen=True)
class Number:
    """A telephone number, however it is written: with or without the country, with blanks or without."""

    digits: str
    """Without the zeros that a number begins with where it is not international."""
    international: bool = False
    """Whether it begins with the number of a country, of one to three digits."""


@dataclass(frozen=True)
class All:
    """Everything of `parts` and nothing of `without`."""

    parts: tuple["Expression", ...]
    without: tuple["Expression", ...] = field(default=())


@dataclass(frozen=True)
class Any:
    """Anything of `parts`."""

    parts: tuple["Expression", ...]


Expression: TypeAlias = Words | Number | All | Any


def is_exact(expression: Expression) -> bool:
    """Return whether the index can answer it by itself."""
    if isinstance(expression, Words):
        return expression.is_exact
    if isinstance(expression, Number):
        return True
    without = expression.without if isinstance(expression, All) else ()
    return all(is_exact(part) for part in (*expression.parts, *without))


def loosened(expression: Expression) -> Expression:
    """Return an expression that the index can answer, and that finds all that this one does (and maybe more)."""
    if isinstance(expression, Words):
        return expression if expression.is_exact else All(tuple(Words((_stem(word),)) for word in expression.words))
    if isinstance(expression, Number):
        return expression
    parts = tuple(loosened(part) for part in expression.parts)
    if isinstance(expression, Any):
        return Any(parts)
    return All(parts, tuple(part for part in expression.without if is_exact(part)))


def positive(expression: Expression) -> Expression:
    """Return the expression without all that must not be found."""
    if isinstance(expression, Words | Number):
        return expression
    parts = tuple(positive(part) for part in expression.parts)
    return Any(parts) if isinstance(expression, Any) else All(parts)


def _is_open(word: str) -> bool:
    return "*" in word or "?" in word


def _stem(word: str) -> str:
    """Return how a word begins before what is left open: `sm?th*` → `sm*`."""
    return re.split(r"[*?]", word)[0] + "*" if _is_open(word) else word


@lru_cache(maxsize=2048)
def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(translate(word[:MAX_WORD_CHARACTERS]))
