"""Outbound HTTP, the integration log, external services and their callbacks.

`callouts.http` sends, `callouts.enqueue(...)` sends after commit, `callouts.send_batch(...)` sends many records in
chunks, `callouts.limits()` tells what is left.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from callouts.head_room import Limits

if TYPE_CHECKING:
    from callouts.queue.batches import send_batch
    from callouts.queue.enqueueing import enqueue

__all__ = ["enqueue", "limits", "send_batch"]

limits = Limits()

_HOMES = {"enqueue": "queue.enqueueing", "send_batch": "queue.batches"}


def __getattr__(name: str) -> Any:
    # Django imports this package before any model may be imported, so these doors open on first use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
