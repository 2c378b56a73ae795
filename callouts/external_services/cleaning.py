"""Removes invocations that are over with their callbacks, and callbacks that belong to none."""

from datetime import timedelta

from django.db.models import Exists, OuterRef

from callouts.external_services.conf import options
from callouts.external_services.models import CallbackReceipt, Invocation, InvocationState, ReceiptState
from isthmus import clock
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal

__all__ = ["remove_old_invocations"]

_FINAL = [state for state in InvocationState if state.is_final]
_AT_ONCE = 200
"""Invocations; their callbacks go with them."""


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_invocations() -> dict[str, object]:
    """Remove what ended long ago: never an invocation that waits, nor a callback that waits for its handler."""
    before, removal = clock.now() - timedelta(days=options.keep_ended_days), Removal()
    waiting = CallbackReceipt.objects.filter(state__in=[ReceiptState.RECEIVED, ReceiptState.FAILED])
    over = Invocation.objects.filter(
        ~Exists(waiting.filter(invocation=OuterRef("pk"))), state__in=_FINAL, finished_at__lt=before
    )
    removal.remove("invocations", over, order="submitted_at", size=_AT_ONCE)
    unknown = CallbackReceipt.objects.filter(invocation=None, received_at__lt=before)
    unknown = unknown.exclude(state__in=[ReceiptState.RECEIVED, ReceiptState.FAILED])
    removal.remove("callbacks", unknown, order="received_at")
    return {"removed": removal.counts}
