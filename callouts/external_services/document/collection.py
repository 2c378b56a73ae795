"""Leaving Python's cycle collector out while a document is taken apart."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collection_paused"]


@contextmanager
def collection_paused() -> Iterator[None]:
    """Do not look for circles meanwhile.

    A parsed document is millions of objects in no circle; looking for circles among them, again and again while they
    become more, takes longer than making them. What becomes garbage otherwise is found afterwards.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
