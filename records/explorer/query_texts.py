"""Texts of queries: writing one, and what can be told about one without understanding it all.

>>> object_name("SELECT Id, (SELECT Id FROM Contacts) FROM Account")
'Account'
>>> with_field("SELECT Id FROM Account", "Account", "Name")
'SELECT Id, Name FROM Account'
"""

import re
from collections.abc import Sequence

__all__ = ["is_count", "object_name", "select", "with_field"]

_TEXT = re.compile(r"'(?:\\.|[^'\\])*'?", re.DOTALL)
_INNERMOST = re.compile(r"\([^()]*\)")
_FROM = re.compile(r"\bFROM\b(?:\s+(\w+))?", re.IGNORECASE)
_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
_COUNT = re.compile(r"\s*SELECT\s+COUNT\s*\(\s*\)\s*FROM\b", re.IGNORECASE)
_DEEPEST = 12
"""Levels of parentheses that are looked into."""


def select(fields: Sequence[str], source: str, *clauses: str) -> str:
    """Return a query. `clauses` are what follows, such as `LIMIT 10`."""
    return " ".join(["SELECT", ", ".join(fields), "FROM", source, *clauses])


def object_name(text: str) -> str:
    """Return the name of the object that the query asks; "" when it does not say."""
    found = _FROM.search(_outline(text))
    return (found[1] or "") if found else ""


def is_count(text: str) -> bool:
    """Return whether the query asks for nothing but the number of records."""
    return _COUNT.match(text) is not None


def with_field(text: str, of_object: str, field: str) -> str:
    """Return the query with the field at the end of what it selects. An empty one becomes a query of the object."""
    if not text.strip():
        return select([field] if field.lower() == "id" else ["Id", field], of_object)
    outline = _outline(text)
    begins, ends = _SELECT.match(outline), _FROM.search(outline)
    if begins is None or ends is None:
        return f"{text.rstrip()} {field}"
    listed = outline[begins.end() : ends.start()]
    if field.lower() in {name.strip().lower() for name in listed.split(",")}:
        return text
    head = text[: ends.start()].rstrip()
    joint = ", " if listed.strip() or head.endswith(")") else " "
    return f"{head.removesuffix(',')}{joint}{field} {text[ends.start() :]}"


def _outline(text: str) -> str:
    """Return the text with blanks in place of everything between quotes or parentheses; as long as before."""
    found = _TEXT.sub(_blank, text)
    for _ in range(_DEEPEST):
        found, count = _INNERMOST.subn(_blank, found)
        if not count:
            break
    return found


def _blank(found: "re.Match[str]") -> str:
    return " " * len(found[0])
