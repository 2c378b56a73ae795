"""The inbox: every callback that reaches us leaves a receipt, and is accepted, or not with a reason.

The commit of a receipt with its job is the acceptance: from then on the callback is not lost, whatever dies. Then the
handler runs at once, so that the answer can tell whether it went well.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.callbacks.addresses import find_callbacks, token_digest
from callouts.callbacks.bodies import BodyRefused, is_content_type_taken, parse_stored
from callouts.callbacks.conf import options
from callouts.callbacks.handlers import load_handler
from callouts.external_services.description.definitions import CallbackDefinition, CallbackRequest
from callouts.external_services.errors import HandlerRefused
from callouts.external_services.jobs import handle_callback
from callouts.external_services.loaded import document_of, validator_for
from callouts.external_services.models import CallbackReceipt, Invocation, ReceiptState
from isthmus import causes, clock, correlation
from isthmus.jobs.actions import retry, run_inline
from isthmus.jobs.errors import JobNotRetryable
from isthmus.jobs.models import Job, JobState
from isthmus.logs import get_logger

__all__ = [
    "DONE",
    "Answer",
    "Delivery",
    "find_invocation",
    "ordinary",
    "receipt_of",
    "receive",
    "run_accepted",
]

log = get_logger(__name__)

_UNKNOWN_BODY_BYTES = 4 * 1024
_MOST_REASON = 4_000


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A callback as it came over the wire."""

    name: str
    rest: str
    """What follows the callback's name in the address."""
    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    query_text: str = ""
    body: bytes | None
    """`None`: larger than we take."""
    simulated_by: AbstractUser | None = None
    """Who made it up in the console; `None` for one from outside."""

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def text(self) -> str:
        """The body as every database keeps it."""
        return (self.body or b"").decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")

    @property
    def digest(self) -> str:
        """The same for a callback that is delivered again."""
        said = f"{self.method}\n{self.name}{self.rest}\n{self.query_text}\n".encode() + (self.body or b"")
        return hashlib.sha256(said).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the outside is told: no more than it needs to know."""

    status: int
    code: str = ""
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    job: Job | None = None


DONE = Answer(status=200, message="The callback was processed.")
_AGAIN = Answer(status=200, message="The callback had been processed before.")
_TAKEN = Answer(status=200, message="The callback was accepted.")
_IGNORED = Answer(status=200, message="The callback was received.")
_NOT_FOUND = Answer(status=404, code="NOT_FOUND", message="There is no such callback.")
_UNHANDLED = Answer(status=404, code="CALLBACK_NOT_HANDLED", message="The callback is not handled.")
_LATE = Answer(status=408, code="CALLBACK_TIMED_OUT", message="The callback is no longer waited for.")
_TOO_LARGE = Answer(status=413, code="REQUEST_BODY_TOO_LARGE", message="The callback's body is too large.")
_BAD_TYPE = Answer(status=415, code="UNSUPPORTED_MEDIA_TYPE", message="The callback's content type is not taken.")
_INVALID = Answer(status=422, code="INVALID_CALLBACK", message="The callback does not fit its description.")
_FAILED = Answer(status=500, code="CALLBACK_FAILED", message="The callback could not be processed.")


@dataclass(frozen=True)
class _Verdict:
    """How a delivery is filed and answered; `answer` is `None` while its job decides."""

    state: ReceiptState
    reason: str
    answer: Answer | None
    job: Job | None = None


def find_invocation(token: str) -> Invocation | None:
    """Return the invocation whose callback address has this token."""
    related = Invocation.objects.select_related("operation", "version", "service__named_credential")
    found = related.defer("version__problems", "version__changes", "version__page_starts", "version__anchors")
    return found.filter(callback_token_digest=token_digest(token)).first()


def receive(invocation: Invocation | None, delivery: Delivery) -> Answer:
    """File a delivery, run its handler if it is accepted, and say what to answer."""
    if invocation is None:
        _file_unknown(delivery)
        return _NOT_FOUND
    candidates = find_callbacks(invocation.operation.callback_contracts, delivery.name, delivery.rest)
    callback = _meant(invocation, candidates, delivery)
    if callback is None:
        _file(invocation, delivery, delivery.name, _Verdict(ReceiptState.UNKNOWN, "no such callback", _NOT_FOUND))
        return _NOT_FOUND
    request = callback.methods.get(delivery.method)
    refused = _refused(callback, request, delivery)
    if request is None or refused is not None:
        verdict = refused or _Verdict(ReceiptState.INVALID, "", _INVALID)
        _file(invocation, delivery, callback.name, verdict)
        return verdict.answer or _INVALID
    problems = _problems(invocation, request, delivery)
    with transaction.atomic():
        verdict = _decide(invocation, callback, request, delivery, problems)
    if verdict.answer is not None or verdict.job is None:
        return verdict.answer or _FAILED
    return _run(verdict.job)


def ordinary(invocation: Invocation, delivery: Delivery) -> tuple[CallbackDefinition, CallbackRequest] | None:
    """Return the callback that a delivery is, if nothing about it needs a closer look: then many are taken at once.

    Whether it comes in time and for the first time is not looked at.
    """
    candidates = find_callbacks(invocation.operation.callback_contracts, delivery.name, delivery.rest)
    callback = _meant(invocation, candidates, delivery)
    request = callback.methods.get(delivery.method) if callback is not None else None
    if callback is None or request is None or _refused(callback, request, delivery) is not None:
        return None
    if _problems(invocation, request, delivery) or _unhandled(invocation, callback) is not None:
        return None
    return callback, request


def receipt_of(
    invocation: Invocation, delivery: Delivery, callback: CallbackDefinition, request: CallbackRequest
) -> CallbackReceipt:
    """Return the receipt of an accepted delivery, not saved."""
    return _receipt(invocation, delivery, callback.name, _Verdict(ReceiptState.RECEIVED, "", None), request)


def run_accepted(receipt: CallbackReceipt, invocation: Invocation) -> Answer:
    """Run the handler of an accepted callback that has no job yet, by one of its own; say what to answer."""
    with transaction.atomic():
        locked = CallbackReceipt.objects.select_for_update().get(pk=receipt.pk)
        if locked.job is None:
            with correlation.bind(invocation.correlation_id), causes.bind(f"callback:{locked.pk}"):
                locked.job = handle_callback.enqueue(
                    receipt_id=str(locked.pk), user=invocation.user, subject=("invocation", str(invocation.pk))
                )
            locked.save(update_fields=["job"])
    return _run(locked.job)


def _meant(
    invocation: Invocation, candidates: Sequence[CallbackDefinition], delivery: Delivery
) -> CallbackDefinition | None:
    """Return the callback that a delivery fits, of those that share its address; the first where it fits none."""
    if len(candidates) > 1:
        for callback in candidates:
            request = callback.methods.get(delivery.method)
            if request is None or _refused(callback, request, delivery) is not None:
                continue
            if not _problems(invocation, request, delivery):
                return callback
    return next(iter(candidates), None)


def _refused(callback: CallbackDefinition, request: CallbackRequest | None, delivery: Delivery) -> _Verdict | None:
    """Return why a delivery cannot even be read, or `None`."""
    if request is None:
        allowed = ", ".join(sorted(callback.methods))
        answer = Answer(
            status=405, code="METHOD_NOT_ALLOWED", message="The method is not taken.", headers={"Allow": allowed}
        )
        return _Verdict(ReceiptState.INVALID, f"{delivery.method} is not one of {allowed}", answer)
    if delivery.body is None:
        return _Verdict(ReceiptState.INVALID, f"the body has more than {options.max_body_bytes} bytes", _TOO_LARGE)
    if delivery.body and not is_content_type_taken(delivery.content_type, request.body):
        return _Verdict(ReceiptState.INVALID, f"content type {delivery.content_type[:100] or 'missing'}", _BAD_TYPE)
    return None


def _problems(invocation: Invocation, request: CallbackRequest, delivery: Delivery) -> list[str]:
    """Return what does not fit the document."""
    problems = []
    for parameter in request.parameters:
        given: Mapping[str, str] = delivery.headers if parameter.location == "header" else delivery.query
        if parameter.required and parameter.location in {"header", "query"} and parameter.name not in given:
            problems.append(f"the {parameter.location} parameter {parameter.name} is missing")
    raw = delivery.body or b""
    if not raw:
        if request.body is not None and request.body.required:
            problems.append("the body is missing")
        return problems
    try:
        if request.body is not None:
            raw.decode()
        value = parse_stored(delivery.text, delivery.content_type, request.body, document_of(invocation.version))
    except UnicodeDecodeError:
        return [*problems, "the body is not UTF-8"]
    except BodyRefused as refused:
        return [*problems, str(refused)]
    media = request.body.media_for(delivery.content_type) if request.body is not None else None
    if media is not None and media.schema is not None and media.kind in {"json", "form", "xml"}:
        validator = validator_for(invocation.version, media.schema, "request")
        found = validator.problems(value) if validator else []
        problems.extend(f"{problem.pointer}: {problem.message}" for problem in found)
    return problems


def _decide(
    invocation: Invocation,
    callback: CallbackDefinition,
    request: CallbackRequest,
    delivery: Delivery,
    problems: Sequence[str],
) -> _Verdict:
    """Decide on a readable delivery while nobody else can, and file it."""
    now = Invocation.objects.select_for_update().values("state", "expires_at").get(pk=invocation.pk)
    is_over = now["expires_at"] <= clock.now() or Invocation(state=now["state"]).is_finished
    same = invocation.receipts.filter(body_digest=delivery.digest, callback_name=callback.name)
    earlier = same.filter(state__in=("received", "failed", "processed")).order_by("received_at").first()
    if earlier is not None and earlier.state == ReceiptState.PROCESSED:
        verdict = _Verdict(ReceiptState.REPEATED, "the same callback has been processed", _AGAIN)
    elif earlier is not None and not Invocation(state=now["state"]).is_finished:
        reason = f"the same callback has been accepted (receipt {earlier.pk})"
        verdict = _Verdict(ReceiptState.REPEATED, reason, None, earlier.job)
    elif is_over:
        state = now["state"] if Invocation(state=now["state"]).is_finished else "out of time"
        verdict = _Verdict(ReceiptState.LATE, f"the invocation was {state}", _LATE)
    elif problems:
        verdict = _Verdict(ReceiptState.INVALID, "; ".join(problems), _INVALID)
    elif (unhandled := _unhandled(invocation, callback)) is not None:
        reason = f"{invocation.handler} has no method for {callback.name}"
        verdict = _Verdict(ReceiptState.UNHANDLED, reason, _IGNORED if unhandled == "ignore" else _UNHANDLED)
    else:
        return _accept(invocation, callback, request, delivery)
    _file(invocation, delivery, callback.name, verdict, request)
    return verdict


def _unhandled(invocation: Invocation, callback: CallbackDefinition) -> str | None:
    """Return what the handler says about a callback that it has no method for; `None` for one that it handles."""
    try:
        handler = load_handler(invocation.handler)()
    except HandlerRefused:
        # Our fault, to be mended by a deployment: accept the callback and let the job wait for that.
        return None
    return None if handler.method_for(callback.name) is not None else handler.unhandled


def _accept(
    invocation: Invocation, callback: CallbackDefinition, request: CallbackRequest, delivery: Delivery
) -> _Verdict:
    receipt = _file(invocation, delivery, callback.name, _Verdict(ReceiptState.RECEIVED, "", None), request)
    with causes.bind(f"callback:{receipt.pk}"):
        job = handle_callback.enqueue(
            receipt_id=str(receipt.pk), user=invocation.user, subject=("invocation", str(invocation.pk))
        )
    receipt.job = job
    receipt.save(update_fields=["job"])
    return _Verdict(ReceiptState.RECEIVED, "", None, job)


def _run(job: Job) -> Answer:
    """Run the handler now; say how it went."""
    job.refresh_from_db()
    if job.state == JobState.FAILED:
        try:
            job = retry(job)
        except JobNotRetryable:
            log.info("callback.retried_elsewhere", job_id=str(job.pk))
    job = run_inline(job)
    if job.state == JobState.COMPLETED:
        outcome = (job.result or {}).get("outcome")
        return _with_job(_LATE if outcome == ReceiptState.LATE else DONE, job)
    if job.is_running:
        return _with_job(_TAKEN, job)
    CallbackReceipt.objects.filter(job=job, state=ReceiptState.RECEIVED).update(
        state=ReceiptState.FAILED, reason=f"the handler failed: {job.error}"[:_MOST_REASON]
    )
    return _with_job(_FAILED, job)


def _with_job(answer: Answer, job: Job) -> Answer:
    return Answer(status=answer.status, code=answer.code, message=answer.message, job=job)


def _file(
    invocation: Invocation,
    delivery: Delivery,
    callback_name: str,
    verdict: _Verdict,
    request: CallbackRequest | None = None,
) -> CallbackReceipt:
    receipt = _receipt(invocation, delivery, callback_name, verdict, request)
    receipt.save(force_insert=True)
    return receipt


def _receipt(
    invocation: Invocation,
    delivery: Delivery,
    callback_name: str,
    verdict: _Verdict,
    request: CallbackRequest | None = None,
) -> CallbackReceipt:
    is_open = verdict.state == ReceiptState.RECEIVED
    return CallbackReceipt(
        invocation=invocation,
        callback_name=callback_name[:255],
        method=delivery.method[:10],
        headers=_kept_headers(delivery, request),
        query=delivery.query_text[:2_000],
        body=delivery.text,
        body_digest=delivery.digest,
        state=verdict.state,
        reason=verdict.reason[:_MOST_REASON],
        finished_at=None if is_open else clock.now(),
        job=verdict.job,
        simulated_by_id=delivery.simulated_by.pk if delivery.simulated_by else None,
        correlation_id=invocation.correlation_id,
    )


def _kept_headers(delivery: Delivery, request: CallbackRequest | None) -> dict[str, str]:
    wanted = [found.name for found in request.parameters if found.location == "header"] if request else []
    kept = {name: delivery.headers[name] for name in ["Content-Type", *wanted] if name in delivery.headers}
    return {name: value[:2_000] for name, value in kept.items()}


def _file_unknown(delivery: Delivery) -> None:
    kept = CallbackReceipt.objects.unknown_since(clock.now(), timedelta(hours=1)).count()
    log.warning("callback.unknown_token", method=delivery.method, is_kept=kept < options.unknown_kept_an_hour)
    if kept >= options.unknown_kept_an_hour:
        return
    CallbackReceipt.objects.create(
        callback_name=delivery.name[:255],
        method=delivery.method[:10],
        headers=_kept_headers(delivery, None),
        query=delivery.query_text[:2_000],
        body=delivery.text[:_UNKNOWN_BODY_BYTES],
        body_digest=delivery.digest,
        state=ReceiptState.UNKNOWN,
        reason="no invocation has this token",
        finished_at=clock.now(),
        correlation_id=correlation.current_or_new(),
    )
