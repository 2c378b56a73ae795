"""Background operations: the Job row is the truth, the broker only rings the bell.

@queueable(max_attempts=3, retry_delays=(1, 10, 60))
def submit(lead_id: int) -> dict[str, object]: ...

job = submit.enqueue(lead_id=5)   # in the caller's transaction; starts after its commit
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.jobs.actions import enqueue_function as enqueue
    from isthmus.jobs.batches import Batch
    from isthmus.jobs.dependencies import Ended
    from isthmus.jobs.handle import current_job, current_job_or_none
    from isthmus.jobs.queueables import Queueable, chain, queueable

__all__ = ["Batch", "Ended", "Queueable", "chain", "current_job", "current_job_or_none", "enqueue", "queueable"]

_HOMES = {
    "Batch": "batches.Batch",
    "Ended": "dependencies.Ended",
    "Queueable": "queueables.Queueable",
    "chain": "queueables.chain",
    "current_job": "handle.current_job",
    "current_job_or_none": "handle.current_job_or_none",
    "enqueue": "actions.enqueue_function",
    "queueable": "queueables.queueable",
}


def __getattr__(name: str) -> Any:
    # Django imports this package before any model may be imported, so the door opens on first use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name].split(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)
