"""Telephone numbers, which people write in many ways: `+49 30 1234`, `0049 30 1234`, `(030) 12-34`.

A number is indexed by its digits from the last to the first, without the zeros in front, so that one that is searched
for by its end, without the number of the country or of the town, is the beginning of what is indexed.
"""

import re
from collections.abc import Iterator

from records.search_index.expressions import Number

__all__ = ["LEAST_DIGITS", "MOST_DIGITS", "PUNCTUATION", "digits_of", "is_like_number", "number_in", "writings_of"]

PUNCTUATION = " -()+./"
"""What stands between digits. A number with anything else in it is found by its parts, as other texts are."""

LEAST_DIGITS, MOST_DIGITS = 5, 20
"""How many digits a number has; fewer are a word like others."""

_LIKE_NUMBER = re.compile(r"[-0-9 ()+./]*[0-9][-0-9 ()+./]*")
_NOT_DIGITS = re.compile("[^0-9]+")
_COUNTRY_DIGITS = (1, 2, 3)


def is_like_number(text: str) -> bool:
    """Return whether a text may be (a part of) a telephone number."""
    return _LIKE_NUMBER.fullmatch(text) is not None


def number_in(text: str) -> Number | None:
    """Return the telephone number that a text is; `None` when it is none."""
    if not is_like_number(text):
        return None
    digits = _NOT_DIGITS.sub("", text)
    significant = digits.lstrip("0")
    if not LEAST_DIGITS <= len(significant) <= MOST_DIGITS:
        return None
    return Number(significant, international=text.lstrip(" (").startswith("+") or digits.startswith("00"))


def digits_of(text: str | None) -> str | None:
    """Return as what the index has the number in a field; `None` when there is none."""
    bare = (text or "").translate(str.maketrans("", "", PUNCTUATION)).lstrip("0")
    is_number = bare.isascii() and bare.isdigit() and LEAST_DIGITS <= len(bare) <= MOST_DIGITS
    return bare[::-1] if is_number else None


def writings_of(number: Number) -> Iterator[tuple[str, bool]]:
    """Yield what the index may have for a number, and whether that is only the beginning of it."""
    backwards = number.digits[::-1]
    yield backwards, True
    if number.international:
        for country in _COUNTRY_DIGITS:
            national = number.digits[country:].lstrip("0")
            if len(national) >= LEAST_DIGITS:
                yield national[::-1], False
