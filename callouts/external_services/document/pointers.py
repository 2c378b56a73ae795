"""JSON pointers (https://www.rfc-editor.org/rfc/rfc6901).

>>> join("paths", "/applications", "post")
'/paths/~1applications/post'
>>> resolve({"paths": {"/applications": [7]}}, "/paths/~1applications/0")
7
"""

import copy
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["InvalidPointer", "PointsNowhere", "join", "parse", "placed", "resolve"]

_INDEX = re.compile(r"0|[1-9][0-9]*")
_LONE_TILDE = re.compile(r"~(?![01])")


class InvalidPointer(ValueError):
    """The text is no JSON pointer."""


class PointsNowhere(LookupError):
    """The document has nothing at the pointer."""


def join(*parts: str | int, base: str = "") -> str:
    """Return the pointer `base` followed by `parts`, escaped."""
    for part in parts:
        text = str(part)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        base = f"{base}/{text}"
    return base


def parse(pointer: str) -> list[str]:
    """Return the parts of a pointer, unescaped. Raises `InvalidPointer`."""
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise InvalidPointer(f"{pointer!r} does not start with a slash.")
    if "~" not in pointer:
        return pointer[1:].split("/")
    if _LONE_TILDE.search(pointer):
        raise InvalidPointer(f"{pointer!r} has a ~ that is followed by neither 0 nor 1.")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def resolve(document: Any, pointer: str | Sequence[str]) -> Any:
    """Return what `document` has at `pointer`. Raises `InvalidPointer` and `PointsNowhere`."""
    found = document
    for part in parse(pointer) if isinstance(pointer, str) else pointer:
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and _INDEX.fullmatch(part) and len(part) < 10 and int(part) < len(found):
            found = found[int(part)]
        else:
            raise PointsNowhere(f"There is nothing at {pointer!r}.")
    return found


def placed(document: Any, pointer: str, value: Any) -> Any:
    """Return a copy of `document` that has `value` at `pointer`; objects missing on the way are made.

    Raises `InvalidPointer`, and `PointsNowhere` where the way leads through a scalar or past the end of an array.
    """
    parts = parse(pointer)
    if not parts:
        return value
    result = {} if document is None else copy.deepcopy(document)
    place = result
    for part in parts[:-1]:
        place = _step(place, part, pointer)
    if isinstance(place, dict):
        place[parts[-1]] = value
    elif isinstance(place, list) and (parts[-1] == "-" or parts[-1] == str(len(place))):
        place.append(value)
    elif isinstance(place, list) and _INDEX.fullmatch(parts[-1]) and int(parts[-1]) < len(place):
        place[int(parts[-1])] = value
    else:
        raise PointsNowhere(f"Nothing can be put at {pointer!r}.")
    return result


def _step(place: Any, part: str, pointer: str) -> Any:
    if isinstance(place, dict):
        if place.get(part) is None:
            place[part] = {}
        return place[part]
    try:
        return resolve(place, [part])
    except PointsNowhere:
        raise PointsNowhere(f"Nothing can be put at {pointer!r}.") from None
