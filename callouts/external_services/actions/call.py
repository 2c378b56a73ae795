"""Calling an operation whose answer is all that comes back."""

import hashlib
import json
import uuid
from typing import Any

import requests
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import http
from callouts.errors import CalloutInDoubt, RepeatableInDoubt
from callouts.external_services.models import Operation
from callouts.external_services.writing import outgoing
from callouts.external_services.writing.answers import OperationResponse, response_of
from callouts.external_services.writing.outgoing import OutgoingRequest
from callouts.retrying import RetryPolicy

__all__ = ["call", "idempotency_key_for", "send"]


def call(
    operation: Operation,
    *,
    body: Any = None,
    parameters: dict[str, Any],
    content_type: str | None = None,
    reference: str | None = None,
    retry: RetryPolicy | None = None,
    user: AbstractUser | None = None,
    timeout: float | None = None,
    record: str | Model | None = None,
) -> OperationResponse:
    """Call an operation and return its answer.

    Raises `ArgumentsRefused` and `NotConnected` (nothing was sent), `OperationFailed`, `UnexpectedAnswer`, and the
    errors of `callouts.errors` and `credentials.errors`.
    """
    arguments = outgoing.bind(operation, body, parameters, content_type)
    key = idempotency_key_for(operation, reference) if reference else None
    request = outgoing.build(operation, arguments, operation.version.service.named_credential, idempotency_key=key)
    answer = send(
        operation,
        request,
        is_repeatable=request.is_repeatable,
        user=user,
        timeout=timeout,
        record=record,
        retry=retry,
    )
    return response_of(operation, answer, is_repeatable=request.is_repeatable)


def idempotency_key_for(operation: Operation, reference: str) -> str:
    """Return the key of a use of an operation: the same for the same service, operation and reference, always.

    It has the form of a UUID, because that is what services that look at it expect.
    """
    said = json.dumps([operation.version.service.name, operation.operation_id, reference])
    return str(uuid.UUID(bytes=hashlib.sha256(said.encode()).digest()[:16], version=5))


def send(
    operation: Operation,
    request: OutgoingRequest,
    *,
    is_repeatable: bool,
    user: AbstractUser | None,
    timeout: float | None,
    record: str | Model | None,
    invocation_id: uuid.UUID | None = None,
    retry: RetryPolicy | None = None,
) -> requests.Response:
    """Send a request of an operation. Raises `RepeatableInDoubt` for a lost answer where repeating is safe."""
    try:
        return http.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.data,
            idempotency_key=request.idempotency_key,
            timeout=timeout,
            retry=retry,
            user=user,
            operation=f"{operation.version.service.name}.{operation.operation_id}",
            record=record,
            invocation_id=invocation_id,
        )
    except CalloutInDoubt as error:
        if not is_repeatable:
            raise
        raise RepeatableInDoubt(error.message) from error
