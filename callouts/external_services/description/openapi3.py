"""Operations of OpenAPI 3.0 (https://spec.openapis.org/oas/v3.0.4.html) and 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""

from collections.abc import Iterator, Mapping
from typing import Any

from callouts.callbacks import expressions
from callouts.external_services.description import names
from callouts.external_services.description.definitions import (
    AnswerDefinition,
    BodyDefinition,
    CallbackDefinition,
    CallbackRequest,
    FieldDefinition,
    Location,
    MediaDefinition,
    OperationDefinition,
    ParameterDefinition,
)
from callouts.external_services.description.media_types import PREFERENCE, kind_of
from callouts.external_services.description.problems import Problem, Unusable
from callouts.external_services.description.reader import (
    LOCATIONS,
    METHODS,
    TEMPLATE,
    Found,
    Parameters,
    Reader,
    listed,
    noted,
    path_of,
    text,
    with_python_names,
    words,
)
from callouts.external_services.document import pointers
from callouts.external_services.document.references import BrokenReference

__all__ = ["OpenApi3Reader"]

_STYLES: Mapping[Location, tuple[str, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
_REPEATS = "x-isthmus-repeats"


class OpenApi3Reader(Reader):
    """Reads operation objects of version 3."""

    def __init__(self, content: Mapping[str, Any], pieces: Any) -> None:
        super().__init__(content, pieces)
        self._known_parameters: dict[str, ParameterDefinition] = {}
        self._known_bodies: dict[str, BodyDefinition] = {}
        self._known_answers: dict[str, AnswerDefinition] = {}
        self._root_server = _server_path(content.get("servers"))

    def inputs(
        self, found: Found, operation_id: str, problems: list[Problem]
    ) -> tuple[Parameters, BodyDefinition | None]:
        """Return an operation's parameters, by name and place, and its body."""
        parameters = self._parameters(found.path_item, found.path_item_at, operation_id, problems)
        parameters.update(self._parameters(found.value, found.at, operation_id, problems))
        body = found.value.get("requestBody")
        if body is None:
            return parameters, None
        return parameters, self._body(body, f"{found.at}/requestBody", operation_id, problems)

    def _parameters(self, owner: Mapping[str, Any], at: str, operation_id: str, problems: list[Problem]) -> Parameters:
        if "parameters" not in owner:
            return {}
        found: Parameters = {}
        for item, item_at in listed(owner, at, operation_id, problems):
            try:
                value, value_at = self.resolved(item, item_at)
                parameter = self._known_parameters.get(value_at)
                if parameter is None:
                    parameter = self._known_parameters[value_at] = self._parameter(value, value_at)
            except (Unusable, BrokenReference) as unusable:
                noted(problems, operation_id, unusable)
                continue
            if parameter.location != "header" or parameter.name.lower() not in _IGNORED_HEADERS:
                found[parameter.name, parameter.location] = parameter
        return found

    def _parameter(self, value: Any, at: str) -> ParameterDefinition:
        name = value.get("name") if isinstance(value, dict) else None
        location = value.get("in") if isinstance(value, dict) else None
        if not isinstance(name, str) or not name or not isinstance(location, str) or location not in LOCATIONS:
            reason = "a parameter needs a name, and a place that is path, query, header or cookie; it is left out"
            raise Unusable(at, reason)
        return self._written(value, at, name, location)

    def _written(self, value: Mapping[str, Any], at: str, name: str, location: Any) -> ParameterDefinition:
        """Describe a parameter or a header, which differ only in where name and place stand."""
        style = value.get("style")
        known = _STYLES[location]
        if style not in known:
            style = known[0]
        content = value.get("content")
        media_type = ""
        schema_at = f"{at}/schema" if "schema" in value else None
        if isinstance(content, dict) and content:
            media_type, media = next(iter(content.items()))
            has_schema = isinstance(media, dict) and "schema" in media
            schema_at = pointers.join("content", media_type, "schema", base=at) if has_schema else None
        explode = value.get("explode")
        return ParameterDefinition(
            name=name,
            location=location,
            required=value.get("required") is True or location == "path",
            style=style,
            explode=explode if isinstance(explode, bool) else style == "form",
            allow_reserved=value.get("allowReserved") is True,
            media_type=media_type,
            schema=schema_at,
            description=words(value.get("description")),
        )

    def _body(self, given: Any, at: str, operation_id: str, problems: list[Problem]) -> BodyDefinition:
        value, at = self.resolved(given, at)
        known = self._known_bodies.get(at)
        if known is not None:
            return known
        content = value.get("content") if isinstance(value, dict) else None
        if isinstance(content, dict) and content:
            media = self._media(content, f"{at}/content")
            preferred = sorted(media, key=lambda found: PREFERENCE[found.kind])
        else:
            reason = "the body lists no content type; JSON is sent"
            problems.append(Problem(pointer=f"{at}/content", reason=reason, operation=operation_id))
            preferred = [MediaDefinition(content_type="application/json", kind="json")]
        required = isinstance(value, dict) and value.get("required") is True
        made = self._known_bodies[at] = BodyDefinition(media=tuple(preferred), required=required)
        return made

    def _media(self, content: Mapping[str, Any], at: str) -> list[MediaDefinition]:
        found = []
        for content_type, given in content.items():
            media_at = pointers.join(content_type, base=at)
            try:
                media, media_at = self.resolved(given, media_at)
            except BrokenReference:
                media = None
            kind = kind_of(content_type)
            if not isinstance(media, dict):
                found.append(MediaDefinition(content_type=content_type, kind=kind))
                continue
            found.append(
                MediaDefinition(
                    content_type=content_type,
                    kind=kind,
                    schema=f"{media_at}/schema" if "schema" in media else None,
                    fields=_fields(media.get("encoding")) if kind in {"form", "multipart"} else (),
                    example=media_at if "example" in media or "examples" in media else None,
                )
            )
        return found

    def answers(self, found: Found, operation_id: str, problems: list[Problem]) -> dict[str, AnswerDefinition]:
        """Return an operation's answers by status."""
        given = found.value.get("responses")
        answers: dict[str, AnswerDefinition] = {}
        for status, item in given.items() if isinstance(given, dict) else ():
            if status.startswith("x-"):
                continue
            at = pointers.join("responses", status, base=found.at)
            try:
                value, value_at = self.resolved(item, at)
            except BrokenReference as broken:
                noted(problems, operation_id, broken)
                continue
            known = self._known_answers.get(value_at)
            if known is None:
                known = self._known_answers[value_at] = self._answer(value, value_at)
            answers[status] = known
        return answers

    def _answer(self, value: Any, at: str) -> AnswerDefinition:
        if not isinstance(value, dict):
            return AnswerDefinition()
        content, headers = value.get("content"), value.get("headers")
        return AnswerDefinition(
            media=tuple(self._media(content, f"{at}/content")) if isinstance(content, dict) else (),
            headers=tuple(self._headers(headers, f"{at}/headers")) if isinstance(headers, dict) else (),
        )

    def _headers(self, headers: Mapping[str, Any], at: str) -> Iterator[ParameterDefinition]:
        for name, given in headers.items():
            try:
                value, value_at = self.resolved(given, pointers.join(name, base=at))
            except BrokenReference:
                value, value_at = {}, at
            if isinstance(value, dict) and name.lower() != "content-type":
                yield self._written(value, value_at, name, "header")

    def server_path(self, found: Found) -> str:
        """Return the path of the first server of the nearest owner that has one."""
        for owner in (found.value, found.path_item):
            if owner.get("servers"):
                return _server_path(owner["servers"])
        return self._root_server

    def callbacks(
        self, found: Found, definition: OperationDefinition, operation_id: str, problems: list[Problem]
    ) -> tuple[CallbackDefinition, ...]:
        """Return the addresses of an operation's callbacks."""
        given = found.value.get("callbacks")
        if not isinstance(given, dict):
            return ()
        python_names: set[str] = set()
        taken: set[str] = set()
        result = []
        for name, item in given.items():
            python_name = names.allocate(names.snake_case(name) or "callback", python_names)
            python_names.add(python_name)
            try:
                value, at = self.resolved(item, pointers.join("callbacks", name, base=found.at))
                if not isinstance(value, dict):
                    raise Unusable(at, "this is no callback")
            except (Unusable, BrokenReference) as unusable:
                noted(problems, operation_id, unusable)
                continue
            for expression, path_item in value.items():
                if expression.startswith("x-"):
                    continue
                key = names.allocate(name, taken)
                try:
                    callback = self._callback(
                        name, key, expression, path_item, pointers.join(expression, base=at), operation_id, problems
                    )
                    callback = _with_room(callback, definition, at, operation_id, problems)
                except (Unusable, BrokenReference) as unusable:
                    noted(problems, operation_id, unusable)
                    continue
                taken.add(key)
                repeats = value.get(_REPEATS) is True or callback.repeats
                result.append(_replaced(callback, python_name=python_name, repeats=repeats))
        return tuple(result)

    def _callback(
        self,
        name: str,
        key: str,
        expression: str,
        given: Any,
        at: str,
        operation_id: str,
        problems: list[Problem],
    ) -> CallbackDefinition:
        item, item_at = self.resolved(given, at)
        location: Any = "none"
        place = suffix = ""
        try:
            placement = expressions.placement(expressions.parse(expression))
            location, place, suffix = placement.location, placement.name, placement.suffix
        except (expressions.InvalidExpression, expressions.NotPlaceable) as error:
            reason = f"{expression[:200]}: {error}; its address is told to the caller instead"
            problems.append(Problem(pointer=at, reason=reason, operation=operation_id))
        return CallbackDefinition(
            name=name,
            python_name="",
            expression=expression,
            location=location,
            place=place,
            suffix=suffix,
            key="" if key == name else key,
            repeats=isinstance(item, dict) and item.get(_REPEATS) is True,
            methods=self._callback_methods(item, item_at, operation_id, problems),
        )

    def _callback_methods(
        self, item: Any, at: str, operation_id: str, problems: list[Problem]
    ) -> dict[str, CallbackRequest]:
        methods = {}
        for method in METHODS if isinstance(item, dict) else ():
            value = item.get(method)
            if not isinstance(value, dict):
                continue
            method_at = f"{at}/{method}"
            parameters = {
                **self._parameters(item, at, operation_id, problems),
                **self._parameters(value, method_at, operation_id, problems),
            }
            given = value.get("requestBody")
            body = None
            if given is not None:
                body = self._body(given, f"{method_at}/requestBody", operation_id, problems)
            methods[method.upper()] = CallbackRequest(parameters=with_python_names(parameters.values()), body=body)
        if not methods:
            raise Unusable(at, "the callback has no method")
        return methods


