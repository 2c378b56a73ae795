"""The one source of random identifiers and tokens. Tests give a predictable one."""

import hashlib
import itertools
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

__all__ = ["CountingIds", "Ids", "SystemIds", "new_token", "new_uuid", "use"]


class Ids(Protocol):
    """What the platform asks for when it needs a new name for something."""

    def new_uuid(self) -> uuid.UUID:
        """Return an identifier that was never given before."""

    def new_token(self, size: int) -> str:
        """Return an unguessable text of letters, digits, `-` and `_` made from `size` random bytes."""


class SystemIds:
    """Identifiers from the operating system's random source."""

    def new_uuid(self) -> uuid.UUID:
        return uuid.uuid4()  # noqa: TID251 - the one place that asks the machine

    def new_token(self, size: int) -> str:
        return secrets.token_urlsafe(size)


class CountingIds:
    """Identifiers that tests can predict: the first, the second, the third …"""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new_uuid(self) -> uuid.UUID:
        return uuid.UUID(int=next(self._numbers))

    def new_token(self, size: int) -> str:
        return hashlib.sha256(str(next(self._numbers)).encode()).hexdigest()[:size]


_ids: Ids = SystemIds()


def new_uuid() -> uuid.UUID:
    """Return an identifier that was never given before."""
    return _ids.new_uuid()


def new_token(size: int = 32) -> str:
    """Return an unguessable, URL-safe text made from `size` random bytes (32: 256 bits)."""
    return _ids.new_token(size)


@contextmanager
def use(ids: Ids) -> Iterator[Ids]:
    """Let `ids` name things in the whole process while the block runs."""
    global _ids
    before, _ids = _ids, ids
    try:
        yield ids
    finally:
        _ids = before
