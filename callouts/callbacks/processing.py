"""What becomes of accepted callbacks. Every function here runs inside its caller's transaction.

The invocation's row is locked first and the receipt's second, everywhere, so that two never wait for each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AbstractUser

from callouts.callbacks.bodies import parse_stored
from callouts.callbacks.handlers import Callback, CallbackHandler, CallbackResponse, load_handler
from callouts.external_services import transitions
from callouts.external_services.description.definitions import CallbackDefinition
from callouts.external_services.errors import HandlerRefused
from callouts.external_services.loaded import document_of
from callouts.external_services.models import CallbackReceipt, Invocation, InvocationState, ReceiptState
from isthmus import clock
from isthmus.access.policy import system_user
from isthmus.objects.capture import acting_as

__all__ = ["acting_for", "actor_of", "callback_of", "process", "response_of", "run_timed_out", "time_out"]


def process(receipt_id: UUID) -> str:
    """Handle an accepted callback; return what became of it, a `ReceiptState`.

    Raises whatever the handler raises; then nothing has changed.
    """
    invocation_id = CallbackReceipt.objects.values_list("invocation_id", flat=True).get(pk=receipt_id)
    invocation = Invocation.objects.select_for_update().get(pk=invocation_id)
    receipt = CallbackReceipt.objects.select_for_update().get(pk=receipt_id)
    if receipt.state not in {ReceiptState.RECEIVED, ReceiptState.FAILED}:
        return str(receipt.state)
    handler = load_handler(invocation.handler)()
    contract = _contract(invocation, receipt)
    repeats = contract.repeats or contract.name in handler.repeated
    if not _moved_on(invocation, receipt, repeats=repeats) and receipt.routed_at is None:
        return _settle(receipt, *_too_late(invocation, receipt))
    method = handler.method_for(receipt.callback_name)
    if method is None:
        raise HandlerRefused(f"{invocation.handler} no longer handles {receipt.callback_name}.")
    invocation.refresh_from_db()
    with acting_for(invocation):
        method([callback_of(invocation, InvocationState(invocation.state), response_of(invocation, receipt, contract))])
    return _settle(receipt, ReceiptState.PROCESSED, receipt.reason if receipt.routed_at else "")


def _moved_on(invocation: Invocation, receipt: CallbackReceipt, *, repeats: bool) -> bool:
    """Let a callback do to its invocation what it does; returns false if that is over."""
    if not repeats:
        told = f"called back: {receipt.callback_name}"
        return transitions.finish(invocation.pk, InvocationState.COMPLETED, told)
    if invocation.is_finished:
        return False
    # Whoever calls back has the request, whether or not its first answer has reached us.
    transitions.called_back(invocation.pk)
    return True


def _contract(invocation: Invocation, receipt: CallbackReceipt) -> CallbackDefinition:
    found = [one for one in invocation.operation.callback_contracts if one.name == receipt.callback_name]
    fitting = [one for one in found if receipt.method in one.methods]
    if not found:
        raise HandlerRefused(f"{invocation.operation.operation_id} has no callback {receipt.callback_name}.")
    return (fitting or found)[0]


def time_out(invocation_id: UUID, *, at: datetime) -> bool:
    """End the wait of an invocation whose time is up at `at`.

    Returns false where it is over already, has more time, or has accepted a callback: what was accepted in time counts.
    """
    invocation = Invocation.objects.select_for_update().get(pk=invocation_id)
    if invocation.expires_at > at or invocation.receipts.accepted().exists():
        return False
    return transitions.finish(invocation_id, InvocationState.TIMED_OUT, "no callback came in time")


def run_timed_out(invocation_id: UUID) -> None:
    """Call the handler's `timed_out`. Raises whatever that raises."""
    invocation = Invocation.objects.get(pk=invocation_id)
    handler: CallbackHandler = load_handler(invocation.handler)()
    with acting_for(invocation):
        handler.timed_out([callback_of(invocation, InvocationState.TIMED_OUT, None)])


def _too_late(invocation: Invocation, receipt: CallbackReceipt) -> tuple[ReceiptState, str]:
    same = invocation.receipts.filter(body_digest=receipt.body_digest, state=ReceiptState.PROCESSED)
    if same.exists():
        return ReceiptState.REPEATED, "the same callback has been processed"
    return ReceiptState.LATE, f"the invocation was {invocation.state} already"


def _settle(receipt: CallbackReceipt, state: ReceiptState, reason: str) -> str:
    CallbackReceipt.objects.filter(pk=receipt.pk).update(state=state, reason=reason, finished_at=clock.now())
    return state


def callback_of(invocation: Invocation, state: InvocationState, response: CallbackResponse | None) -> Callback:
    """Return what a handler is given."""
    return Callback(
        invocation_id=invocation.pk,
        reference=invocation.reference,
        request=invocation.request,
        submit_time=invocation.submitted_at,
        callback_timeout=invocation.expires_at,
        status=state.value,
        response=response,
        first_response=invocation.response_body,
        correlation_id=invocation.correlation_id,
    )


def response_of(invocation: Invocation, receipt: CallbackReceipt, contract: CallbackDefinition) -> CallbackResponse:
    """Return what a callback brought."""
    request = contract.methods.get(receipt.method)
    content_type = {name.lower(): value for name, value in receipt.headers.items()}.get("content-type", "")
    body = parse_stored(receipt.body, content_type, request.body if request else None, document_of(invocation.version))
    return CallbackResponse(body=body, headers=receipt.headers, method=receipt.method)


@contextmanager
def acting_for(invocation: Invocation) -> Iterator[None]:
    """Do as whoever called the operation."""
    with acting_as(actor_of(invocation), origin="callback"):
        yield


def actor_of(invocation: Invocation) -> AbstractUser:
    """Return whoever called the operation, or the platform where that is nobody any more."""
    return invocation.user if invocation.user is not None and invocation.user.is_active else system_user()
