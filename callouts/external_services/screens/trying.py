"""Trying an operation from its page: a form made from the schema, a preview, a real call."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.http import QueryDict

from callouts import redaction
from callouts.callbacks.addresses import callback_urls
from callouts.callbacks.handlers import Callback, CallbackHandler, Method
from callouts.external_services.actions.call import idempotency_key_for
from callouts.external_services.client import external_service
from callouts.external_services.description.definitions import (
    MediaDefinition,
    ParameterDefinition,
    is_idempotency_header,
)
from callouts.external_services.description.outlines import merged_properties, type_in_words
from callouts.external_services.document import references
from callouts.external_services.document.references import BrokenReference, Pieces
from callouts.external_services.errors import ArgumentProblem, ArgumentsRefused, OperationFailed
from callouts.external_services.loaded import document_of
from callouts.external_services.mock.samples import sample_of_media
from callouts.external_services.models import Operation
from callouts.external_services.writing import outgoing
from callouts.external_services.writing.answers import OperationResponse
from callouts.external_services.writing.outgoing import OutgoingRequest
from callouts.requesting import parse_callout_url
from isthmus.errors import IsthmusError

__all__ = ["Entered", "Preview", "Result", "TriedHandler", "TryField", "TryForm", "sample_for_callback"]

_MOST_FIELDS = 40
_SHOWN_BYTES = 64 * 1024
_COMPOSED = frozenset({"allOf", "oneOf", "anyOf", "properties"})
_NOT_YET = "made-when-it-is-sent"


class TriedHandler(CallbackHandler):
    """Takes every callback of an operation that was tried: they are read on the invocation's page."""

    unhandled = "ignore"

    def method_for(self, callback_name: str) -> Method | None:
        """Return the method that does nothing, for any name."""
        return self.look

    def look(self, callbacks: list[Callback]) -> None:
        """Do nothing: whoever tried it looks at the page."""


