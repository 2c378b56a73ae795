"""Taking callbacks, one or many at once, and logging both sides.

Most callbacks are ordinary: known, in time, the first of their kind, and as the document has them. Those that wait at
the same moment are accepted in one transaction and handled in another, for a fraction of what each would cost alone.
Whatever is odd about one goes the way of `inbox.receive`, which knows every case; so does each one by itself when the
handler of one has failed, so that the others do not suffer.

Accepted means committed: from then on the callback is not lost. A process that dies before the handler has run leaves
receipts without a job, which `adopt` finds (`callouts.callbacks.adopting` calls it in every worker).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction

from callouts import integration_log, limits
from callouts.callbacks import inbox
from callouts.callbacks.addresses import token_digest
from callouts.callbacks.conf import options
from callouts.callbacks.handlers import CallbackHandler, load_handler
from callouts.callbacks.inbox import DONE, Answer, Delivery
from callouts.callbacks.processing import actor_of, callback_of, response_of
from callouts.external_services.description.definitions import CallbackDefinition
from callouts.external_services.models import CallbackReceipt, Invocation, InvocationState, ReceiptState
from callouts.integration_log import About, Arrived, Exchanged
from callouts.models import Outcome
from isthmus import clock, correlation
from isthmus.logs import get_logger
from isthmus.objects.capture import acting_as

__all__ = ["Arrival", "Told", "adopt", "take"]

log = get_logger(__name__)

_OPEN = (InvocationState.SUBMITTED, InvocationState.WAITING)
_COUNTS = ("received", "failed", "processed")
_MOST_ADOPTED = 500


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A callback as it reached the process."""

    token: str
    delivery: Delivery
    path: str
    """With its query."""
    correlation_id: str
    """For one that names no invocation."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What goes back over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class _Case:
    """One arrival on its way."""

    arrival: Arrival
    invocation: Invocation | None
    callback: CallbackDefinition | None = None
    receipt: CallbackReceipt | None = None
    answer: Answer | None = None


def take(arrivals: Sequence[Arrival]) -> list[Told]:
    """Answer callbacks; the answers come in the same order."""
    began, started_at = clock.monotonic_seconds(), clock.now()
    cases = _cases(arrivals)
    # An open transaction is somebody else's, a test's for one: nothing would be committed between the two steps.
    if len(cases) > 1 and not connection.in_atomic_block:
        _take_ordinary(cases)
    for case in cases:
        if case.answer is None:
            with correlation.bind(_correlation(case)), limits.transaction_context():
                case.answer = inbox.receive(case.invocation, case.arrival.delivery)
    told = [_told(case) for case in cases]
    _log(cases, told, started_at, round((clock.monotonic_seconds() - began) * 1000))
    return told


def adopt() -> int:
    """Give a job to accepted callbacks whose process died before their handler ran; return how many there were."""
    since = clock.now() - timedelta(seconds=options.adopt_after_seconds)
    orphans = CallbackReceipt.objects.filter(state=ReceiptState.RECEIVED, job=None, received_at__lt=since)
    found = list(orphans.select_related("invocation__user").order_by("received_at")[:_MOST_ADOPTED])
    for receipt in found:
        if receipt.invocation is not None:
            inbox.run_accepted(receipt, receipt.invocation)
    return len(found)


def _cases(arrivals: Sequence[Arrival]) -> list[_Case]:
    digests = [token_digest(arrival.token) for arrival in arrivals]
    related = Invocation.objects.select_related("operation", "version__service__named_credential", "user")
    light = related.defer(
        "callback_token", "request_digest", "operation__definition", "operation__problems", "version__problems",
        "version__changes", "version__page_starts", "version__anchors",
    )  # fmt: skip
    by_digest = {found.callback_token_digest: found for found in light.filter(callback_token_digest__in=set(digests))}
    return [_Case(arrival, by_digest.get(digest)) for arrival, digest in zip(arrivals, digests, strict=True)]


def _take_ordinary(cases: Sequence[_Case]) -> None:
    """Accept and handle what is ordinary; leave the rest without an answer."""
    seen: set[UUID] = set()
    found: list[_Case] = []
    for case in cases:
        if case.invocation is None or case.invocation.pk in seen:
            continue
        seen.add(case.invocation.pk)
        plain = inbox.ordinary(case.invocation, case.arrival.delivery)
        if plain is not None and not _repeats(case.invocation, plain[0]):
            case.callback = plain[0]
            case.receipt = inbox.receipt_of(case.invocation, case.arrival.delivery, *plain)
            found.append(case)
    if len(found) < 2:
        return
    accepted = _accept(found)
    try:
        with transaction.atomic():
            _handle(accepted)
    except Exception:
        # One of them failed, nobody knows which: each by itself, so that only its own caller hears of it.
        log.warning("callback.batch_failed", callbacks=len(accepted), exc_info=True)
        for case in accepted:
            if case.receipt is not None and case.invocation is not None:
                with limits.transaction_context():
                    case.answer = inbox.run_accepted(case.receipt, case.invocation)
    else:
        for case in accepted:
            case.answer = DONE


def _repeats(invocation: Invocation, callback: CallbackDefinition) -> bool:
    return callback.repeats or callback.name in load_handler(invocation.handler).repeated


def _accept(cases: Sequence[_Case]) -> list[_Case]:
    """Commit the receipts of those that are in time and the first of their invocation; return them."""
    now = clock.now()
    by_id = {case.invocation.pk: case for case in cases if case.invocation is not None}
    with transaction.atomic():
        # In one order, so that two processes never wait for each other.
        locked = Invocation.objects.select_for_update().filter(pk__in=by_id).order_by("pk")
        states = {pk: (state, expires) for pk, state, expires in locked.values_list("pk", "state", "expires_at")}
        earlier = set(
            CallbackReceipt.objects.filter(invocation_id__in=by_id, state__in=_COUNTS).values_list(
                "invocation_id", flat=True
            )
        )
        accepted = [
            case
            for pk, case in by_id.items()
            if pk in states and states[pk][0] in _OPEN and states[pk][1] > now and pk not in earlier
        ]
        CallbackReceipt.objects.bulk_create([case.receipt for case in accepted if case.receipt is not None])
    return accepted


def _handle(cases: Sequence[_Case]) -> None:
    """Complete the invocations and let the handlers act, in the open transaction; raises what they raise."""
    now = clock.now()
    by_name: dict[str, list[_Case]] = {}
    for case in cases:
        by_name.setdefault(case.callback.name if case.callback else "", []).append(case)
    for name, group in by_name.items():
        ids = [case.invocation.pk for case in group if case.invocation is not None]
        reason = f"called back: {name}"
        moved = Invocation.objects.filter(pk__in=ids, state__in=_OPEN).update(
            state=InvocationState.COMPLETED, reason=reason, finished_at=now
        )
        if moved != len(ids):
            raise RuntimeError("Some of the invocations ended meanwhile.")
        for case in group:
            if case.invocation is not None:
                case.invocation.state, case.invocation.reason = str(InvocationState.COMPLETED), reason
                case.invocation.finished_at = now
        _run_handlers(name, group)
    receipts = [case.receipt.pk for case in cases if case.receipt is not None]
    settled = CallbackReceipt.objects.filter(pk__in=receipts, state=ReceiptState.RECEIVED, job=None)
    if settled.update(state=ReceiptState.PROCESSED, finished_at=clock.now()) != len(receipts):
        raise RuntimeError("Some of the callbacks were taken over meanwhile.")


def _run_handlers(name: str, group: Sequence[_Case]) -> None:
    lots: dict[tuple[str, Any], list[_Case]] = {}
    for case in group:
        if case.invocation is not None:
            lots.setdefault((case.invocation.handler, case.invocation.user_id), []).append(case)
    for (path, _), lot in lots.items():
        kind = load_handler(path)
        size = max(1, kind.batch_size)
        actor = actor_of(lot[0].invocation) if lot[0].invocation is not None else None
        for start in range(0, len(lot), size):
            _run_handler(kind, name, lot[start : start + size], actor)


def _run_handler(kind: type[CallbackHandler], name: str, cases: Sequence[_Case], actor: AbstractUser | None) -> None:
    method = kind().method_for(name)
    given = [
        callback_of(
            case.invocation,
            InvocationState.COMPLETED,
            response_of(case.invocation, case.receipt, case.callback),
        )
        for case in cases
        if case.invocation is not None and case.receipt is not None and case.callback is not None
    ]
    first = cases[0].invocation
    if method is None or first is None:
        raise RuntimeError(f"{kind.__name__} handles {name} no more.")
    with (
        correlation.bind(first.correlation_id),
        acting_as(actor, origin="callback"),
        limits.transaction_context(),
    ):
        method(given)


def _correlation(case: _Case) -> str:
    return case.invocation.correlation_id if case.invocation is not None else case.arrival.correlation_id


def _told(case: _Case) -> Told:
    answer, correlation_id = case.answer, _correlation(case)
    if answer is None:
        raise RuntimeError("A callback was left without an answer.")
    if answer.code:
        text = f"{answer.message} Quote {correlation_id} when you ask about it."
        body: object = [{"message": text, "errorCode": answer.code}]
    else:
        body = {"success": True, "message": answer.message, "correlationId": correlation_id}
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **answer.headers}
    return Told(status=answer.status, headers=headers, body=json.dumps(body).encode())


def _log(cases: Sequence[_Case], told: Sequence[Told], started_at: datetime, duration_ms: int) -> None:
    rows = [
        _arrived(case, case.invocation, one, started_at, duration_ms)
        for case, one in zip(cases, told, strict=True)
        if case.invocation is not None
    ]
    if rows:
        integration_log.record_arrived(rows)


def _arrived(case: _Case, invocation: Invocation, told: Told, started_at: datetime, duration_ms: int) -> Arrived:
    delivery, service = case.arrival.delivery, invocation.version.service
    credential = service.named_credential
    job = case.answer.job if case.answer is not None else None
    return Arrived(
        exchanged=Exchanged(
            method=delivery.method,
            url=settings.BASE_URL + case.arrival.path,
            request_headers=dict(delivery.headers),
            request_body=delivery.body,
            response_headers=told.headers,
            response_body=told.body,
            status_code=told.status,
        ),
        about=About(
            operation=f"{service.name}.{invocation.operation.operation_id} {delivery.name}",
            named_credential=credential.name if credential else "",
            user=invocation.user,
            record_id=invocation.record_id,
            job_id=job.pk if job else None,
            invocation_id=invocation.pk,
        ),
        outcome=Outcome.SUCCEEDED if told.status < 400 else Outcome.FAILED,
        started_at=started_at,
        duration_ms=duration_ms,
        correlation_id=invocation.correlation_id,
    )
