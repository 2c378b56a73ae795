"""What all versions of OpenAPI have in common when their operations are described."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from callouts.external_services.description import names
from callouts.external_services.description.definitions import (
    AnswerDefinition,
    BodyDefinition,
    CallbackDefinition,
    Location,
    OperationDefinition,
    ParameterDefinition,
)
from callouts.external_services.description.hints import HintFinder
from callouts.external_services.description.problems import Problem, Unusable
from callouts.external_services.document import references
from callouts.external_services.document.reading import storable
from callouts.external_services.document.references import BrokenReference, Content

__all__ = ["LOCATIONS", "METHODS", "RESERVED_ARGUMENTS", "Found", "Reader", "text", "with_python_names", "words"]

RESERVED_ARGUMENTS = frozenset(
    {
        "body", "callback", "callback_timeout", "content_type", "operation", "parameters", "record", "reference",
        "retry", "self", "timeout", "user",
    }
)  # fmt: skip
"""Names of the caller's own arguments; a parameter of that name gets an underscore."""

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
LOCATIONS: frozenset[Location] = frozenset(get_args(Location))
TEMPLATE = re.compile(r"\{([^{}]+)\}")
_MOST_TEXT = 500
_MOST_WORDS = 160
"""Of what is told about each parameter, in every operation that has it; the document has the rest."""

Parameters = dict[tuple[str, str], ParameterDefinition]


@dataclass(frozen=True, slots=True)
class Found:
    """An operation object, where it stands and what its path item gives it."""

    path: str
    method: str
    value: Any
    at: str
    path_item: dict[str, Any]
    path_item_at: str


class Reader(ABC):
    """Describes operations. What is referred to often is described once."""

    def __init__(self, content: Mapping[str, Any], pieces: Content) -> None:
        self._content = content
        self._pieces = pieces
        self._hints = HintFinder(pieces)
        self._root_security = _security(content.get("security"))
        self._targets: dict[str, tuple[Any, str]] = {}

    def definition(self, found: Found, operation_id: str, problems: list[Problem]) -> OperationDefinition:
        """Describe an operation; note what of it is not used. Raises `Unusable` and `BrokenReference`."""
        parameters, body = self.inputs(found, operation_id, problems)
        for name in TEMPLATE.findall(found.path) if "{" in found.path else ():
            if (name, "path") not in parameters:
                parameters[name, "path"] = ParameterDefinition(name=name, location="path", required=True)
                reason = f"the path parameter {name!r} is not declared; it takes any text"
                problems.append(Problem(pointer=found.at, reason=reason, operation=operation_id))
        named = with_python_names(parameters.values())
        answers = self.answers(found, operation_id, problems)
        value = found.value
        security = value.get("security")
        return OperationDefinition(
            parameters=named,
            body=body,
            server_path=self.server_path(found),
            answers=answers,
            summary=text(value.get("summary") or value.get("description")),
            is_deprecated=value.get("deprecated") is True,
            security=self._root_security if security is None else _security(security),
            hints=self._hints.hints(found.method, value, named, answers),
        )

    @abstractmethod
    def inputs(
        self, found: Found, operation_id: str, problems: list[Problem]
    ) -> tuple[Parameters, BodyDefinition | None]:
        """Return an operation's parameters, by name and place, and its body."""

    @abstractmethod
    def answers(self, found: Found, operation_id: str, problems: list[Problem]) -> dict[str, AnswerDefinition]:
        """Return an operation's answers by status."""

    @abstractmethod
    def server_path(self, found: Found) -> str:
        """Return the path of an operation's first server, without its host."""

    def callbacks(
        self, found: Found, definition: OperationDefinition, operation_id: str, problems: list[Problem]
    ) -> tuple[CallbackDefinition, ...]:
        """Return an operation's callbacks; where the document's version knows none, there are none."""
        return ()

    def resolved(self, value: Any, at: str) -> tuple[Any, str]:
        """Follow references. Raises `BrokenReference`."""
        reference = references.reference_of(value)
        if reference is None:
            return value, at
        known = self._targets.get(reference)
        if known is None:
            known = self._targets[reference] = references.resolve(self._pieces, value, at)
        return known


def listed(
    owner: Mapping[str, Any], at: str, operation_id: str, problems: list[Problem], key: str = "parameters"
) -> Iterable[tuple[Any, str]]:
    """Yield the entries of a list of parameters, and their pointers."""
    given = owner.get(key)
    if given is None:
        return
    if not isinstance(given, list):
        problems.append(Problem(pointer=f"{at}/{key}", reason="this is no list of parameters", operation=operation_id))
        return
    for index, item in enumerate(given):
        yield item, f"{at}/{key}/{index}"


def noted(problems: list[Problem], operation_id: str, error: Unusable | BrokenReference) -> None:
    """Note that something is left out."""
    problems.append(Problem(pointer=error.pointer, reason=error.reason, operation=operation_id))


def with_python_names(found: Iterable[ParameterDefinition]) -> tuple[ParameterDefinition, ...]:
    """Return parameters with the names of the arguments that give them."""
    taken: set[str] = set()
    named = []
    for parameter in found:
        name = names.snake_case(parameter.name) or "parameter"
        wanted = f"{name}_" if name in RESERVED_ARGUMENTS else name
        if wanted in taken:
            wanted = names.allocate(f"{parameter.location}_{wanted}", taken)
        taken.add(wanted)
        named.append(msgspec.structs.replace(parameter, python_name=wanted))
    return tuple(named)


def text(value: Any) -> str:
    """Return a text, cut to what is shown; "" for what is none."""
    return storable(value[:_MOST_TEXT]) if isinstance(value, str) else ""


def words(value: Any) -> str:
    """Return what a parameter is about, cut to what a line shows; "" for what is no text."""
    return text(value)[:_MOST_WORDS]


def path_of(url: str) -> str:
    """Return the path of an address, without a slash at its end; "" where there is none."""
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if not path or path.startswith("/") else f"/{path}"


def _security(given: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(one) for one in given if isinstance(one, dict)) if isinstance(given, list) else ()
