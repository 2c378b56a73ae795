"""What a word is: the same for both databases, for what is searched and for what is searched for.

A word is a run of letters and digits; whatever else there is stands between words. Case makes no difference, nor do
accents on Latin letters: `Ångström` and `angstrom` are one word. Scripts that write without blanks have long words,
which a search finds by their beginning (`東京*`).
"""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache

__all__ = ["MAX_WORD_CHARACTERS", "patterns_in", "word_characters", "words_in"]

MAX_WORD_CHARACTERS = 255
"""Longer words are known by this many characters."""

_ANY_RUN, _ANY_ONE = "\x01", "\x02"


def _runs() -> Iterator[str]:
    """Yield the runs of characters that words are made of, as a class in a regular expression has them."""
    start = None
    for point in range(sys.maxunicode + 2):
        # What SQLite's `unicode61` takes for a part of a word.
        category = unicodedata.category(chr(point)) if point <= sys.maxunicode else "Cn"
        if category[0] in "LN" or category == "Co":
            start = point if start is None else start
        elif start is not None:
            yield f"{_escaped(start)}-{_escaped(point - 1)}"
            start = None


def _escaped(point: int) -> str:
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


@cache
def word_characters() -> str:
    """Return the characters of words, to stand within `[…]` in a regular expression of Python or of PostgreSQL.

    They are found among all there are, which takes a fifth of a second, so the first one who asks waits for it.
    """
    return "".join(_runs())


@cache
def _between(also: str = "") -> re.Pattern[str]:
    """Return what stands between words, of which `also` may be a part."""
    return re.compile(f"[^{word_characters()}{also}]+")


_ACCENTS = re.compile("([a-z])[\u0300-\u036f]+")
_MARKS = re.compile("[\u0300-\u036f]")
_ESCAPED = re.compile(r"\\(.)|([*?])|([\x01\x02])", re.DOTALL)


def words_in(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(word for word in _between().split(_normal(text)) if word)


def patterns_in(escaped: str) -> tuple[str, ...]:
    r"""Return the words of a text in which `*` and `?` stand for other characters and `\` takes that from them."""
    told = _ESCAPED.sub(_told, escaped)
    found = (word for word in _between(_ANY_RUN + _ANY_ONE).split(_normal(told)) if word)
    return tuple(re.sub(r"\*+", "*", word.replace(_ANY_RUN, "*").replace(_ANY_ONE, "?")) for word in found)


def _told(matched: re.Match[str]) -> str:
    if matched[2]:
        return _ANY_RUN if matched[2] == "*" else _ANY_ONE
    literal = matched[1] or ""
    return " " if literal in {"", _ANY_RUN, _ANY_ONE} else literal


def _normal(text: str) -> str:
    # Accents are taken from Latin letters only, because SQLite does it like that. `search_index.postgresql` says the
    # same in SQL.
    if text.isascii():
        return text.lower()
    bare = _ACCENTS.sub(r"\1", unicodedata.normalize("NFD", text).lower())
    return _MARKS.sub("", unicodedata.normalize("NFC", bare)).replace("ς", "σ")
