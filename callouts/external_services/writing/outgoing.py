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
from callouts.external_services.description.definitions import (
    BodyDefinition,
    BodyKind,
    CallbackDefinition,
    MediaDefinition,
    OperationDefinition,
    ParameterDefinition,
    is_idempotency_header,
)
from callouts.external_services.document import pointers
from callouts.external_services.errors import ArgumentProblem, ArgumentsRefused, NotConnected
from callouts.external_services.loaded import document_of, validator_for
from callouts.external_services.models import Operation
from callouts.external_services.writing import multipart, xml_bodies
from callouts.external_services.writing import parameters as writing
from callouts.external_services.writing.multipart import Upload, as_upload
from callouts.external_services.writing.parameters import UnwritableValue
from callouts.external_services.writing.xml_bodies import NotXml
from credentials.models import NamedCredential

__all__ = ["Arguments", "OutgoingRequest", "bind", "build"]

_TEMPLATE = re.compile(r"\{([^{}]+)\}")
_SAFE_IN_PATH = "/:@!$&'()*+,;=-._~%"


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments of a call under the document's names, made of JSON's types; in bodies there may be files."""

    values: Mapping[ParameterDefinition, Any] = field(default_factory=dict)
    body: Any = None
    """`None`: no body."""
    media: MediaDefinition | None = None
    """How the body is written; `None` where there is none."""
    problems: tuple[ArgumentProblem, ...] = ()
    """What could not be matched with the operation; `build` refuses it with all else that is wrong."""

    def as_json(self) -> dict[str, Any]:
        given = {parameter.name: value for parameter, value in self.values.items()}
        return given if self.body is None else {**given, "body": _readable(self.body)}

    @property
    def digest(self) -> str:
        """Tells whether two calls say the same."""
        named = {f"{found.location}.{found.name}": value for found, value in self.values.items()}
        canonical = json.dumps([named, _digested(self.body)], sort_keys=True, separators=(",", ":"))
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


def bind(operation: Operation, body: Any, given: Mapping[str, Any], content_type: str | None = None) -> Arguments:
    """Match arguments with the operation's parameters, and the body with one of its content types.

    A parameter goes by its Python name or by the document's; one that is `None` is left out. `content_type`: `None`
    chooses the first that fits the body.
    """
    contract = operation.contract
    problems: list[ArgumentProblem] = []
    values: dict[ParameterDefinition, Any] = {}
    for name, value in given.items():
        parameter = _parameter(contract, name)
        if parameter is None:
            problems.append(ArgumentProblem(pointers.join(name), _no_such_parameter(contract)))
        elif parameter in values:
            problems.append(ArgumentProblem(pointers.join(name), "it is given twice"))
        elif value is not None:
            values[parameter] = _plain(value, pointers.join(name), problems)
    media = None
    if body is not None and contract.body is None:
        problems.append(ArgumentProblem("/body", "the operation takes no body"))
    elif contract.body is not None:
        media = _media(contract.body, body, content_type, problems)
        body = _bound_body(media, body, problems)
    problems.extend(_filled_in_by_us(operation.callback_contracts, values, body))
    return Arguments(values=values, body=body, media=media, problems=tuple(problems))


_FOR_BYTES: tuple[BodyKind, ...] = ("binary", "text", "xml")
_FOR_FIELDS: tuple[BodyKind, ...] = ("json", "form", "multipart", "xml")


def _media(
    body: BodyDefinition, given: Any, content_type: str | None, problems: list[ArgumentProblem]
) -> MediaDefinition:
    """Return the way to write a body: as the caller says, or the first that fits what was given."""
    if content_type is not None:
        named = body.media_for(content_type)
        if named is not None:
            return named
        taken = ", ".join(body.content_types)
        problems.append(ArgumentProblem("/content_type", f"the operation takes {taken}"))
        return body.media[0]
    wanted: tuple[BodyKind, ...] = ()
    if isinstance(given, bytes | Upload) or callable(getattr(given, "read", None)):
        wanted = _FOR_BYTES
    elif isinstance(given, dict) and any(holds_file(value) for value in given.values()):
        wanted = ("multipart",)
    elif isinstance(given, dict):
        wanted = _FOR_FIELDS
    return next((found for kind in wanted for found in body.media if found.kind == kind), body.media[0])


def holds_file(value: Any) -> bool:
    """Return whether a field's value is a file, without reading it."""
    items = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, bytes | bytearray | Upload) or callable(getattr(item, "read", None)) for item in items)


def _bound_body(media: MediaDefinition, body: Any, problems: list[ArgumentProblem]) -> Any:
    if body is None:
        return None
    if media.kind == "multipart" and isinstance(body, dict):
        return {name: _part(value, pointers.join("body", name), problems) for name, value in body.items()}
    if media.kind in {"json", "form", "multipart"} or (media.kind == "xml" and not isinstance(body, str | bytes)):
        return _plain(body, "/body", problems)
    upload = as_upload(body)
    if upload is not None:
        return upload.content
    if not isinstance(body, str):
        problems.append(ArgumentProblem("/body", "it is a text, bytes or an open file here"))
        return None
    return body


