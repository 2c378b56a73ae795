"""Reading what a service answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import requests

from callouts.external_services.description.definitions import AnswerDefinition
from callouts.external_services.description.media_types import media_type
from callouts.external_services.document import references
from callouts.external_services.document.references import BrokenReference
from callouts.external_services.errors import (
    AnswerInvalid,
    ArgumentProblem,
    OperationFailed,
    RepeatableUnexpectedAnswer,
    RequestRefused,
    ServiceFailed,
    ServiceInDoubt,
    UnexpectedAnswer,
)
from callouts.external_services.loaded import document_of, validator_for
from callouts.external_services.models import AnswerChecking, Operation
from callouts.external_services.writing import xml_bodies
from callouts.external_services.writing.parameters import from_header
from callouts.external_services.writing.typed_views import status_attribute, viewed
from callouts.external_services.writing.xml_bodies import NotXml
from isthmus.logs import get_logger

__all__ = [
    "OperationResponse",
    "as_error",
    "is_not_processed",
    "kept_headers",
    "may_help_later",
    "parsed",
    "response_of",
]

log = get_logger(__name__)

_HIDDEN_HEADERS = ("set-cookie", "authorization", "authentication-info", "proxy-")


@dataclass(frozen=True, kw_only=True)
class OperationResponse:
    """The answer to a call.

    `answer.code201` is the body of an answer with that status, with its fields as attributes
    (`answer.code201.application_number`), and `None` for an answer with another; so are `answer.code2XX` and
    `answer.code_default`.
    """

    status: int | None
    """`None` only for a repeated reference whose first answer was lost and cannot be asked for again."""
    headers: Mapping[str, str]
    body: Any
    """Parsed where it is JSON, or XML with a schema; text where the document lists one; else bytes. `None`: none."""
    invocation_id: UUID | None = None
    """Of an asynchronous operation."""
    is_repeated: bool = False
    """Whether this is the stored answer to an earlier call with the same reference; nothing was sent."""
    typed_headers: Mapping[str, Any] = field(default_factory=dict)
    """The headers that the document declares, by its names, in the types of their schemas."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """What the answer says about how much may still be asked."""
    problems: tuple[ArgumentProblem, ...] = ()
    """What in the body does not fit the document."""
    callback_urls: Mapping[str, str] = field(default_factory=dict)
    """Addresses for callbacks which the request had no place for, by callback: tell them to the service otherwise."""

    def __getattr__(self, name: str) -> Any:
        is_about = status_attribute(name, self.status)
        if is_about is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return viewed(self.body) if is_about else None


def response_of(
    operation: Operation, answer: requests.Response, *, is_repeatable: bool, invocation_id: UUID | None = None
) -> OperationResponse:
    """Return a successful answer. Raises `OperationFailed`, `UnexpectedAnswer` and `AnswerInvalid`.

    `is_repeatable`: whether the same call again is safe; it decides which errors say that trying again may help.
    """
    contract = operation.contract
    described = contract.answer(answer.status_code)
    if answer.status_code >= 400:
        error = as_error(
            operation,
            answer.status_code,
            parsed(answer),
            kept_headers(answer),
            is_repeatable=is_repeatable,
            invocation_id=invocation_id,
        )
        error.response = _response(operation, answer, described, error.body, invocation_id, ())
        raise error
    unexpected = RepeatableUnexpectedAnswer if is_repeatable else UnexpectedAnswer
    body = _expected(operation, answer, described, unexpected)
    problems = _problems(operation, answer, described, body)
    response = _response(operation, answer, described, body, invocation_id, problems)
    if problems:
        log.warning(
            "external_service.answer_does_not_fit",
            operation=f"{operation.version.service.name}.{operation.operation_id}",
            status=answer.status_code,
            problems=[f"{problem.pointer}: {problem.message}" for problem in problems[:5]],
        )
        if operation.version.service.answer_checking == AnswerChecking.FAIL:
            raise AnswerInvalid(operation.operation_id, problems, response)
    return response


def _response(
    operation: Operation,
    answer: requests.Response,
    described: AnswerDefinition | None,
    body: Any,
    invocation_id: UUID | None,
    problems: tuple[ArgumentProblem, ...],
) -> OperationResponse:
    told = operation.contract.hints.limit_headers
    return OperationResponse(
        status=answer.status_code,
        headers=kept_headers(answer),
        body=body,
        invocation_id=invocation_id,
        typed_headers=_typed_headers(operation, answer, described),
        limits={name: answer.headers[name] for name in told if name in answer.headers},
        problems=problems,
    )


def _typed_headers(
    operation: Operation, answer: requests.Response, described: AnswerDefinition | None
) -> dict[str, Any]:
    found = {}
    for header in described.headers if described else ():
        if header.name in answer.headers:
            found[header.name] = from_header(answer.headers[header.name], _type_of(operation, header.schema))
    return found


def _type_of(operation: Operation, schema: str | None) -> str:
    if schema is None:
        return ""
    try:
        found, _ = references.resolve(document_of(operation.version), {"$ref": f"#{schema}"}, "")
    except BrokenReference:
        return ""
    kind = found.get("type") if isinstance(found, dict) else None
    return kind if isinstance(kind, str) else ""


def _problems(
    operation: Operation, answer: requests.Response, described: AnswerDefinition | None, body: Any
) -> tuple[ArgumentProblem, ...]:
    if body is None or described is None or operation.version.service.answer_checking == AnswerChecking.OFF:
        return ()
    media = described.media_for(answer.headers.get("Content-Type", "application/json"))
    if media is None or media.schema is None or isinstance(body, bytes) or media.kind == "text":
        return ()
    validator = validator_for(operation.version, media.schema, "response")
    return tuple(validator.problems(body, base="")) if validator else ()


def as_error(
    operation: Operation,
    status: int,
    body: Any,
    headers: Mapping[str, str],
    *,
    is_repeatable: bool,
    invocation_id: UUID | None = None,
) -> OperationFailed:
    """Return the error for an error status."""
    kind: type[OperationFailed] = RequestRefused
    if may_help_later(status):
        kind = ServiceFailed if is_repeatable or is_not_processed(status) else ServiceInDoubt
    return kind(operation.operation_id, response_status=status, body=body, headers=headers, invocation_id=invocation_id)


def may_help_later(status: int) -> bool:
    """Return whether the same request may succeed later."""
    return status >= 500 or status in {408, 425, 429}


def is_not_processed(status: int) -> bool:
    """Return whether an error status says that nothing was done and the same request may still be done.

    401, 403 and 407 end when somebody mends the credential, 425, 429 and 503 with time.
    """
    return status in {401, 403, 407, 425, 429, 503}


def parsed(answer: requests.Response) -> Any:
    """Return a body for an error or a log: parsed where it is JSON, else text; `None` where there is none."""
    if not answer.content:
        return None
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return answer.content.decode(errors="replace")


def kept_headers(answer: requests.Response) -> dict[str, str]:
    """Return the headers that are not about who we are."""
    return {name: value for name, value in answer.headers.items() if not name.lower().startswith(_HIDDEN_HEADERS)}


def _expected(
    operation: Operation,
    answer: requests.Response,
    described: AnswerDefinition | None,
    unexpected: type[UnexpectedAnswer],
) -> Any:
    if not answer.content:
        return None
    content_type = media_type(answer.headers.get("Content-Type", ""))
    answered = f"{operation.operation_id} answered {answer.status_code} with"
    if content_type == "application/json" or content_type.endswith("+json") or _is_untyped_json(answer, content_type):
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise unexpected(f"{answered} a body that is not JSON, though it says so.") from error
    media = described.media_for(content_type) if described is not None else None
    is_listed = media is not None or (not (described and described.media) and content_type == "text/plain")
    if not is_listed:
        raise unexpected(f"{answered} a body of type {content_type or 'unknown'}.")
    if content_type.endswith("xml") and media is not None and media.schema is not None:
        try:
            return xml_bodies.read(document_of(operation.version), media.schema, answer.content)
        except NotXml as error:
            raise unexpected(f"{answered} a body that is not XML, though it says so.") from error
    return answer.text if content_type.startswith("text/") or content_type.endswith("xml") else answer.content


def _is_untyped_json(answer: requests.Response, content_type: str) -> bool:
    return not content_type and answer.content.lstrip()[:1] in {b"{", b"["}