def _replaced(callback: CallbackDefinition, **changes: Any) -> CallbackDefinition:
    return CallbackDefinition(
        **{name: changes.get(name, getattr(callback, name)) for name in CallbackDefinition.__struct_fields__}
    )


def _with_room(
    callback: CallbackDefinition,
    definition: OperationDefinition,
    at: str,
    operation_id: str,
    problems: list[Problem],
) -> CallbackDefinition:
    """Return a callback whose address can be put where it says, or is told to the caller."""
    reason = ""
    if callback.location == "body" and (definition.body is None or definition.body.kind in {"text", "binary"}):
        reason = "the address is read from a body with fields, which the operation does not send"
    if callback.location == "path" and not any(
        parameter.location == "path" and parameter.name == callback.place for parameter in definition.parameters
    ):
        reason = f"the path has no parameter {callback.place!r}"
    if not reason:
        return callback
    told = f"{reason}; the address is told to the caller instead"
    problems.append(Problem(pointer=at, reason=told, operation=operation_id))
    return _replaced(callback, location="none", place="", suffix="")


def _fields(encoding: Any) -> tuple[FieldDefinition, ...]:
    found = []
    for name, given in encoding.items() if isinstance(encoding, dict) else ():
        if isinstance(given, dict):
            style = given.get("style")
            explode = given.get("explode")
            found.append(
                FieldDefinition(
                    name=name,
                    content_type=text(given.get("contentType")),
                    style=style if isinstance(style, str) and style in _STYLES["query"] else "",
                    explode=explode if isinstance(explode, bool) else style in {None, "form"},
                    allow_reserved=given.get("allowReserved") is True,
                )
            )
    return tuple(found)


def _server_path(servers: Any) -> str:
    server = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(server, dict) or not isinstance(server.get("url"), str):
        return ""
    variables = server.get("variables")
    known = variables if isinstance(variables, dict) else {}
    return path_of(TEMPLATE.sub(lambda found: _default_of(known, found[1]), server["url"]))


def _default_of(variables: Mapping[str, Any], name: str) -> str:
    variable = variables.get(name)
    return text(variable.get("default")) if isinstance(variable, dict) else ""