def _part(value: Any, pointer: str, problems: list[ArgumentProblem]) -> Any:
    if isinstance(value, list | tuple):
        return [_part(item, pointer, problems) for item in value]
    return as_upload(value) or _plain(value, pointer, problems)


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
    `callback_urls` are by the callbacks' keys. Raises `ArgumentsRefused` with all that is wrong, and `NotConnected`.
    """
    if named_credential is None:
        raise NotConnected(f"{operation.version.service.name} has no named credential; give it one.")
    definition = operation.contract
    values, body = dict(arguments.values), arguments.body
    header = definition.idempotency_header
    if header is not None and idempotency_key is not None:
        values.setdefault(header, idempotency_key)
    headers: dict[str, str] = {}
    problems = list(arguments.problems)
    for callback in operation.callback_contracts:
        url = (callback_urls or {}).get(callback.key or callback.name)
        if url is not None and callback.location != "none":
            body = _placed(callback, url, definition, values, headers, body, problems)
    told = {problem.pointer for problem in problems}
    media = arguments.media
    found = _problems(operation, definition, values, body, media)
    problems.extend(problem for problem in found if problem.pointer not in told)
    url = _url(operation, definition, values, named_credential, problems)
    headers.update(_headers(values, problems))
    data, content_type = _body(operation, media, body, problems)
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
        if callback.location == "none":
            continue
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
    operation: Operation,
    definition: OperationDefinition,
    values: Mapping[ParameterDefinition, Any],
    body: Any,
    media: MediaDefinition | None,
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
    elif media is not None:
        problems.extend(_body_problems(operation, media, body))
    return problems


def _body_problems(operation: Operation, media: MediaDefinition, body: Any) -> list[ArgumentProblem]:
    if media.has_all_fields:
        return _field_problems(operation, media, body)
    is_checked = media.kind in {"json", "form", "multipart"} or (
        media.kind == "xml" and not isinstance(body, str | bytes)
    )
    if media.schema is None or not is_checked:
        return []
    validator = validator_for(operation.version, media.schema, "request")
    return validator.problems(_without_files(body), base="/body") if validator else []


def _field_problems(operation: Operation, media: MediaDefinition, body: Any) -> list[ArgumentProblem]:
    """Check a form that is a list of fields."""
    if not isinstance(body, dict):
        return [ArgumentProblem("/body", "it is a mapping of fields here")]
    known = {found.name: found for found in media.fields}
    problems = [
        ArgumentProblem(pointers.join("body", name), f"there is no such field; known are: {', '.join(known)}")
        for name in body
        if name not in known
    ]
    for name, found in known.items():
        pointer = pointers.join("body", name)
        if body.get(name) is None:
            if found.required:
                problems.append(ArgumentProblem(pointer, "it is required"))
        elif found.schema is not None:
            validator = validator_for(operation.version, found.schema, "request")
            problems.extend(validator.problems(_without_files(body[name]), base=pointer) if validator else ())
    return problems


def _without_files(value: Any) -> Any:
    """Return a value in which files are texts, as schemas see them."""
    if isinstance(value, Upload):
        return value.content.decode("latin-1")
    if isinstance(value, dict):
        return {name: _without_files(item) for name, item in value.items()}
    return [_without_files(item) for item in value] if isinstance(value, list) else value


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
    prefix = operation.version.service.path_before(definition)
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


def _body(
    operation: Operation, media: MediaDefinition | None, body: Any, problems: list[ArgumentProblem]
) -> tuple[bytes | None, str]:
    if body is None or media is None:
        return None, ""
    content_type = media.content_type
    if media.kind == "json":
        content_type = "application/json" if "*" in content_type or not content_type else content_type
        return json.dumps(body, separators=(",", ":")).encode(), content_type
    if media.kind == "form":
        return _form(media, body, problems).encode(), content_type
    if media.kind == "multipart" and isinstance(body, dict):
        return multipart.write(media, body)
    if media.kind == "xml" and not isinstance(body, str | bytes):
        try:
            return xml_bodies.write(document_of(operation.version), media.schema, body), content_type
        except NotXml as error:
            problems.append(ArgumentProblem("/body", str(error)))
            return None, ""
    content_type = "application/octet-stream" if "*" in content_type else content_type
    return body.encode() if isinstance(body, str) else body, content_type


def _form(media: MediaDefinition, body: Any, problems: list[ArgumentProblem]) -> str:
    if not isinstance(body, dict):
        return str(body)
    parts: list[str] = []
    for name, value in body.items():
        field = media.field_named(name)
        if field.style:
            written = ParameterDefinition(
                name=name,
                location="query",
                style=field.style,
                explode=field.explode,
                allow_reserved=field.allow_reserved,
            )
            parts.extend(_written(writing.as_query, written, value, problems) or ())
            continue
        items = value if isinstance(value, list) else [value]
        parts.append(urlencode([(name, item if isinstance(item, str) else json.dumps(item)) for item in items]))
    return "&".join(part for part in parts if part)


def _accepted(definition: OperationDefinition) -> str:
    listed = {media_type for answer in definition.answers.values() for media_type in answer.content_types}
    others = sorted(
        media_type
        for media_type in listed
        if media_type.isascii() and media_type.isprintable() and media_type != "application/json"
    )
    return ", ".join(["application/json", *others[:5], "*/*;q=0.1"])


def _readable(value: Any) -> Any:
    """Return a value in which files are described."""
    if isinstance(value, Upload):
        return f"[{value.filename}, {_described(value.content)}]"
    if isinstance(value, bytes):
        return f"[{_described(value)}]"
    if isinstance(value, dict):
        return {name: _readable(item) for name, item in value.items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


def _described(content: bytes) -> str:
    return f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}"


def _digested(body: Any) -> Any:
    return hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else _readable(body)
