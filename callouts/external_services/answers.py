"""Reading what a service answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests

from callouts.external_services.definitions import OperationDefinition
from callouts.external_services.errors import (
    OperationFailed,
    RepeatableUnexpectedAnswer,
    RequestRefused,
    ServiceFailed,
    ServiceInDoubt,
    UnexpectedAnswer,
)
from callouts.external_services.models import Operation

__all__ = [
    "OperationResponse",
    "as_error",
    "is_not_processed",
    "kept_headers",
    "may_help_later",
    "parsed",
    "response_of",
]

_HIDDEN_HEADERS = ("set-cookie", "authorization", "authentication-info", "proxy-")


@dataclass(frozen=True, kw_only=True)
class OperationResponse:
    """The answer to a call."""

    status: int | None
    """`None` only for a repeated reference whose first answer was lost and cannot be asked for again."""
    headers: Mapping[str, str]
    body: Any
    """Parsed where it is JSON, text where the document lists a text, else bytes; `None` where there is none."""
    invocation_id: UUID | None = None
    """Of an asynchronous operation."""
    is_repeated: bool = False
    """Whether this is the stored answer to an earlier call with the same reference; nothing was sent."""


def response_of(
    operation: Operation, answer: requests.Response, *, is_repeatable: bool, invocation_id: UUID | None = None
) -> OperationResponse:
    """Return a successful answer. Raises `OperationFailed` and `UnexpectedAnswer`.

    `is_repeatable`: whether the same call again is safe; it decides which errors say that trying again may help.
    """
    if answer.status_code >= 400:
        raise as_error(
            operation,
            answer.status_code,
            parsed(answer),
            kept_headers(answer),
            is_repeatable=is_repeatable,
            invocation_id=invocation_id,
        )
    return OperationResponse(
        status=answer.status_code,
        headers=kept_headers(answer),
        body=_expected(operation, answer, RepeatableUnexpectedAnswer if is_repeatable else UnexpectedAnswer),
        invocation_id=invocation_id,
    )


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


def _expected(operation: Operation, answer: requests.Response, unexpected: type[UnexpectedAnswer]) -> Any:
    if not answer.content:
        return None
    content_type = _media_type(answer.headers.get("Content-Type", ""))
    answered = f"{operation.operation_id} answered {answer.status_code} with"
    if content_type == "application/json" or content_type.endswith("+json") or _is_untyped_json(answer, content_type):
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise unexpected(f"{answered} a body that is not JSON, though it says so.") from error
    definition = OperationDefinition.from_json(operation.definition)
    listed = [_media_type(media_type) for media_type in definition.answer_types(answer.status_code)]
    if content_type not in listed and not (not listed and content_type == "text/plain"):
        raise unexpected(f"{answered} a body of type {content_type or 'unknown'}.")
    return answer.text if content_type.startswith("text/") or content_type.endswith("xml") else answer.content


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _is_untyped_json(answer: requests.Response, content_type: str) -> bool:
    return not content_type and answer.content.lstrip()[:1] in {b"{", b"["}
