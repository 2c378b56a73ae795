"""Why a query was refused, and where in its text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Place", "Problem", "problem_of"]

_PLACE = re.compile(r"ERROR at Row:(\d{1,9}):Column:(\d{1,9})\s*")
_WORD = re.compile(r"[\w.]+|.", re.DOTALL)
_SHOWN_BEFORE, _SHOWN_AFTER = 60, 80
_UNCLEAR = "The query was not answered."


@dataclass(frozen=True)
class Place:
    """Where in a text something is wrong."""

    row: int
    column: int
    """Both from 1."""
    offset: int
    """Characters before it in the whole text."""
    before: str
    marked: str
    after: str
    """The line, in three parts: what is wrong is in the middle; "" at the end of the line."""


@dataclass(frozen=True)
class Problem:
    """A refusal."""

    code: str
    message: str
    place: Place | None = None


def problem_of(body: Any, text: str) -> Problem:
    """Return what the API's answer says: `[{"errorCode", "message"}]`, with the place in `text` if it names one."""
    told: Mapping[str, Any] = body[0] if isinstance(body, list) and body and isinstance(body[0], Mapping) else {}
    code, message = str(told.get("errorCode", "UNKNOWN_EXCEPTION")), str(told.get("message") or _UNCLEAR)
    found = _PLACE.search(message)
    if found is None:
        return Problem(code, message)
    # Before the place the message repeats the line with a mark below; the page shows that itself.
    reason = message[found.end() :].strip() or message[: found.start()].strip() or _UNCLEAR
    return Problem(code, reason, _place(text, int(found[1]), int(found[2])))


def _place(text: str, row: int, column: int) -> Place | None:
    lines = text.split("\n")
    if not 1 <= row <= len(lines):
        return None
    line = lines[row - 1]
    at = min(max(column - 1, 0), len(line))
    word = _WORD.match(line, at)
    ends = word.end() if word else at
    start = max(0, at - _SHOWN_BEFORE)
    return Place(
        row=row,
        column=column,
        offset=sum(len(above) + 1 for above in lines[: row - 1]) + at,
        before=("…" if start else "") + line[start:at].expandtabs(1),
        marked=line[at:ends],
        after=line[ends : ends + _SHOWN_AFTER] + ("…" if len(line) > ends + _SHOWN_AFTER else ""),
    )
