"""Python names for what a document names as it likes.

>>> snake_case("SubmitApplication"), snake_case("getHTTPStatus"), snake_case("list-pets.v2")
('submit_application', 'get_http_status', 'list_pets_v2')
"""

import keyword
import re
from collections.abc import Container
from functools import lru_cache

__all__ = ["OPERATION_NAMES_TAKEN", "allocate", "operation_id_for", "snake_case"]

OPERATION_NAMES_TAKEN = frozenset({"call", "name", "operation", "operations", "pages"})
"""What a service's client has itself; an operation of that name gets a number."""

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9]+")


@lru_cache(maxsize=8192)
def snake_case(text: str) -> str:
    """Return `text` as a Python name, or "" where no letter or digit of ASCII is in it."""
    name = _NOT_A_NAME.sub("_", _WORD_START.sub("_", text)).strip("_").lower()
    if name[:1].isdigit():
        name = f"op_{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def operation_id_for(method: str, path: str) -> str:
    """Return the id of an operation that its document leaves without one.

    >>> operation_id_for("get", "/users/{userId}/pets")
    'get_users_by_user_id_pets'
    """
    parts = [f"by_{part[1:-1]}" if part.startswith("{") and part.endswith("}") else part for part in path.split("/")]
    return "_".join([method.lower(), *(snake_case(part) for part in parts if snake_case(part))])


def allocate(wanted: str, taken: Container[str]) -> str:
    """Return `wanted` or, where that is taken, `wanted_2`, `wanted_3` …"""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
