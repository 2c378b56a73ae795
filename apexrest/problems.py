"""Everything that is wrong with a body, gathered and told at once."""

import re
from dataclasses import dataclass

from apexrest.errors import FieldsRefused

__all__ = ["Problem", "Problems", "member_path"]

_MAX_TOLD = 50
_UNTELLABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place."""

    path: str
    """Where, as it is written in code: `lines[0].price`; "" is the whole body."""
    text: str
    """What, as the end of a sentence that begins with the path."""


class Problems:
    """Gathers problems; a body may hold a million, so only the first are kept."""

    def __init__(self) -> None:
        self._told: list[Problem] = []
        self._missing: list[str] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, path: str, text: str) -> None:
        """Note what is wrong at `path`."""
        self._count += 1
        if len(self._told) < _MAX_TOLD:
            self._told.append(Problem(path, text))

    def add_missing(self, path: str) -> None:
        """Note that something required is not there at `path`."""
        if len(self._missing) < _MAX_TOLD:
            self._missing.append(path)
        self.add(path, "is missing")

    def raise_if_any(self) -> None:
        """Raise `FieldsRefused` with all of it in one element: clients take two elements for two failures."""
        if not self._count:
            return
        fields = list(dict.fromkeys(problem.path for problem in self._told if problem.path))
        if len(self._missing) == len(self._told):
            # Salesforce's own sentence, on which its users' code may depend.
            raise FieldsRefused(
                f"Required fields are missing: [{', '.join(self._missing)}]", fields=fields, only_missing=True
            )
        told = [f"{problem.path or 'The request body'} {problem.text}" for problem in self._told]
        more = [f"and {self._count - len(told)} more"] if self._count > len(told) else []
        raise FieldsRefused("; ".join([*told, *more]), fields=fields)


def member_path(path: str, key: str) -> str:
    """Return the path of what is at `key` in the object at `path`."""
    shown = _UNTELLABLE.sub("\N{REPLACEMENT CHARACTER}", key[:80])
    return f"{path}.{shown}" if path else shown
