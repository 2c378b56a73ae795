"""A double of a service: takes requests, checks them against the document, answers as the document would have it.

A caller may choose with a header, as other doubles have it: `Prefer: code=404` or `Prefer: example=name`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from callouts.callbacks import expressions
from callouts.callbacks.bodies import BodyRefused, parse_stored
from callouts.callbacks.expressions import Exchange, Unresolved
from callouts.external_services.description.definitions import (
    AnswerDefinition,
    CallbackDefinition,
    MediaDefinition,
    ParameterDefinition,
)
from callouts.external_services.document.references import BrokenReference, resolve
from callouts.external_services.errors import MockUnprepared
from callouts.external_services.loaded import document_of, validator_for
from callouts.external_services.mock.samples import sample_of_media
from callouts.external_services.models import ExternalServiceVersion, Operation
from callouts.external_services.writing import xml_bodies

__all__ = ["Double", "Given", "OutgoingCallback", "Received"]

_PREFERENCE = re.compile(r"(code|example)=\"?([^\";,\s]+)\"?")
# What says how the answer itself is written; documents copy it from some server.
_NOT_TO_MAKE_UP = frozenset(
    {"connection", "content-encoding", "content-length", "date", "keep-alive", "transfer-encoding", "upgrade"}
)
_TEMPLATE = re.compile(r"\{[^{}]+\}")


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it reached the double, and what it answered."""

    operation: str
    """The operation's Python name; "" where no operation has that method and path."""
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    problems: tuple[str, ...]
    """What did not fit the document."""
    status: int
    answer: Any
    exchange: Exchange

    def json(self) -> Any:
        """Return the request's body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the double answers."""

    status: int
    body: Any = None
    """Written in the content type."""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    written: bytes = b""


@dataclass(frozen=True, kw_only=True)
class OutgoingCallback:
    """A callback that is ready to be sent."""

    url: str
    method: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class _Route:
    operation: Operation
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    literal_length: int


