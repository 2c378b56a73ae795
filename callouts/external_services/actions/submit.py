"""Calling an asynchronous operation: the invocation is committed before its request leaves.

The order is what makes it safe. (1) The row, with the token of its callback address and the job that ends the wait, is
committed. (2) The request leaves. (3) The answer is stored. A crash between 2 and 3 leaves a Submitted row: the same
reference finds it, and sends the same request with the same `Idempotency-Key` again. A callback may come at any moment
after 1 and finds its invocation.
"""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import requests
from django.contrib.auth.models import AbstractUser
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from callouts import redaction
from callouts.callbacks.addresses import callback_urls, token_digest
from callouts.callbacks.handlers import CallbackHandler, handler_path
from callouts.errors import CalloutInDoubt, UncommittedWorkPending
from callouts.external_services import transitions
from callouts.external_services.actions.call import idempotency_key_for, send
from callouts.external_services.conf import options
from callouts.external_services.errors import (
    HandlerRefused,
    InvocationInDoubt,
    OperationFailed,
    ReferenceReused,
    UnexpectedAnswer,
)
from callouts.external_services.jobs import end_wait
from callouts.external_services.models import Invocation, InvocationState, Operation
from callouts.external_services.writing import outgoing
from callouts.external_services.writing.answers import (
    OperationResponse,
    as_error,
    is_not_processed,
    kept_headers,
    may_help_later,
    parsed,
    response_of,
)
from callouts.external_services.writing.outgoing import Arguments
from callouts.records import record_id_of
from isthmus import causes, clock, correlation, ids
from isthmus.errors import IsthmusError
from isthmus.jobs import current_job_or_none

__all__ = ["Submission", "submit"]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What the caller of an asynchronous operation asks for."""

    body: Any
    parameters: dict[str, Any]
    content_type: str | None = None
    callback: type[CallbackHandler]
    callback_timeout: timedelta | None = None
    """How long to wait for a callback; `None`: `ISTHMUS_EXTERNAL_SERVICES_CALLBACK_TIMEOUT_SECONDS`."""
    reference: str = ""
    """The caller's own name for this use. "": the use cannot be repeated."""
    user: AbstractUser | None = None
    timeout: float | None = None
    record: str | Model | None = None


def submit(operation: Operation, asked: Submission) -> OperationResponse:
    """Call an asynchronous operation; return its first answer, with the id of the invocation.

    The same reference stands for the same invocation: where that was answered, the stored answer is returned and
    nothing is sent. Raises what `call` raises, and `HandlerRefused`, `ReferenceReused`, `InvocationInDoubt`.
    """
    _refuse_open_transaction()
    arguments = outgoing.bind(operation, asked.body, asked.parameters, asked.content_type)
    key = idempotency_key_for(operation, asked.reference) if asked.reference else ""
    found = _find(key)
    if found is not None:
        return _resume(found, arguments, asked)
    invocation = _new_invocation(operation, arguments, asked, key)
    # What the document refuses must be known before there is a row.
    _build(invocation, arguments)
    if not _commit(invocation):
        return _resume(Invocation.objects.select_related(*_RELATED).get(idempotency_key=key), arguments, asked)
    return _send(invocation, arguments, asked)


_RELATED = ("operation__version__service__named_credential",)


def _refuse_open_transaction() -> None:
    """The row must be committed before the request leaves, which an open transaction does not let happen."""
    if not connection.in_atomic_block:
        return
    try:
        # The transaction of a Django test case does not count.
        with transaction.atomic(durable=True):
            pass
    except RuntimeError as error:
        raise UncommittedWorkPending(
            "An asynchronous operation commits its invocation before its request leaves, so it cannot be called in an"
            " open transaction: call it after the commit, or in a job that is enqueued here."
        ) from error


def _find(key: str) -> Invocation | None:
    return Invocation.objects.select_related(*_RELATED).filter(idempotency_key=key).first() if key else None


def _new_invocation(operation: Operation, arguments: Arguments, asked: Submission, key: str) -> Invocation:
    wait = asked.callback_timeout or timedelta(seconds=options.callback_timeout_seconds)
    if wait <= timedelta(0):
        raise HandlerRefused("A callback is waited for some time; callback_timeout is not positive.")
    now = clock.now()
    token = ids.new_token(32)
    invocation_id = ids.new_uuid()
    job = current_job_or_none()
    return Invocation(
        id=invocation_id,
        service=operation.version.service,
        version=operation.version,
        operation=operation,
        reference=asked.reference,
        idempotency_key=key or str(invocation_id),
        callback_token=token,
        callback_token_digest=token_digest(token),
        handler=handler_path(asked.callback, [callback.name for callback in operation.callback_contracts]),
        request=_redacted(arguments),
        request_digest=arguments.digest,
        record_id=record_id_of(asked.record),
        attempts=1,
        last_sent_at=now,
        submitted_at=now,
        expires_at=now + wait,
        correlation_id=correlation.current_or_new(),
        cause=causes.current(),
        user_id=asked.user.pk if asked.user else None,
        job_id=job.id if job else None,
    )


def _commit(invocation: Invocation) -> bool:
    """Commit the row and the job that ends the wait. Returns false if somebody else has just used the reference."""
    try:
        with transaction.atomic(), correlation.bind(invocation.correlation_id):
            invocation.save(force_insert=True)
            end_wait.enqueue(
                invocation_id=str(invocation.pk),
                delay=invocation.callback_timeout,
                subject=("invocation", str(invocation.pk)),
            )
    except IntegrityError:
        if invocation.reference and _find(invocation.idempotency_key) is not None:
            return False
        raise
    return True


