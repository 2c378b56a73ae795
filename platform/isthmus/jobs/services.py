"""What other apps let run inside every worker, beside its jobs: senders, listeners, what has a start and a stop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["WorkerService", "made", "register_worker_service", "register_worker_service_temporarily"]


class WorkerService(Protocol):
    """Runs in threads of its own in the worker's main process, from start to stop."""

    def start(self, worker: str) -> None:
        """Begin; `worker` is the name of the worker, which no other process has. Returns at once."""

    def stop(self, grace_seconds: float) -> None:
        """End in good order, within that time."""


_makers: list[Callable[[], WorkerService]] = []


def register_worker_service(make: Callable[[], WorkerService]) -> None:
    """Let every worker run what `make` returns. Raises `ValueError` when it is registered already."""
    if make in _makers:
        raise ValueError(f"{make!r} is registered already.")
    _makers.append(make)


@contextmanager
def register_worker_service_temporarily(make: Callable[[], WorkerService]) -> Iterator[None]:
    """Register while the block runs (for tests)."""
    register_worker_service(make)
    try:
        yield
    finally:
        _makers.remove(make)


def made() -> list[WorkerService]:
    """Return new instances of everything that is registered, for one worker."""
    return [make() for make in _makers]
