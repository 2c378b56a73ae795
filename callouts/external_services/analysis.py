"""From a document to operations: what works is taken, what does not is listed with its place and reason."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args
from urllib.parse import urlsplit

from callouts.callbacks import expressions
from callouts.external_services import names, pointers, references
from callouts.external_services.definitions import (
    BodyDefinition,
    BodyKind,
    CallbackDefinition,
    CallbackRequest,
    Location,
    OperationDefinition,
    ParameterDefinition,
)
from callouts.external_services.documents import Document
from callouts.external_services.limits import DocumentLimits
from callouts.external_services.references import BrokenReference
from callouts.external_services.schemas import SchemaGraph

__all__ = ["RESERVED_ARGUMENTS", "Analysis", "OperationDraft", "Problem", "analyse"]

RESERVED_ARGUMENTS = frozenset(
    {"body", "callback", "callback_timeout", "operation", "parameters", "record", "reference", "timeout", "user"}
)
"""Names of the caller's own arguments; a parameter of that name gets an underscore."""

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_LONGEST_NAME = 255
_TEMPLATE = re.compile(r"\{([^{}]+)\}")
_IGNORED_HEADERS = frozenset({"accept", "authorization", "content-type"})
_LOCATIONS: tuple[Location, ...] = get_args(Location)
_STYLES: Mapping[Location, tuple[str, ...]] = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something in a document that is not used."""

    pointer: str
    """Where, as a JSON pointer."""
    reason: str
    operation: str = ""
    """The operation that it concerns; "" is the whole document."""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class OperationDraft:
    """A callable operation that is not stored yet. Its Python name is given at registration."""

    operation_id: str
    method: str
    path: str
    definition: OperationDefinition
    callbacks: tuple[CallbackDefinition, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a document offers."""

    operations: tuple[OperationDraft, ...]
    skipped: tuple[Problem, ...]
    """One for each operation that cannot be called."""
    problems: tuple[Problem, ...]
    """What does not keep an operation from being called."""


class _Unusable(Exception):
    """This part of the document cannot be used."""

    def __init__(self, pointer: str, reason: str) -> None:
        self.pointer, self.reason = pointer, reason
        super().__init__(reason)


@dataclass(frozen=True)
class _Found:
    """An operation object, where it stands and what its path item gives it."""

    path: str
    method: str
    value: Any
    at: str
    path_item: dict[str, Any]
    path_item_at: str


def analyse(document: Document, limits: DocumentLimits | None = None) -> Analysis:
    """Work out what can be called. Raises `DocumentTooLarge` when the time is up."""
    return _Analysis(document, limits or DocumentLimits()).run()