def _resume(invocation: Invocation, arguments: Arguments, asked: Submission) -> OperationResponse:
    """Answer a call whose reference has an invocation already."""
    if invocation.request_digest != arguments.digest:
        raise ReferenceReused(
            f"The reference {asked.reference!r} stands for other arguments (invocation {invocation.pk}, "
            f"{invocation.state}). Give another reference to submit something else."
        )
    if invocation.response_status is not None:
        return _stored(invocation)
    if not _may_repeat(invocation):
        if invocation.state != InvocationState.SUBMITTED:
            return _stored(invocation)
        if invocation.last_sent_at is not None:
            raise InvocationInDoubt(
                f"Invocation {invocation.pk} may have arrived and {invocation.operation.operation_id} has no"
                " Idempotency-Key to repeat it safely. Wait for its callback, or cancel it and use another reference."
            )
    if not transitions.sending(invocation.pk):
        invocation.refresh_from_db()
        return _stored(invocation)
    return _send(invocation, arguments, asked)


def _may_repeat(invocation: Invocation) -> bool:
    return invocation.operation.contract.idempotency_header is not None


def _stored(invocation: Invocation) -> OperationResponse:
    """Return, or raise, the answer that is kept."""
    if invocation.response_status is not None and invocation.response_status >= 400:
        raise as_error(
            invocation.operation,
            invocation.response_status,
            invocation.response_body,
            invocation.response_headers,
            is_repeatable=False,
            invocation_id=invocation.pk,
        )
    return OperationResponse(
        status=invocation.response_status,
        headers=invocation.response_headers,
        body=invocation.response_body,
        invocation_id=invocation.pk,
        is_repeated=True,
        callback_urls=_unplaced(invocation),
    )


def _build(invocation: Invocation, arguments: Arguments) -> outgoing.OutgoingRequest:
    operation = invocation.operation
    return outgoing.build(
        operation,
        arguments,
        operation.version.service.named_credential,
        idempotency_key=invocation.idempotency_key,
        callback_urls=callback_urls(operation, invocation.callback_token.reveal()),
    )


def _send(invocation: Invocation, arguments: Arguments, asked: Submission) -> OperationResponse:
    operation = invocation.operation
    with correlation.bind(invocation.correlation_id):
        request = _build(invocation, arguments)
        # Without a reference nobody can make the same call again: another one is another use.
        is_repeatable = bool(invocation.reference) and request.is_repeatable
        try:
            answer = send(
                operation,
                request,
                is_repeatable=is_repeatable,
                user=asked.user,
                timeout=asked.timeout,
                record=asked.record,
                invocation_id=invocation.pk,
            )
        except IsthmusError as error:
            _note_lost(invocation, error)
            raise
        try:
            response = response_of(operation, answer, is_repeatable=is_repeatable, invocation_id=invocation.pk)
        except OperationFailed:
            _note_refused(invocation, answer)
            raise
        except UnexpectedAnswer as error:
            transitions.doubtful(invocation.pk, error.message)
            raise
        transitions.answered(
            invocation.pk, status=answer.status_code, headers=dict(response.headers), body=_storable(response.body)
        )
    return replace(response, callback_urls=_unplaced(invocation))


def _unplaced(invocation: Invocation) -> dict[str, str]:
    """Return the addresses that the request had no place for, by callback."""
    contracts = [one for one in invocation.operation.callback_contracts if one.location == "none"]
    if not contracts:
        return {}
    urls = callback_urls(invocation.operation, invocation.callback_token.reveal())
    return {one.key or one.name: urls[one.key or one.name] for one in contracts}


def _note_lost(invocation: Invocation, error: IsthmusError) -> None:
    """Keep what is known about a request without an answer."""
    if isinstance(error, CalloutInDoubt):
        transitions.doubtful(invocation.pk, error.message)
    elif invocation.reference:
        transitions.not_processed(invocation.pk, error.message)
    else:
        # Nobody can name this use again.
        transitions.finish(invocation.pk, InvocationState.FAILED, error.message)


def _note_refused(invocation: Invocation, answer: requests.Response) -> None:
    """Keep what is known about a request that was answered with an error status."""
    reason = f"answered {answer.status_code}"
    if invocation.reference and is_not_processed(answer.status_code):
        transitions.not_processed(invocation.pk, reason)
    elif not may_help_later(answer.status_code) or is_not_processed(answer.status_code):
        _keep_final_answer(invocation.pk, answer, reason)
    else:
        transitions.doubtful(invocation.pk, reason)


def _keep_final_answer(invocation_id: UUID, answer: requests.Response, reason: str) -> None:
    with transaction.atomic():
        if transitions.finish(invocation_id, InvocationState.FAILED, reason):
            Invocation.objects.filter(pk=invocation_id, response_status__isnull=True).update(
                response_status=answer.status_code,
                response_headers=kept_headers(answer),
                response_body=parsed(answer),
                answered_at=clock.now(),
            )


def _redacted(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments as the integration log would show them."""
    text = json.dumps(arguments.as_json())
    try:
        shown: dict[str, Any] = json.loads(redaction.body(text, "application/json", at_most_bytes=2 * len(text) + 1024))
    except ValueError:
        return {"omitted": f"[{len(text)} bytes, more than is kept]"}
    return shown


def _storable(body: Any) -> Any:
    return body.decode(errors="replace") if isinstance(body, bytes) else body
