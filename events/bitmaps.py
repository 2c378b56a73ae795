"""The lists of fields in a change event's header, as bitmaps over the fields of its schema.

The first element is `0x` and the bitmap of the record's own fields, in whole bytes and upper-case digits; bit n is
field n of the schema, of which the header is number 0. Then follows one element for each compound field of which parts
changed: its number, a hyphen, and the bitmap over its parts, whose own bit in the first element is not set
(https://developer.salesforce.com/docs/platform/pub-sub-api/guide/event-deserialization-considerations.html).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["from_bitmaps", "to_bitmaps"]

_ELEMENT = re.compile(r"(?:(?P<place>\d{1,4})-)?0x(?P<bits>(?:[0-9A-Fa-f]{2}){1,2048})")

Field = Mapping[str, Any]


def to_bitmaps(names: Iterable[str], fields: Sequence[Field]) -> list[str]:
    """Return the bitmaps of these names (`Phone`, `BillingAddress.City`) over a record's fields, in Avro's form.

    A name that the schema does not have is left out: it cannot be told.
    """
    places = {field["name"]: place for place, field in enumerate(fields)}
    own = 0
    parts: dict[int, int] = {}
    for name in names:
        parent, _, child = name.partition(".")
        place = places.get(parent)
        if place is None:
            continue
        if not child:
            own |= 1 << place
            continue
        known = [part["name"] for part in _parts_of(fields[place])]
        if child in known:
            parts[place] = parts.get(place, 0) | 1 << known.index(child)
    found = [_hexadecimal(own)] if own else []
    return found + [f"{place}-{_hexadecimal(bits)}" for place, bits in sorted(parts.items())]


def from_bitmaps(bitmaps: Iterable[str], fields: Sequence[Field]) -> list[str]:
    """Return the names that the bitmaps tell of, in the order of the schema.

    Raises `ValueError` for what is no bitmap, and for bits beyond the schema.
    """
    found: list[tuple[int, int, str]] = []
    for element in bitmaps:
        match = _ELEMENT.fullmatch(element)
        if match is None:
            raise ValueError(f"{element[:40]!r} is no bitmap of fields.")
        bits = int(match["bits"], 16)
        if match["place"] is None:
            found += [(place, -1, name) for place, name in _told(bits, fields)]
            continue
        place = int(match["place"])
        if place >= len(fields):
            raise ValueError(f"The schema has no field number {place}.")
        parent = fields[place]["name"]
        found += [(place, part, f"{parent}.{name}") for part, name in _told(bits, _parts_of(fields[place]))]
    return [name for *_, name in sorted(found)]


def _told(bits: int, fields: Sequence[Field]) -> list[tuple[int, str]]:
    if bits >> len(fields):
        raise ValueError(f"A bitmap names a field beyond the {len(fields)} of the schema.")
    return [(place, field["name"]) for place, field in enumerate(fields) if bits >> place & 1]


def _parts_of(field: Field) -> Sequence[Field]:
    """Return the fields of a compound field, none of another."""
    branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
    records = (branch for branch in branches if isinstance(branch, dict) and branch.get("type") == "record")
    return next((record["fields"] for record in records), ())


def _hexadecimal(bits: int) -> str:
    length = (bits.bit_length() + 7) // 8
    return f"0x{bits:0{length * 2}X}"