class Double:
    """A double of one version of a service. Keeps what it received."""

    def __init__(self, version: ExternalServiceVersion) -> None:
        self._version = version
        self._pieces = document_of(version)
        self._routes = sorted(
            (_route(operation) for operation in version.operations.select_related("version__service")),
            key=lambda route: -route.literal_length,
        )
        self._prepared: dict[str, list[Given]] = {}
        self.received: list[Received] = []

    def prepare(self, operation: str, given: Given) -> None:
        """Answer an operation, by its Python name, with this; several are given in this order, the last one for ever.

        Raises `MockUnprepared` where there is no such operation.
        """
        known = {route.operation.name for route in self._routes}
        if operation not in known:
            raise MockUnprepared(f"{self._version.service.name} has no operation {operation!r}.")
        self._prepared.setdefault(operation, []).append(given)

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Given:
        """Answer a request; `url` is a path with a query, or a whole address."""
        path = urlsplit(url).path or "/"
        lowered = {name.lower(): value for name, value in headers.items()}
        found = self._find(method, path)
        if found is None:
            given = _problem(404, "the document has no such operation", [f"{method} {path}"])
            return self._kept("", method, url, headers, body, (), given, {})
        route, in_path = found
        operation = route.operation
        problems = self._problems(operation, in_path, url, lowered, body)
        prepared = self._prepared.get(operation.name)
        if problems:
            given = _problem(422, "the request does not fit the document", problems)
        elif prepared:
            given = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        else:
            given = self._from_document(operation, dict(_PREFERENCE.findall(lowered.get("prefer", ""))))
        return self._kept(operation.name, method, url, headers, body, tuple(problems), given, in_path)

    def callback(
        self, name: str, *, body: Any = None, method: str = "", received: Received | None = None
    ) -> OutgoingCallback:
        """Return the callback `name` of the request that was received last, or of another one.

        `body`: `None` makes one from the document. Raises `MockUnprepared` where nothing asked for that callback.
        """
        asked = received or next((one for one in reversed(self.received) if self._calls_back(one, name)), None)
        definition = self._definition(asked, name) if asked is not None else None
        if asked is None or definition is None:
            raise MockUnprepared(f"No request was received that asks for the callback {name!r}.")
        try:
            url = expressions.expand(expressions.parse(definition.expression), asked.exchange)
        except Unresolved as error:
            raise MockUnprepared(f"The request says nowhere where {name!r} is to go: {error}") from error
        chosen = method or next(iter(definition.methods))
        described = definition.methods[chosen].body
        media = described.media[0] if described is not None else None
        if body is None and media is not None:
            body = sample_of_media(self._pieces, media, direction="request")
        content_type = media.content_type if media is not None else "application/json"
        return OutgoingCallback(
            url=url, method=chosen, body=self._written(media, content_type, body), content_type=content_type
        )

    def _calls_back(self, received: Received, name: str) -> bool:
        return not received.problems and self._definition(received, name) is not None

    def _definition(self, received: Received, name: str) -> CallbackDefinition | None:
        for route in self._routes:
            if route.operation.name == received.operation:
                named = [one for one in route.operation.callback_contracts if name in {one.name, one.python_name}]
                return next(iter(named), None)
        return None

    def _find(self, method: str, path: str) -> tuple[_Route, dict[str, str]] | None:
        for route in self._routes:
            match = route.pattern.fullmatch(path) if route.operation.method == method else None
            if match is not None:
                return route, dict(zip(route.names, map(unquote, match.groups()), strict=True))
        return None

    def _problems(
        self, operation: Operation, in_path: Mapping[str, str], url: str, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        query = parse_qs(urlsplit(url).query, keep_blank_values=True)
        problems = []
        for parameter in operation.contract.parameters:
            given = _given(parameter, in_path, query, headers)
            if given is None:
                if parameter.required:
                    problems.append(f"{parameter.location} {parameter.name}: it is required")
            elif parameter.schema is not None and not parameter.media_type:
                value = self._read(parameter, given)
                validator = validator_for(operation.version, parameter.schema, "request")
                found = validator.problems(value) if validator else []
                problems.extend(f"{parameter.location} {parameter.name}: {one.message}" for one in found)
        return problems + self._body_problems(operation, headers, body)

    def _body_problems(self, operation: Operation, headers: Mapping[str, str], body: bytes) -> list[str]:
        described = operation.contract.body
        if not body:
            return ["body: it is required"] if described is not None and described.required else []
        if described is None:
            return []
        content_type = headers.get("content-type", "")
        media = described.media_for(content_type)
        if media is None:
            return [f"body: {content_type or 'no content type'} is not one of {', '.join(described.content_types)}"]
        if media.schema is None or media.kind not in {"json", "form", "xml"}:
            return []
        try:
            value = parse_stored(body.decode(errors="replace"), content_type, described, self._pieces)
        except BodyRefused as refused:
            return [str(refused)]
        if media.kind == "form":
            return []  # a form holds texts only, whatever its schema calls them
        validator = validator_for(operation.version, media.schema, "request")
        return [f"body{one.pointer}: {one.message}" for one in validator.problems(value)] if validator else []

    def _read(self, parameter: ParameterDefinition, given: list[str]) -> Any:
        """Return a parameter's value in the type of its schema."""
        try:
            schema, _ = resolve(self._pieces, {"$ref": f"#{parameter.schema}"}, "")
        except BrokenReference:
            return given[0]
        kind = schema.get("type") if isinstance(schema, dict) else None
        if kind == "array":
            items = schema.get("items")
            inner = items.get("type") if isinstance(items, dict) else None
            separator = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}.get(parameter.style, ",")
            texts = (
                given
                if parameter.explode and len(given) > 1
                else [part for text in given for part in (text.split(separator) if not parameter.explode else [text])]
            )
            return [_typed(text, inner) for text in texts]
        return _typed(given[0], kind)

    def _from_document(self, operation: Operation, preferred: Mapping[str, str]) -> Given:
        answers = operation.contract.answers
        wanted = preferred.get("code", "")
        key = wanted if wanted in answers else _first_success(answers)
        if key is None:
            return Given(status=int(wanted) if wanted.isdecimal() else 200)
        status = int(key) if key.isdecimal() else 200 if key == "default" else int(key[0]) * 100
        answer = answers[key]
        media = next(iter(answer.media), None)
        headers = {
            header.name: self._header(header)
            for header in answer.headers
            if header.required and header.name.lower() not in _NOT_TO_MAKE_UP
        }
        if media is None:
            return Given(status=status, headers=headers)
        body = sample_of_media(self._pieces, media, name=preferred.get("example", ""))
        content_type = "application/json" if "*" in media.content_type else media.content_type
        written = self._written(media, content_type, body)
        return Given(status=status, body=body, content_type=content_type, headers=headers, written=written)

    def _header(self, header: ParameterDefinition) -> str:
        if header.schema is None:
            return "text"
        media = MediaDefinition(content_type="text/plain", kind="text", schema=header.schema)
        made = sample_of_media(self._pieces, media)
        return made if isinstance(made, str) else json.dumps(made)

    def _written(self, media: MediaDefinition | None, content_type: str, body: Any) -> bytes:
        if body is None:
            return b""
        if isinstance(body, bytes):
            return body
        if media is not None and media.kind == "xml" and not isinstance(body, str):
            return xml_bodies.write(self._pieces, media.schema, body)
        if isinstance(body, str) and media is not None and media.kind != "json":
            return body.encode()
        return json.dumps(body).encode()

    def _kept(
        self,
        operation: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        problems: Sequence[str],
        given: Given,
        in_path: Mapping[str, str],
    ) -> Given:
        written = given.written or self._written(None, given.content_type, given.body)
        query = parse_qs(urlsplit(url).query, keep_blank_values=True)
        exchange = Exchange(
            url=url,
            method=method,
            request_headers=headers,
            request_query={name: values[-1] for name, values in query.items()},
            request_path=in_path,
            request_body=_parsed(
                body, {name.lower(): value for name, value in headers.items()}.get("content-type", "")
            ),
            status_code=given.status,
            response_headers=given.headers,
            response_body=given.body,
        )
        self.received.append(
            Received(
                operation=operation,
                method=method,
                url=url,
                headers=headers,
                body=body,
                problems=tuple(problems),
                status=given.status,
                answer=given.body,
                exchange=exchange,
            )
        )
        return Given(
            status=given.status,
            body=given.body,
            content_type=given.content_type,
            headers=given.headers,
            written=written,
        )


