"""What an operator does with callbacks: route one that reached nobody, and make one up."""

import re

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.callbacks import inbox
from callouts.callbacks.inbox import Answer, Delivery
from callouts.external_services.errors import HandlerRefused, ReceiptSettled
from callouts.external_services.jobs import handle_callback
from callouts.external_services.models import CallbackReceipt, Invocation, ReceiptState
from isthmus import causes, clock, correlation
from isthmus.access import policy
from isthmus.audit import actions as audit
from isthmus.jobs.models import Job

__all__ = ["ROUTABLE", "route", "simulate"]

_EXPRESSION = re.compile(r"\{\$[^{}]*\}")
ROUTABLE = frozenset({ReceiptState.LATE, ReceiptState.UNKNOWN, ReceiptState.UNHANDLED, ReceiptState.INVALID})
"""States of callbacks that nothing came of."""


@transaction.atomic
def route(
    receipt: CallbackReceipt,
    user: AbstractUser,
    *,
    invocation: Invocation | None = None,
    callback_name: str = "",
) -> Job:
    """Let a callback's handler run although the platform had refused the callback; return the job.

    `invocation` and `callback_name`: for one that named none of ours; else its own. An invocation that waits is
    completed by it; one that is over stays as it ended, and its handler learns that from the callback's status.
    Raises `PermissionRefused` unless `user` may operate the console, `ReceiptSettled` for one that is processed or
    accepted, and `HandlerRefused` where nothing handles it.
    """
    policy.require(user, "console", "operate", "*")
    locked = CallbackReceipt.objects.select_for_update().get(pk=receipt.pk)
    if locked.state not in ROUTABLE:
        raise ReceiptSettled(
            f"The callback is {locked.get_state_display().lower()}; only one that was refused is routed."
        )
    meant = invocation or locked.invocation
    name = callback_name or locked.callback_name
    if meant is None:
        raise HandlerRefused("Say to which invocation the callback belongs.")
    known = [found.name for found in meant.operation.callback_contracts]
    if name not in known:
        raise HandlerRefused(f"{meant.operation.operation_id} has the callbacks {', '.join(known)}; choose one.")
    locked.invocation = meant
    locked.callback_name = name
    locked.state = ReceiptState.RECEIVED
    locked.reason = f"was {receipt.state}; routed by {user}"
    locked.routed_at, locked.routed_by_id = clock.now(), user.pk
    locked.finished_at = None
    with correlation.bind(meant.correlation_id), causes.bind(f"callback:{locked.pk}"):
        locked.job = handle_callback.enqueue(
            receipt_id=str(locked.pk), user=meant.user, subject=("invocation", str(meant.pk))
        )
    locked.correlation_id = meant.correlation_id
    locked.save()
    audit.record(
        "external_service.callback_routed",
        actor=user,
        target=str(locked.pk),
        details={"invocation": str(meant.pk), "callback": name, "was": receipt.state},
    )
    return locked.job


def simulate(
    invocation: Invocation,
    user: AbstractUser,
    *,
    callback_name: str,
    body: str,
    content_type: str = "application/json",
    method: str = "",
) -> Answer:
    """Do as if the outside had called back; return what it would have been told.

    Everything happens as with a real one: checks, receipt, handler. `method`: "" is the callback's first. Raises
    `PermissionRefused` unless `user` may operate the console, and `HandlerRefused` for a name that the operation lacks.
    """
    policy.require(user, "console", "operate", "*")
    found = next((one for one in invocation.operation.callback_contracts if one.name == callback_name), None)
    if found is None:
        raise HandlerRefused(f"{invocation.operation.operation_id} has no callback {callback_name!r}.")
    delivery = Delivery(
        name=found.key or found.name,
        rest=_EXPRESSION.sub("any", found.suffix).partition("?")[0].partition("#")[0],
        method=method or next(iter(found.methods)),
        headers={"Content-Type": content_type} if body else {},
        body=body.encode(),
        simulated_by=user,
    )
    audit.record(
        "external_service.callback_simulated",
        actor=user,
        target=str(invocation.pk),
        details={"callback": callback_name},
    )
    with correlation.bind(invocation.correlation_id):
        return inbox.receive(invocation, delivery)
