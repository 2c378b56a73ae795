"""From a method's signature to what its request body must be."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apexrest.errors import BodyUnreadable, EndpointMisdeclared
from apexrest.json_bodies import JsonValue
from apexrest.parsing import REFUSED, Parse, field_names, parse_members, parser_for, without_none
from apexrest.problems import Problems
from apexrest.query_parameters import query_parser

__all__ = ["SAFE_METHODS", "Endpoint", "MethodOptions"]

_BODYLESS = {"GET", "DELETE"}
SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """What a method says about itself beside its signature."""

    query: type | None = None
    """A dataclass of the query parameters; `None`: the method reads them itself, if it does."""
    needs_idempotency_key: bool = False
    """Whether a request without an `Idempotency-Key` is refused."""
    statuses: Mapping[int, str] = field(default_factory=dict)
    """Statuses that the method may answer beside 200 (or 204) and the refusals that every endpoint has, with what
    each means; for the documentation."""
    wildcard: str = ""
    """What the mapping's `*` stands for, such as `orderId`, where the method answers only addresses that have one."""
    example: Any = None
    """A request body for the documentation; `None`: one is made from the types."""


_PLAIN = MethodOptions()


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of a resource class."""

    cls: type
    name: str
    http_method: str
    parsers: Mapping[str, Parse]
    """By parameter, in the order of the signature."""
    annotations: Mapping[str, Any]
    """The type of each parameter."""
    required: list[str]
    envelope: str | None
    """The only parameter's name, unless its own objects have a key of that name."""
    returns: Any = Any
    """The type of the answer; `None` for a method that answers nothing."""
    options: MethodOptions = field(default_factory=MethodOptions)
    parse_query: Callable[[Mapping[str, tuple[str, ...]]], Any] | None = None
    """Reads the query parameters, where the method declares them."""

    @classmethod
    def of(
        cls, resource: type, name: str, function: Callable[..., Any], http_method: str, options: MethodOptions = _PLAIN
    ) -> "Endpoint":
        """Read a method's signature. Raises `EndpointMisdeclared`."""
        where = f"{resource.__qualname__}.{name}"
        parameters = list(inspect.signature(function).parameters.values())[1:]
        if http_method in _BODYLESS and parameters:
            raise EndpointMisdeclared(
                f"{where} answers {http_method}, which has no body, so it takes no parameters; read path and query "
                "from apexrest.context.request."
            )
        hints = _hints(function, where)
        parsers = {parameter.name: _parser(parameter, hints, where) for parameter in parameters}
        envelope = None
        if len(parameters) == 1 and parameters[0].name not in field_names(hints[parameters[0].name]):
            envelope = parameters[0].name
        return cls(
            cls=resource,
            name=name,
            http_method=http_method,
            parsers=parsers,
            annotations={parameter.name: hints[parameter.name] for parameter in parameters},
            returns=hints.get("return", Any),
            options=options,
            parse_query=query_parser(options.query, f"{where}: query") if options.query is not None else None,
            required=[parameter.name for parameter in parameters if parameter.default is parameter.empty],
            envelope=envelope,
        )

    @property
    def takes_body(self) -> bool:
        """Whether the method has parameters. One without may read `context.request.body` itself."""
        return bool(self.parsers)

    def arguments(self, body: JsonValue) -> dict[str, Any]:
        """Return the method's arguments. Raises `FieldsRefused` with everything that is wrong.

        A single parameter takes the whole body, or what the body has under the parameter's name; several take one key
        of the body each. Paths leave the single parameter's name out, so that they are the same for both forms.
        """
        problems = Problems()
        found = self._single(body, problems) if len(self.parsers) == 1 else self._several(body, problems)
        problems.raise_if_any()
        return found

    def no_arguments(self) -> dict[str, Any]:
        """Return the arguments for an empty body: none, when each has a default. Raises `BodyUnreadable`."""
        if self.required:
            raise BodyUnreadable("The request body is empty; this endpoint takes a JSON object.")
        return {}

    def call(self, arguments: Mapping[str, Any]) -> Any:
        """Run the method on a new instance."""
        return getattr(self.cls(), self.name)(**arguments)

    def _single(self, body: JsonValue, problems: Problems) -> dict[str, Any]:
        (name,) = self.parsers
        if self.envelope is not None and isinstance(body, dict) and name in body:
            for key in body:
                if key != name:
                    problems.add(key, "is not known here")
            body = body[name]
        elif body == {} and not _takes_objects(self.annotations[name]):
            # It cannot be the value itself, so it is an object that lacks the value.
            return self._several(body, problems)
        return {name: self.parsers[name](body, "", problems)}

    def _several(self, body: JsonValue, problems: Problems) -> dict[str, Any]:
        if not isinstance(body, dict):
            problems.add("", f"must be an object with the keys {', '.join(self.parsers)}")
            return {}
        parsed = parse_members(body, self.parsers, self.required, "", problems)
        return {} if parsed is REFUSED else parsed


def _takes_objects(annotation: Any) -> bool:
    """Return whether a JSON object can be a value of the annotation."""
    annotation = without_none(annotation)
    if annotation in (Any, object) or typing.get_origin(annotation) is dict:
        return True
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError) as error:
        raise EndpointMisdeclared(f"{where} has an annotation that cannot be read: {error}") from error


def _parser(parameter: inspect.Parameter, hints: Mapping[str, Any], where: str) -> Parse:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise EndpointMisdeclared(f"{where}: {parameter.name} must be an ordinary parameter, which has a name.")
    if parameter.name not in hints:
        raise EndpointMisdeclared(f"{where}: {parameter.name} needs a type.")
    return parser_for(hints[parameter.name], f"{where}: {parameter.name}")
