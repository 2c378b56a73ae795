"""Wakes workers. A bell that is not heard costs time, never work: the sweeper finds every row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from django.db import transaction

__all__ = ["Bell", "SilentBell", "current", "install", "ring_after_commit", "use"]


class Bell(Protocol):
    """How workers are told that a job waits."""

    def ring(self, job_ids: Sequence[UUID]) -> None:
        """Wake a worker for each job. Never raises: a broker that is away is logged."""

    def waiting(self) -> int:
        """Return how many wake-ups no worker has heard yet."""


class SilentBell:
    """Wakes nobody, and remembers for whom it was rung."""

    def __init__(self) -> None:
        self.rung: list[UUID] = []

    def ring(self, job_ids: Sequence[UUID]) -> None:
        self.rung.extend(job_ids)

    def waiting(self) -> int:
        return 0


_bell: Bell = SilentBell()


def current() -> Bell:
    """Return the bell in use."""
    return _bell


def install(bell: Bell) -> None:
    """Use `bell` from now on."""
    global _bell
    _bell = bell


@contextmanager
def use(bell: Bell) -> Iterator[Bell]:
    """Use `bell` in the whole process while the block runs."""
    before = _bell
    install(bell)
    try:
        yield bell
    finally:
        install(before)


def ring_after_commit(job_id: UUID) -> None:
    """Wake a worker once the caller's transaction is committed; at once outside one."""
    transaction.on_commit(lambda: current().ring([job_id]))
