"""Answers as code reads them: `response.code201.application_number`.

A view is a mapping, equal to the plain dict that it shows; attributes are the keys, as they are or in snake case.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from callouts.external_services.description.names import snake_case

__all__ = ["View", "status_attribute", "viewed"]

_STATUS = re.compile(r"code(?P<status>[1-5](?:[0-9]{2}|XX))|code_default")


class View(Mapping[str, Any]):
    """A JSON object whose keys are attributes too."""

    __slots__ = ("_value",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._value = value

    def __getitem__(self, key: str) -> Any:
        return viewed(self._value[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return dict(self._value) == (dict(other._value) if isinstance(other, View) else other)

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"View({dict(self._value)!r})"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._value:
            return viewed(self._value[name])
        found = next((key for key in self._value if snake_case(key) == name), None)
        if found is None:
            known = ", ".join(sorted(snake_case(key) or key for key in self._value)) or "nothing"
            raise AttributeError(f"there is no {name!r} here; there is: {known}")
        return viewed(self._value[found])


def viewed(value: Any) -> Any:
    """Return a JSON value with its objects as views."""
    if isinstance(value, Mapping) and not isinstance(value, View):
        return View(value)
    if isinstance(value, list):
        return [viewed(item) for item in value]
    return value


def status_attribute(name: str, status: int | None) -> bool | None:
    """Return whether an attribute such as `code201` is about `status`; `None` for another attribute.

    `code2XX` is about a range, `code_default` about whatever there is.
    """
    found = _STATUS.fullmatch(name)
    if found is None:
        return None
    wanted = found["status"]
    if wanted is None:
        return status is not None
    return status is not None and (wanted == str(status) or wanted == f"{status // 100}XX")
