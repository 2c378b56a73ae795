"""From the arguments of a call to what goes on the wire: bound, checked against the document, written."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from django.core.serializers.json import DjangoJSONEncoder

from callouts.client import SAFE_METHODS
from callouts.external_services import parameters as writing
from callouts.external_services import pointers
from callouts.external_services.definitions import (
    CallbackDefinition,
    OperationDefinition,
    ParameterDefinition,
    is_idempotency_header,
)
from callouts.external_services.errors import ArgumentProblem, ArgumentsRefused, NotConnected
from callouts.external_services.loaded import validator_for
from callouts.external_services.models import Operation
from callouts.external_services.parameters import UnwritableValue
from credentials.models import NamedCredential

__all__ = ["Arguments", "OutgoingRequest", "bind", "build"]

_TEMPLATE = re.compile(r"\{([^{}]+)\}")
_SAFE_IN_PATH = "/:@!$&'()*+,;=-._~%"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments of a call under the document's names, made of JSON's types only."""

    values: Mapping[ParameterDefinition, Any] = field(default_factory=dict)
    body: Any = None
    """`None`: no body."""
    problems: tuple[ArgumentProblem, ...] = ()
    """What could not be matched with the operation; `build` refuses it with all else that is wrong."""

    def as_json(self) -> dict[str, Any]:
        given = {parameter.name: value for parameter, value in self.values.items()}
        return given if self.body is None else {**given, "body": self.body}

    @property
    def digest(self) -> str:
        """Tells whether two calls say the same."""
        named = {f"{found.location}.{found.name}": value for found, value in self.values.items()}
        canonical = json.dumps([named, _readable(self.body)], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A request that is ready for `callouts.http`."""

    method: str
    url: str
    headers: Mapping[str, str]
    data: bytes | None
    idempotency_key: str | None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it again is safe: it only reads, or carries a key that the service honours."""
        return self.idempotency_key is not None or self.method in SAFE_METHODS


def bind(operation: Operation, body: Any, given: Mapping[str, Any]) -> Arguments:
    """Match arguments with the operation's parameters.

    A parameter goes by its Python name or by the document's; one that is `None` is left out.
    """
    definition = OperationDefinition.from_json(operation.definition)
    callbacks = [CallbackDefinition.from_json(found) for found in operation.callbacks]
    problems: list[ArgumentProblem] = []
    values: dict[ParameterDefinition, Any] = {}
    for name, value in given.items():
        parameter = _parameter(definition, name)
        if parameter is None:
            problems.append(ArgumentProblem(pointers.join(name), _no_such_parameter(definition)))
        elif parameter in values:
            problems.append(ArgumentProblem(pointers.join(name), "it is given twice"))
        elif value is not None:
            values[parameter] = _plain(value, pointers.join(name), problems)
    if body is not None and definition.body is None:
        problems.append(ArgumentProblem("/body", "the operation takes no body"))
    elif body is not None and definition.body is not None and definition.body.kind in {"json", "form"}:
        body = _plain(body, "/body", problems)
    elif body is not None and not isinstance(body, str | bytes):
        problems.append(ArgumentProblem("/body", "it is a text or bytes here"))
    problems.extend(_filled_in_by_us(callbacks, values, body))
    return Arguments(values=values, body=body, problems=tuple(problems))


def build(
    operation: Operation,
    arguments: Arguments,
    named_credential: NamedCredential | None,
    *,
    idempotency_key: str | None = None,
    callback_urls: Mapping[str, str] | None = None,
) -> OutgoingRequest:
    """Check the arguments against the document and write the request.

    `idempotency_key` fills the operation's `Idempotency-Key` header, if it has one and the caller gave none.
    `callback_urls` are by callback name. Raises `ArgumentsRefused` with all that is wrong, and `NotConnected`.
    """
    if named_credential is None:
        raise NotConnected(f"{operation.version.service.name} has no named credential; give it one.")
    definition = OperationDefinition.from_json(operation.definition)
    values, body = dict(arguments.values), arguments.body
    header = definition.idempotency_header
    if header is not None and idempotency_key is not None:
        values.setdefault(header, idempotency_key)
    headers: dict[str, str] = {}
    problems = list(arguments.problems)
    for callback in map(CallbackDefinition.from_json, operation.callbacks):
        url = (callback_urls or {}).get(callback.name)
        if url is not None:
            body = _placed(callback, url, definition, values, headers, body, problems)
    told = {problem.pointer for problem in problems}
    found = _problems(operation, definition, values, body)
    problems.extend(problem for problem in found if problem.pointer not in told)
    url = _url(operation, definition, values, named_credential, problems)
    headers.update(_headers(values, problems))
    data, content_type = _body(definition, body)
    if problems:
        raise ArgumentsRefused(operation.operation_id, problems)
    if content_type:
        headers["Content-Type"] = content_type
    headers.setdefault("Accept", _accepted(definition))
    key = next((headers.pop(name) for name in list(headers) if name.lower() == "idempotency-key"), None)
    return OutgoingRequest(method=operation.method, url=url, headers=headers, data=data, idempotency_key=key)


def _parameter(definition: OperationDefinition, name: str) -> ParameterDefinition | None:
    by_python_name = [found for found in definition.parameters if found.python_name == name]
    named = by_python_name or [found for found in definition.parameters if found.name == name]
    return named[0] if len(named) == 1 else None


def _no_such_parameter(definition: OperationDefinition) -> str:
    known = ", ".join(found.python_name for found in definition.parameters)
    return f"there is no such parameter; known are: {known or 'none'}"


def _plain(value: Any, pointer: str, problems: list[ArgumentProblem]) -> Any:
    """Return `value` made of JSON's types; dates become ISO texts."""
    try:
        return json.loads(json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        problems.append(ArgumentProblem(pointer, "it cannot be written as JSON"))
        return None


def _filled_in_by_us(
    callbacks: Sequence[CallbackDefinition], values: Mapping[ParameterDefinition, Any], body: Any
) -> list[ArgumentProblem]:
    text = "it holds the callback's address, which the platform fills in"
    problems = []
    for callback in callbacks:
        if callback.location == "body" and _is_given(body, callback.place):
            problems.append(ArgumentProblem(f"/body{callback.place}", text))
        elif any(found.location == callback.location and _same(found, callback) for found in values):
            problems.append(ArgumentProblem(pointers.join(callback.place), text))
    return problems


def _is_given(body: Any, pointer: str) -> bool:
    try:
        return pointers.resolve(body, pointer) is not None
    except pointers.PointsNowhere:
        return False


def _same(parameter: ParameterDefinition, callback: CallbackDefinition) -> bool:
    if callback.location == "header":
        return parameter.name.lower() == callback.place.lower()
    return parameter.name == callback.place


def _placed(
    callback: CallbackDefinition,
    url: str,
    definition: OperationDefinition,
    values: dict[ParameterDefinition, Any],
    headers: dict[str, str],
    body: Any,
    problems: list[ArgumentProblem],
) -> Any:
    """Put a callback's address where its expression reads it; return the body."""
    if callback.location == "body":
        try:
            return pointers.placed(body, callback.place, url)
        except pointers.PointsNowhere:
            problems.append(ArgumentProblem(f"/body{callback.place}", "the callback's address cannot be put here"))
            return body
    declared = [found for found in definition.parameters if found.location == callback.location]
    parameter = next((found for found in declared if _same(found, callback)), None)
    if parameter is not None:
        values[parameter] = url
    elif callback.location == "header":
        headers[callback.place] = url
    else:
        made = ParameterDefinition(name=callback.place, location="query", python_name="", style="form", explode=True)
        values[made] = url
    return body


def _problems(
    operation: Operation, definition: OperationDefinition, values: Mapping[ParameterDefinition, Any], body: Any
) -> list[ArgumentProblem]:
    problems = []
    for parameter in definition.parameters:
        pointer = pointers.join(parameter.name)
        if parameter not in values:
            if parameter.required:
                problems.append(ArgumentProblem(pointer, _missing(parameter)))
        elif parameter.schema is not None:
            validator = validator_for(operation.version, parameter.schema, "request")
            problems.extend(validator.problems(values[parameter], base=pointer) if validator else ())
    if body is None:
        if definition.body is not None and definition.body.required:
            problems.append(ArgumentProblem("/body", "it is required"))
    elif definition.body is not None and definition.body.schema is not None:
        validator = validator_for(operation.version, definition.body.schema, "request")
        problems.extend(validator.problems(body, base="/body") if validator else ())
    return problems


def _missing(parameter: ParameterDefinition) -> str:
    if is_idempotency_header(parameter):
        return "it is required; give a reference, from which it is made"
    return "it is required"


def _url(
    operation: Operation,
    definition: OperationDefinition,
    values: Mapping[ParameterDefinition, Any],
    named_credential: NamedCredential,
    problems: list[ArgumentProblem],
) -> str:
    in_path = {found.name: (found, value) for found, value in values.items() if found.location == "path"}

    def written(found: re.Match[str]) -> str:
        if found[1] not in in_path:
            return ""  # told already: a path parameter is required
        return _written(writing.as_path, *in_path[found[1]], problems) or ""

    parts = re.split(r"(\{[^{}]+\})", operation.path)
    path = "".join(
        _TEMPLATE.sub(written, part) if part.startswith("{") else quote(part, safe=_SAFE_IN_PATH) for part in parts
    )
    pairs = [
        pair
        for parameter, value in values.items()
        if parameter.location == "query"
        for pair in _written(writing.as_query, parameter, value, problems) or ()
    ]
    prefix = definition.server_path
    if urlsplit(named_credential.url).path.rstrip("/").endswith(prefix):
        prefix = ""  # the credential's address says it already
    return f"callout:{named_credential.name}{prefix}{path}" + (f"?{'&'.join(pairs)}" if pairs else "")


def _headers(values: Mapping[ParameterDefinition, Any], problems: list[ArgumentProblem]) -> dict[str, str]:
    headers, cookies = {}, []
    for parameter, value in values.items():
        if parameter.location == "header":
            headers[parameter.name] = _written(writing.as_header, parameter, value, problems) or ""
        elif parameter.location == "cookie":
            cookies.append(_written(writing.as_cookie, parameter, value, problems) or "")
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    return headers


def _written(write: Any, parameter: ParameterDefinition, value: Any, problems: list[ArgumentProblem]) -> Any:
    try:
        return write(parameter, value)
    except UnwritableValue as error:
        problems.append(ArgumentProblem(pointers.join(parameter.name), str(error)))
        return None


def _body(definition: OperationDefinition, body: Any) -> tuple[bytes | None, str]:
    if body is None or definition.body is None:
        return None, ""
    content_type = definition.body.content_types[0]
    if definition.body.kind == "json":
        content_type = "application/json" if "*" in content_type else content_type
        return json.dumps(body, separators=(",", ":")).encode(), content_type
    if definition.body.kind == "form":
        return _form(body).encode(), content_type
    content_type = "application/octet-stream" if "*" in content_type else content_type
    return body.encode() if isinstance(body, str) else body, content_type


def _form(body: Any) -> str:
    if not isinstance(body, dict):
        return str(body)
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        items = value if isinstance(value, list) else [value]
        pairs.extend((name, item if isinstance(item, str) else json.dumps(item)) for item in items)
    return urlencode(pairs)


def _accepted(definition: OperationDefinition) -> str:
    listed = {media_type for types in definition.answers.values() for media_type in types}
    others = sorted(media_type for media_type in listed if media_type.isascii() and media_type != "application/json")
    return ", ".join(["application/json", *others[:5], "*/*;q=0.1"])


def _readable(body: Any) -> Any:
    return hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else body