@dataclass(frozen=True, kw_only=True)
class TryField:
    """One input of the form."""

    key: str
    """Its name in the form: `p.limit`, `b.name`."""
    label: str
    kind: str
    """`text`, `number`, `choice`, or `json` for what has an inner structure."""
    type: str
    """In words."""
    is_required: bool = False
    choices: tuple[str, ...] = ()
    value: str = ""
    hint: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Entered:
    """What the form says."""

    parameters: dict[str, Any]
    body: Any
    content_type: str | None
    reference: str
    problems: tuple[ArgumentProblem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The request as it would leave, without what the credential adds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    curl: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came back."""

    status: int | None
    headers: Mapping[str, str]
    body: str
    problems: tuple[ArgumentProblem, ...] = ()
    error: str = ""
    code: str = ""
    invocation_id: str = ""
    callback_urls: Mapping[str, str] = field(default_factory=dict)


class TryForm:
    """The form of one operation, empty or filled in."""

    def __init__(self, operation: Operation, data: QueryDict | None = None) -> None:
        self.operation = operation
        self._data = data
        self._pieces = document_of(operation.version)
        body = operation.contract.body
        self.content_types = body.content_types if body is not None else ()
        chosen = (data.get("content_type", "") if data is not None else "") or next(iter(self.content_types), "")
        self.content_type = chosen
        self.media = body.media_for(chosen) if body is not None else None

    @property
    def parameters(self) -> list[TryField]:
        """The inputs of the parameters."""
        return [
            self._field(
                f"p.{one.python_name}",
                one.name,
                {"$ref": f"#{one.schema}"} if one.schema else {},
                one.schema or "",
                is_required=one.required,
                hint=one.description,
                place=one.location,
            )
            for one in self.operation.contract.parameters
            if not is_idempotency_header(one) and not self._is_ours(one)
        ]

    def _is_ours(self, parameter: ParameterDefinition) -> bool:
        """Return whether a parameter holds the address of a callback, which the platform fills in."""
        return any(
            one.location == parameter.location and one.place.lower() == parameter.name.lower()
            for one in self.operation.callback_contracts
        )

    @property
    def fields(self) -> list[TryField]:
        """The inputs of a body that is an object; empty where it is one input."""
        if self.media is None or self.media.kind in {"text", "binary"}:
            return []
        if self.media.has_all_fields:
            return [
                self._field(f"b.{one.name}", one.name, {"$ref": f"#{one.schema}"} if one.schema else {},
                            one.schema or "", is_required=one.required, hint=one.description)
                for one in self.media.fields
            ]  # fmt: skip
        if self.media.schema is None:
            return []
        found = merged_properties(self._pieces, {"$ref": f"#{self.media.schema}"}, self.media.schema)
        if len(found) > _MOST_FIELDS:
            return []
        ours = {
            one.place.partition("/")[2].partition("/")[0]
            for one in self.operation.callback_contracts
            if one.location == "body"
        }
        return [
            self._field(f"b.{name}", name, schema, at, is_required=is_required)
            for name, (schema, at, is_required) in found.items()
            if name not in ours and not self._is_read_only(schema)
        ]

    @property
    def raw(self) -> str:
        """The body as one text: what was entered, or a sample."""
        if self._data is not None and "raw" in self._data:
            return self._data.get("raw", "")
        if self.media is None or self.fields:
            return ""
        return self.sample

    @property
    def sample(self) -> str:
        """A body made from the document."""
        if self.media is None:
            return ""
        made = sample_of_media(self._pieces, self.media, direction="request")
        return made if isinstance(made, str) else "" if made is None else json.dumps(made, indent=2)

    @property
    def reference(self) -> str:
        return self._data.get("reference", "") if self._data is not None else ""

    def entered(self) -> Entered:
        """Read what was entered; texts become what their schemas ask for."""
        problems: list[ArgumentProblem] = []
        parameters = {
            one.key.removeprefix("p."): value
            for one in self.parameters
            if (value := self._value(one, problems)) is not None
        }
        raw = self._data.get("raw", "").strip() if self._data is not None else ""
        if raw:
            body = self._raw_body(raw, problems)
        else:
            given = {one.label: self._value(one, problems) for one in self.fields}
            body = {name: value for name, value in given.items() if value is not None} or None
        return Entered(
            parameters=parameters,
            body=body,
            content_type=self.content_type if body is not None and self.content_type else None,
            reference=self.reference.strip(),
            problems=tuple(problems),
        )

    def preview(self) -> Preview:
        """Return the request that would leave. Raises what a call raises before anything is sent."""
        entered = self._right()
        operation = self.operation
        arguments = outgoing.bind(operation, entered.body, entered.parameters, entered.content_type)
        key = idempotency_key_for(operation, entered.reference) if entered.reference else None
        request = outgoing.build(
            operation,
            arguments,
            operation.version.service.named_credential,
            idempotency_key=key or _NOT_YET,
            callback_urls=callback_urls(operation, _NOT_YET),
        )
        return _shown(operation, request)

    def send(self, user: AbstractUser) -> Result:
        """Make the call as `user`; return what came back, whatever it is."""
        client = external_service(self.operation.version.service.name)
        try:
            entered = self._right()
            options: dict[str, Any] = {"callback": TriedHandler} if self.operation.is_asynchronous else {}
            answer = client.call(
                self.operation.name,
                body=entered.body,
                parameters=entered.parameters,
                content_type=entered.content_type,
                reference=entered.reference or None,
                user=user,
                **options,
            )
        except OperationFailed as failed:
            return _result(failed.response, error=failed.message, code=failed.code)
        except ArgumentsRefused as refused:
            return Result(status=None, headers={}, body="", problems=refused.problems, code=refused.code)
        except IsthmusError as error:
            return Result(status=None, headers={}, body="", error=error.message, code=error.code)
        return _result(answer)

    def _right(self) -> Entered:
        entered = self.entered()
        if entered.problems:
            raise ArgumentsRefused(self.operation.operation_id, entered.problems)
        return entered

    def _is_read_only(self, schema: Any) -> bool:
        return isinstance(schema, dict) and schema.get("readOnly") is True

    def _field(
        self, key: str, label: str, schema: Any, at: str, *, is_required: bool, hint: str = "", place: str = ""
    ) -> TryField:
        found = _resolved(self._pieces, schema, at)
        values = found.get("enum")
        kinds = found.get("type")
        kind = next((one for one in kinds if one != "null"), "") if isinstance(kinds, list) else kinds or ""
        choices: tuple[str, ...] = ()
        if isinstance(values, list):
            choices = tuple(
                value if isinstance(value, str) else json.dumps(value) for value in values if value is not None
            )
        elif kind == "boolean":
            choices = ("true", "false")
        is_composed = not kind and not choices and not _COMPOSED.isdisjoint(found)
        inner = kind in {"object", "array"} or is_composed
        default = found.get("default", found.get("example"))
        value = "" if default is None else default if isinstance(default, str) else json.dumps(default)
        if self._data is not None:
            value = self._data.get(key, "")
        description = found.get("description")
        return TryField(
            key=key,
            label=label,
            kind="choice" if choices else "json" if inner else "number" if kind in {"integer", "number"} else "text",
            type=type_in_words(self._pieces, schema, at) if schema else "anything",
            is_required=is_required,
            choices=choices,
            value=value,
            hint=hint or (description[:200] if isinstance(description, str) else ""),
            place=place,
        )

    def _value(self, one: TryField, problems: list[ArgumentProblem]) -> Any:
        text = (self._data.get(one.key, "") if self._data is not None else one.value).strip()
        if not text:
            return None
        if one.kind == "text":
            return text
        if one.kind == "choice" and one.type.partition(" ")[0] not in {"integer", "number", "boolean"}:
            return text
        try:
            return json.loads(text)
        except ValueError:
            told = "it is JSON here" if one.kind == "json" else "it is a number here"
            problems.append(ArgumentProblem(f"/{one.label}", told))
            return None

    def _raw_body(self, raw: str, problems: list[ArgumentProblem]) -> Any:
        if self.media is None or self.media.kind in {"text", "binary"} or raw.startswith("<"):
            return raw
        try:
            return json.loads(raw)
        except ValueError as error:
            problems.append(ArgumentProblem("/body", f"it is not JSON: {error}"))
            return None


def _resolved(pieces: Pieces, schema: Any, at: str) -> Mapping[str, Any]:
    try:
        found, _ = references.resolve(pieces, schema, f"{at}#")
    except BrokenReference:
        return {}
    return found if isinstance(found, dict) else {}


def _shown(operation: Operation, request: OutgoingRequest) -> Preview:
    credential = operation.version.service.named_credential
    _, rest = parse_callout_url(request.url)
    url = (credential.url.rstrip("/") if credential is not None else "") + rest
    headers = dict(request.headers)
    if request.idempotency_key is not None:
        headers["Idempotency-Key"] = request.idempotency_key
    body = (request.data or b"").decode(errors="replace")
    parts = [f"curl --request {request.method} {shlex.quote(url)}"]
    parts.extend(f"--header {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())
    if body:
        parts.append(f"--data-raw {shlex.quote(body)}")
    return Preview(
        method=request.method, url=url, headers=headers, body=body[:_SHOWN_BYTES], curl=" \\\n  ".join(parts)
    )


def _result(answer: OperationResponse, *, error: str = "", code: str = "") -> Result:
    content_type = next((value for name, value in answer.headers.items() if name.lower() == "content-type"), "")
    body = answer.body
    text = body if isinstance(body, str) else "" if body is None else None
    if text is None and isinstance(body, bytes):
        text = f"[{len(body)} bytes]"
    elif text is None:
        text, content_type = json.dumps(body), "application/json"
    return Result(
        status=answer.status,
        headers=answer.headers,
        body=redaction.body(text, content_type, at_most_bytes=_SHOWN_BYTES),
        problems=answer.problems,
        error=error,
        code=code,
        invocation_id=str(answer.invocation_id or ""),
        callback_urls=answer.callback_urls,
    )


def sample_for_callback(operation: Operation, name: str) -> tuple[str, str]:
    """Return a body for a callback and its content type, made from the document."""
    definition = next((one for one in operation.callback_contracts if one.name == name), None)
    described = next(iter(definition.methods.values())).body if definition is not None else None
    if described is None:
        return "", "application/json"
    media: MediaDefinition = described.media[0]
    made = sample_of_media(document_of(operation.version), media, direction="request")
    text = made if isinstance(made, str) else json.dumps(made, indent=2)
    return text, media.content_type
