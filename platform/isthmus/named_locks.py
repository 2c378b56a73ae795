"""Names that one holder at a time may have, over all processes of this instance, without waiting for them.

A lock belongs to the process that took it: when that is killed, the lock is free again. PostgreSQL keeps them as
advisory locks of the connection; beside SQLite, which is always on this machine, they are locks on files.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.db import connection

__all__ = ["hold_one", "try_hold"]


@contextmanager
def try_hold(name: str) -> Iterator[bool]:
    """Yield whether the block has `name` to itself; `False` at once when somebody else has it.

    Take it outside a transaction, so that it is held until the transaction has ended. It is not reentrant: a holder
    that asks again may be told no.
    """
    with _on_postgresql(name) if connection.vendor == "postgresql" else _on_files(name) as is_held:
        yield is_held


@contextmanager
def hold_one(name: str, count: int) -> Iterator[bool]:
    """Yield whether the block has one of the `count` places under `name` to itself."""
    for place in range(count):
        with try_hold(f"{name}#{place}") as is_held:
            if is_held:
                yield True
                return
    yield False


@contextmanager
def _on_postgresql(name: str) -> Iterator[bool]:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        is_held = bool(cursor.fetchone()[0])
    try:
        yield is_held
    finally:
        # A connection that broke has freed its locks already; asking it would only hide what broke it.
        if is_held and connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


@contextmanager
def _on_files(name: str) -> Iterator[bool]:
    folder = Path(settings.DATA_DIR) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(f"{connection.settings_dict['NAME']}:{name}".encode()).hexdigest()[:32]
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        is_held = _is_locked(file) and _is_still_there(file, path)
        try:
            yield is_held
        finally:
            if is_held:
                # While it is locked: nobody else can have it between this and the end.
                path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _is_locked(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _is_still_there(file: int, path: Path) -> bool:
    """Return whether the name still leads to this file: its last holder may have taken it away meanwhile."""
    try:
        return os.fstat(file).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