class _Analysis:
    def __init__(self, document: Document, limits: DocumentLimits) -> None:
        self._document = document
        self._content = document.content
        self._limits = limits
        self._schemas = SchemaGraph(document.content)
        self._skipped: list[Problem] = []
        self._problems: list[Problem] = []
        self._ids: set[str] = set()

    def run(self) -> Analysis:
        for key in self._document.repeated_keys[:20]:
            self._problems.append(Problem(pointer="", reason=f"the key {key!r} occurs twice; the last one counts"))
        found = [operation for operation in self._operations() if operation is not None]
        self._schemas.spread()
        usable = [draft for draft in map(self._with_usable_schemas, found) if draft is not None]
        problems = [*self._problems, *(problem for draft in usable for problem in draft.problems)]
        return Analysis(operations=tuple(usable), skipped=tuple(self._skipped), problems=tuple(problems))

    def _operations(self) -> Iterator[OperationDraft | None]:
        for found in self._path_items():
            self._limits.check_time()
            yield self._operation(found)

    def _path_items(self) -> Iterator[_Found]:
        paths = self._content.get("paths", {})
        if not isinstance(paths, dict):
            self._problems.append(Problem(pointer="/paths", reason="this is no mapping of paths"))
            return
        for path, given in paths.items():
            if path.startswith("x-"):
                continue
            at = pointers.join("paths", path)
            try:
                item, item_at = references.resolve(self._content, given, at)
            except BrokenReference as broken:
                self._skip(path, broken.pointer, broken.reason)
                continue
            if not isinstance(item, dict) or not path.startswith("/"):
                reason = "a path starts with a slash" if isinstance(item, dict) else "this is no path item"
                self._skip(path, at, reason)
                continue
            for method in _METHODS:
                if method == "trace" and method in item:
                    self._skip(f"TRACE {path}", pointers.join(method, base=item_at), "TRACE is never sent")
                elif method in item:
                    operation_at = pointers.join(method, base=item_at)
                    yield _Found(path, method, item[method], operation_at, item, item_at)

    def _skip(self, operation: str, pointer: str, reason: str) -> None:
        self._skipped.append(Problem(pointer=pointer, reason=reason, operation=operation))

    def _operation(self, found: _Found) -> OperationDraft | None:
        name = f"{found.method.upper()} {found.path}"
        if not isinstance(found.value, dict):
            self._skip(name, found.at, "this is no operation")
            return None
        problems: list[Problem] = []
        operation_id = self._operation_id(found, problems)
        try:
            definition = self._definition(found, operation_id, problems)
        except (_Unusable, BrokenReference) as unusable:
            self._skip(operation_id, unusable.pointer, unusable.reason)
            return None
        callbacks = tuple(self._callbacks(found, definition, operation_id, problems))
        return OperationDraft(
            operation_id=operation_id,
            method=found.method.upper(),
            path=found.path,
            definition=definition,
            callbacks=callbacks,
            problems=tuple(problems),
        )

    def _operation_id(self, found: _Found, problems: list[Problem]) -> str:
        given = found.value.get("operationId")
        made = names.operation_id_for(found.method, found.path)[: _LONGEST_NAME - 10]
        if isinstance(given, str) and 0 < len(given) <= _LONGEST_NAME and given not in self._ids:
            operation_id = given
        else:
            operation_id = names.allocate(made, self._ids)
            if given is not None:
                reason = f"the operationId is used twice, is no text or is too long; it is called {operation_id!r}"
                at = pointers.join("operationId", base=found.at)
                problems.append(Problem(pointer=at, reason=reason, operation=operation_id))
        self._ids.add(operation_id)
        return operation_id

    def _definition(self, found: _Found, operation_id: str, problems: list[Problem]) -> OperationDefinition:
        parameters = self._parameters(found.path_item, found.path_item_at)
        parameters.update(self._parameters(found.value, found.at))
        for name in _TEMPLATE.findall(found.path):
            if (name, "path") not in parameters:
                parameters[name, "path"] = ParameterDefinition(
                    name=name, location="path", python_name="", required=True
                )
                reason = f"the path parameter {name!r} is not declared; it takes any text"
                problems.append(Problem(pointer=found.at, reason=reason, operation=operation_id))
        body = found.value.get("requestBody")
        return OperationDefinition(
            parameters=_with_python_names(parameters.values()),
            body=None if body is None else self._body(body, pointers.join("requestBody", base=found.at)),
            server_path=_server_path(found.value, found.path_item, self._content),
            answers=self._answers(found, operation_id, problems),
            summary=_text(found.value.get("summary") or found.value.get("description"))[:500],
            is_deprecated=found.value.get("deprecated") is True,
        )

    def _parameters(self, owner: dict[str, Any], at: str) -> dict[tuple[str, Location], ParameterDefinition]:
        given = owner.get("parameters", [])
        at = pointers.join("parameters", base=at)
        if not isinstance(given, list):
            raise _Unusable(at, "this is no list of parameters")
        found = {}
        for index, item in enumerate(given):
            value, value_at = references.resolve(self._content, item, pointers.join(index, base=at))
            parameter = self._parameter(value, value_at)
            if parameter.location != "header" or parameter.name.lower() not in _IGNORED_HEADERS:
                found[parameter.name, parameter.location] = parameter
        return found

    def _parameter(self, value: Any, at: str) -> ParameterDefinition:
        name = value.get("name") if isinstance(value, dict) else None
        given = value.get("in") if isinstance(value, dict) else None
        location = next((known for known in _LOCATIONS if known == given), None)
        if not isinstance(name, str) or not name or location is None:
            raise _Unusable(at, "a parameter needs a name, and a place that is path, query, header or cookie")
        style = value.get("style") if value.get("style") in _STYLES[location] else _STYLES[location][0]
        content = value.get("content")
        schema_at = pointers.join("schema", base=at) if "schema" in value else None
        if isinstance(content, dict) and content:
            media_type, media = next(iter(content.items()))
            if _kind(media_type) != "json":
                raise _Unusable(pointers.join("content", base=at), f"a parameter cannot be written as {media_type}")
            has_schema = isinstance(media, dict) and "schema" in media
            schema_at = pointers.join("content", media_type, "schema", base=at) if has_schema else None
        if schema_at is not None:
            self._schemas.add(schema_at)
        return ParameterDefinition(
            name=name,
            location=location,
            python_name="",
            required=value.get("required") is True or location == "path",
            style=style,
            explode=value["explode"] if isinstance(value.get("explode"), bool) else style == "form",
            allow_reserved=value.get("allowReserved") is True,
            as_json=isinstance(content, dict) and bool(content),
            schema=schema_at,
            description=_text(value.get("description"))[:500],
        )

    def _body(self, given: Any, at: str) -> BodyDefinition:
        value, at = references.resolve(self._content, given, at)
        content = value.get("content") if isinstance(value, dict) else None
        at = pointers.join("content", base=at)
        if not isinstance(content, dict) or not content:
            raise _Unusable(at, "the body lists no content type")
        usable = sorted((_RANK[kind], index, media_type) for index, media_type, kind in _kinds(content))
        if not usable:
            raise _Unusable(at, f"a body cannot be written as {', '.join(content)}")
        chosen = usable[0][2]
        kind = _kind(chosen) or "binary"
        media_at = pointers.join(chosen, base=at)
        media, media_at = references.resolve(self._content, content[chosen], media_at)
        schema_at = None
        if kind in {"json", "form"} and isinstance(media, dict) and "schema" in media:
            schema_at = pointers.join("schema", base=media_at)
            self._schemas.add(schema_at)
        return BodyDefinition(
            content_types=(chosen, *(media_type for media_type in content if media_type != chosen)),
            kind=kind,
            required=value.get("required") is True,
            schema=schema_at,
        )

    def _answers(self, found: _Found, operation_id: str, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
        given = found.value.get("responses", {})
        at = pointers.join("responses", base=found.at)
        answers: dict[str, tuple[str, ...]] = {}
        for status, item in given.items() if isinstance(given, dict) else ():
            if status.startswith("x-"):
                continue
            try:
                value, _ = references.resolve(self._content, item, pointers.join(status, base=at))
            except BrokenReference as broken:
                problems.append(Problem(pointer=broken.pointer, reason=broken.reason, operation=operation_id))
                continue
            content = value.get("content") if isinstance(value, dict) else None
            answers[status] = tuple(content) if isinstance(content, dict) else ()
        return answers

    def _callbacks(
        self, found: _Found, definition: OperationDefinition, operation_id: str, problems: list[Problem]
    ) -> Iterator[CallbackDefinition]:
        given = found.value.get("callbacks")
        taken: set[tuple[str, str, str]] = set()
        python_names: set[str] = set()
        for name, item in given.items() if isinstance(given, dict) else ():
            at = pointers.join("callbacks", name, base=found.at)
            try:
                callback = self._callback(name, item, at, definition)
                place = (callback.location, callback.place, callback.suffix)
                if place in taken:
                    raise _Unusable(at, "another callback has the same address; they cannot be told apart")
            except (_Unusable, BrokenReference) as unusable:
                problems.append(Problem(pointer=unusable.pointer, reason=unusable.reason, operation=operation_id))
                continue
            taken.add(place)
            python_name = names.allocate(callback.python_name or "callback", python_names)
            python_names.add(python_name)
            yield replace(callback, python_name=python_name)

    def _callback(self, name: str, given: Any, at: str, definition: OperationDefinition) -> CallbackDefinition:
        value, at = references.resolve(self._content, given, at)
        keys = [key for key in value if not key.startswith("x-")] if isinstance(value, dict) else []
        if len(keys) != 1:
            raise _Unusable(at, "a callback with one address can be placed; this one has none or several")
        at = pointers.join(keys[0], base=at)
        try:
            placement = expressions.placement(expressions.parse(keys[0]))
        except (expressions.InvalidExpression, expressions.NotPlaceable) as error:
            raise _Unusable(at, f"{keys[0]}: {error}") from error
        _check_room(placement, definition, at)
        item, at = references.resolve(self._content, value[keys[0]], at)
        return CallbackDefinition(
            name=name,
            python_name=names.snake_case(name),
            expression=keys[0],
            location=placement.location,
            place=placement.name,
            suffix=placement.suffix,
            methods=self._callback_methods(item, at),
        )

    def _callback_methods(self, item: Any, at: str) -> dict[str, CallbackRequest]:
        methods = {}
        for method in _METHODS if isinstance(item, dict) else ():
            value = item.get(method)
            if not isinstance(value, dict):
                continue
            method_at = pointers.join(method, base=at)
            parameters = {**self._parameters(item, at), **self._parameters(value, method_at)}
            given = value.get("requestBody")
            body = None if given is None else self._body(given, pointers.join("requestBody", base=method_at))
            if body is not None and body.kind == "binary":
                raise _Unusable(method_at, f"a callback cannot bring {body.content_types[0]}")
            methods[method.upper()] = CallbackRequest(parameters=_with_python_names(parameters.values()), body=body)
        if not methods:
            raise _Unusable(at, "the callback has no method")
        return methods

    def _with_usable_schemas(self, draft: OperationDraft) -> OperationDraft | None:
        """Drop what reaches a schema that is broken: the operation, or one of its callbacks."""
        broken = self._broken_schema(draft.definition.parameters, draft.definition.body)
        if broken is not None:
            self._skip(draft.operation_id, broken.pointer, broken.reason)
            return None
        callbacks, problems = [], list(draft.problems)
        for callback in draft.callbacks:
            found = [self._broken_schema(request.parameters, request.body) for request in callback.methods.values()]
            broken = next((problem for problem in found if problem is not None), None)
            if broken is None:
                callbacks.append(callback)
            else:
                problems.append(Problem(pointer=broken.pointer, reason=broken.reason, operation=draft.operation_id))
        return replace(draft, callbacks=tuple(callbacks), problems=tuple(problems))

    def _broken_schema(
        self, parameters: tuple[ParameterDefinition, ...], body: BodyDefinition | None
    ) -> BrokenReference | None:
        schemas = [parameter.schema for parameter in parameters] + [body.schema if body else None]
        found = (self._schemas.problem_of(schema) for schema in schemas if schema is not None)
        return next((problem for problem in found if problem is not None), None)


def _check_room(placement: expressions.Placement, definition: OperationDefinition, at: str) -> None:
    """Refuse a place that the operation's request does not have."""
    if placement.location == "body" and (definition.body is None or definition.body.kind != "json"):
        raise _Unusable(at, "the address is read from a JSON body, which the operation does not send")
    if placement.location == "path" and not any(
        parameter.location == "path" and parameter.name == placement.name for parameter in definition.parameters
    ):
        raise _Unusable(at, f"the path has no parameter {placement.name!r}")


def _with_python_names(found: Any) -> tuple[ParameterDefinition, ...]:
    taken: set[str] = set(RESERVED_ARGUMENTS)
    named = []
    for parameter in found:
        name = names.snake_case(parameter.name) or "parameter"
        wanted = f"{name}_" if name in RESERVED_ARGUMENTS else name
        python_name = wanted if wanted not in taken else names.allocate(f"{parameter.location}_{wanted}", taken)
        taken.add(python_name)
        named.append(replace(parameter, python_name=python_name))
    return tuple(named)


_RANK: Mapping[BodyKind, int] = {"json": 0, "form": 1, "text": 2, "binary": 3}


def _kinds(content: dict[str, Any]) -> Iterator[tuple[int, str, BodyKind]]:
    for index, media_type in enumerate(content):
        kind = _kind(media_type)
        if kind is not None:
            yield index, media_type, kind


def _kind(media_type: str) -> BodyKind | None:
    """Return how a body of a media type is written; `None` where we do not know how."""
    name = media_type.partition(";")[0].strip().lower()
    if name in {"application/json", "*/*", "application/*"} or name.endswith(("+json", "/json")):
        return "json"
    if name == "application/x-www-form-urlencoded":
        return "form"
    if name.startswith("multipart/"):
        return None
    return "text" if name.startswith("text/") or name.endswith(("/xml", "+xml")) else "binary"


def _server_path(*owners: dict[str, Any]) -> str:
    """Return the path of the first server of the nearest owner that has one; the host is the credential's business."""
    for owner in owners:
        servers = owner.get("servers")
        server = servers[0] if isinstance(servers, list) and servers else None
        if isinstance(server, dict) and isinstance(server.get("url"), str):
            return _path_of(_with_defaults(server["url"], server.get("variables")))
    return ""


def _with_defaults(url: str, variables: Any) -> str:
    known = variables if isinstance(variables, dict) else {}
    return _TEMPLATE.sub(lambda found: _default_of(known, found[1]), url)


def _default_of(variables: Any, name: str) -> str:
    variable = variables.get(name)
    return _text(variable.get("default")) if isinstance(variable, dict) else ""


def _path_of(url: str) -> str:
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if not path or path.startswith("/") else f"/{path}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
