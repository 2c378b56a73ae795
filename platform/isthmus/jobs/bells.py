"""Wakes workers. A bell that is not heard costs time, never work: idle workers look for themselves, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.db import transaction

__all__ = ["Bell", "SilentBell", "current", "install", "ring_after_commit", "use"]


class Bell(Protocol):
    """How workers are told that there is something to take."""

    def ring(self) -> None:
        """Wake workers, now that what they are to find is committed. Never raises: a broker that is away is logged."""

    def ask(self) -> None:
        """Ask the broker whether it is there. Raises what the broker raises."""


class SilentBell:
    """Wakes nobody, and counts how often it was rung."""

    def __init__(self) -> None:
        self.rings = 0

    def ring(self) -> None:
        self.rings += 1

    def ask(self) -> None:
        """It is always there."""


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


def ring_after_commit() -> None:
    """Wake workers once the caller's transaction is committed; at once outside one."""
    transaction.on_commit(lambda: current().ring())
