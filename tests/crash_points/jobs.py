"""Background work that is killed."""

from callouts.external_services import external_service
from isthmus.jobs import queueable
from tests.crash_points.callbacks import Deadly

__all__ = ["submit"]


@queueable(max_attempts=8, retry_delays=(0.2,))
def submit(operation: str, reference: str) -> None:
    """Call an operation of the service `Ledger` and wait for its callback."""
    external_service("Ledger").call(operation, body={"n": 1}, callback=Deadly, reference=reference, timeout=5)
