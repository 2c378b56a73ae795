"""Background entry points: ending the wait for a callback, and running handlers."""

from uuid import UUID

from django.db import transaction

from callouts.callbacks import processing
from isthmus import clock
from isthmus.jobs import queueable

__all__ = ["end_wait", "handle_callback", "tell_timed_out"]


@queueable(max_attempts=10, retry_delays=(1, 10, 60), kind="Callback")
def end_wait(invocation_id: str) -> dict[str, object]:
    """End the wait of an invocation whose time is up, unless a callback was accepted in time."""
    with transaction.atomic():
        is_ended = processing.time_out(UUID(invocation_id), at=clock.now())
        if is_ended:
            tell_timed_out.enqueue(invocation_id=invocation_id, subject=("invocation", invocation_id))
    return {"timed_out": is_ended}


@queueable(max_attempts=4, retry_delays=(1, 10, 60), atomic=True, kind="Callback")
def tell_timed_out(invocation_id: str) -> None:
    """Let the handler react to a callback that did not come."""
    processing.run_timed_out(UUID(invocation_id))


@queueable(max_attempts=4, retry_delays=(1, 10, 60), atomic=True, kind="Callback")
def handle_callback(receipt_id: str) -> dict[str, object]:
    """Complete an invocation with an accepted callback: state and effects of the handler in one transaction."""
    return {"outcome": processing.process(UUID(receipt_id))}
