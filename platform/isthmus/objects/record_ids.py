"""Record ids as the outside knows them: a 3-character key prefix, a number in base 62, a checksum of letter case.

Fifteen characters are case-sensitive; the three of the checksum make eighteen that survive systems which ignore
case. Both are accepted, eighteen are given.
Rule: https://help.salesforce.com/s/articleView?id=000385008&type=1

>>> encode("001", 1)
'001000000000001AAA'
>>> decode("001000000000001")
('001', 1)
>>> to_18("00Q0000000000zZ")
'00Q0000000000zZEAQ'
"""

import string
from collections.abc import Callable

from django.db import models

from isthmus.objects import catalogue
from isthmus.objects.errors import MalformedId, NoRecordId

__all__ = ["MAX_PRIMARY_KEY", "decode", "encode", "encoder", "is_key_prefix", "record_id_of", "to_18"]

MAX_PRIMARY_KEY = 2**63 - 1
"""The largest primary key that both databases hold. Ids can name greater numbers; no record has those."""

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_CHECKSUM_DIGITS = string.ascii_uppercase + string.digits[:6]
_PREFIX_LENGTH, _NUMBER_LENGTH, _SHORT, _LONG = 3, 12, 15, 18
_NUMBERS = len(_DIGITS) ** _NUMBER_LENGTH
# For many ids at once: two digits at a time, with a bit for each capital, which is what the checksum is made of.
_PAIRS = [(high + low, high.isupper() | low.isupper() << 1) for high in _DIGITS for low in _DIGITS]


def encode(prefix: str, number: int) -> str:
    """Return the 18-character id of record `number` of the object with this key prefix.

    Raises `ValueError` when the prefix is not one or the number is not a possible primary key.
    """
    if not is_key_prefix(prefix):
        raise ValueError(f"{prefix!r} is not a key prefix: three letters or digits.")
    if not 0 <= number < _NUMBERS:
        raise ValueError(f"{number} is not a record's number: 0 to {_NUMBERS - 1}.")
    digits = []
    while number:
        number, value = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[value])
    short = prefix + "".join(reversed(digits)).rjust(_NUMBER_LENGTH, _DIGITS[0])
    return short + _checksum(short)


def encoder(prefix: str) -> Callable[[int], str]:
    """Return a function that does what `encode` does for this prefix, fast, for the primary keys of one page.

    Raises `ValueError` when the prefix is not one.
    """
    encode(prefix, 0)
    # What neighbours have in common: all but the last two digits, two of the checksum's, and bits of the third.
    common: dict[int, tuple[str, str, int]] = {}
    pairs, count, checks = _PAIRS, len(_PAIRS), _CHECKSUM_DIGITS

    def encoded(number: int) -> str:
        high, low = divmod(number, count)
        found = common.get(high)
        if found is None:
            text = encode(prefix, high * count)
            bits = sum(letter.isupper() << place for place, letter in enumerate(text[10:13]))
            found = common[high] = text[:13], text[15:17], bits
        start, checksum, bits = found
        text, capitals = pairs[low]
        return f"{start}{text}{checksum}{checks[bits | capitals << 3]}"

    return encoded


def decode(text: str) -> tuple[str, int]:
    """Return key prefix and number of a 15- or 18-character id. Raises `MalformedId`.

    Ids that Salesforce itself gave are well formed, but their numbers can exceed `MAX_PRIMARY_KEY`.
    """
    short = text[:_SHORT]
    if len(text) not in (_SHORT, _LONG) or not all(letter in _VALUES for letter in short):
        raise _malformed(text)
    if len(text) == _LONG and text[_SHORT:] != _checksum(short):
        raise _malformed(text)
    number = 0
    for letter in short[_PREFIX_LENGTH:]:
        number = number * len(_DIGITS) + _VALUES[letter]
    return short[:_PREFIX_LENGTH], number


def to_18(text15: str) -> str:
    """Return the 18-character form of a 15-character id; one of 18 is checked and returned. Raises `MalformedId`."""
    return encode(*decode(text15))


def is_key_prefix(prefix: str) -> bool:
    """Return whether `prefix` has the form of a key prefix."""
    return len(prefix) == _PREFIX_LENGTH and all(letter in _VALUES for letter in prefix)


def record_id_of(instance: models.Model) -> str:
    """Return the record id of a saved instance of an exposed model. Raises `NoRecordId`."""
    # Not `type(instance)`: a request's user is a lazy stand-in.
    object_type = catalogue.object_of_model(instance._meta.model)
    if object_type is None or instance.pk is None:
        raise NoRecordId
    return encode(object_type.key_prefix, instance.pk)


def _checksum(short: str) -> str:
    def digit(chunk: str) -> str:
        return _CHECKSUM_DIGITS[sum(1 << place for place, letter in enumerate(chunk) if letter.isupper())]

    return "".join(digit(short[start : start + 5]) for start in range(0, _SHORT, 5))


def _malformed(text: str) -> MalformedId:
    shown = text if len(text) <= _LONG else f"{text[:_LONG]}…"
    return MalformedId(f"malformed id {shown}")
