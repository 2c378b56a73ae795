"""Outbound HTTP, the integration log, external services and their callbacks.

`callouts.http` sends, `callouts.enqueue(...)` sends after commit, `callouts.limits()` tells what is left.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from callouts.head_room import Limits

if TYPE_CHECKING:
    from callouts.staging import enqueue

__all__ = ["enqueue", "limits"]

limits = Limits()


def __getattr__(name: str) -> Any:
    # Django imports this package before any model may be imported, so this door opens on first use.
    if name != "enqueue":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.staging").enqueue