def _route(operation: Operation) -> _Route:
    path = operation.path
    names = tuple(name[1:-1] for name in _TEMPLATE.findall(path))
    pieces = [re.escape(piece) for piece in _TEMPLATE.split(path)]
    prefix = re.escape(operation.version.service.path_before(operation.contract))
    # Whether the server's path is part of the credential's address decides whether it is asked for.
    pattern = re.compile(f"(?:{prefix})?" + "([^/]+)".join(pieces) if prefix else "([^/]+)".join(pieces))
    return _Route(operation, pattern, names, len(_TEMPLATE.sub("", path)))


def _given(
    parameter: ParameterDefinition,
    in_path: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
) -> list[str] | None:
    """Return the texts of a parameter, or `None` where it is not given."""
    if parameter.location == "path":
        return [in_path[parameter.name]] if parameter.name in in_path else None
    if parameter.location == "query":
        return query.get(parameter.name)
    if parameter.location == "header":
        found = headers.get(parameter.name.lower())
        return [found] if found is not None else None
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return next(([unquote(value)] for name, _, value in pairs if name == parameter.name), None)


def _typed(text: str, kind: Any) -> Any:
    try:
        if kind == "integer":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        return text
    return text == "true" if kind == "boolean" and text in {"true", "false"} else text


def _first_success(answers: Mapping[str, AnswerDefinition]) -> str | None:
    successes = [status for status in answers if status.startswith("2")]
    return next(iter(successes), "default" if "default" in answers else next(iter(answers), None))


def _parsed(body: bytes, content_type: str) -> Any:
    try:
        return parse_stored(body.decode(errors="replace"), content_type, None)
    except BodyRefused:
        return None


def _problem(status: int, title: str, problems: Sequence[str]) -> Given:
    body = {"title": title, "status": status, "problems": list(problems)}
    return Given(status=status, body=body, content_type="application/problem+json")
