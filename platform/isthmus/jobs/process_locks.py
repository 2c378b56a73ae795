"""Tells a dead holder of leases from a silent one where heartbeats cannot: on SQLite.

SQLite has one writer at a time, so a job in a long write transaction keeps its own heartbeat (another connection) from
being written. There a lease is taken for the job's whole time limit, and death is recognised by the operating system:
each process that takes leases holds a lock on a file beside the database, which ends with the process and not before.
All processes of one SQLite database share its file system (https://www.sqlite.org/wal.html), so they see these files.
"""

import atexit
import contextlib
import errno
import fcntl
import os
import re
import socket
import tempfile
import threading
from pathlib import Path

from django.db import connection

from isthmus import ids

__all__ = ["forget_dead", "holder_name", "is_dead", "name_holders_after", "new_family", "waits_for_writers"]

_family = ""
_names: dict[int, str] = {}
_held: dict[tuple[int, str], int] = {}
_naming = threading.Lock()


def waits_for_writers() -> bool:
    """Return whether a heartbeat may have to wait for another connection's transaction."""
    return connection.vendor == "sqlite"


def name_holders_after(family: str) -> None:
    """Let this process and those it forks from now on be named `<family>.<pid>`."""
    global _family
    _family = family


def holder_name() -> str:
    """Return this process's name as a holder of leases; on SQLite, hold the lock that proves it alive."""
    pid = os.getpid()
    with _naming:
        if pid not in _names:
            _names.clear()
            _names[pid] = f"{_family or new_family()}.{pid}"
        if waits_for_writers():
            _hold_lock(_names[pid])
        return _names[pid]


def new_family() -> str:
    """Return a name that no other process on any machine has."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:60]
    return f"{host}-{os.getpid()}-{ids.new_token(6)}"


def is_dead(holder: str) -> bool:
    """Return whether the process `holder` has certainly ended. Always False where locks tell nothing."""
    folder = _folder()
    if folder is None or holder == _names.get(os.getpid()):
        return False
    try:
        descriptor = os.open(folder / f"{holder}.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _try_lock(descriptor)
    finally:
        os.close(descriptor)


def forget_dead() -> int:
    """Remove the files of processes that ended; return how many."""
    folder, removed = _folder(), 0
    if folder is None or not folder.exists():
        return 0
    for path in folder.glob("*.lock"):
        if is_dead(path.stem):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _folder() -> Path | None:
    """Return where the lock files are; `None` for a database that no other process can see."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor != "sqlite" or ":memory:" in name or "mode=memory" in name:
        return None
    return Path(f"{name}-holders")


def _hold_lock(holder: str) -> None:
    folder = _folder()
    if folder is None or (os.getpid(), str(folder)) in _held:
        return
    folder.mkdir(exist_ok=True)
    # Locked before it gets its name: under its final name the file is never seen unlocked while the process lives.
    descriptor, unnamed = tempfile.mkstemp(suffix=".new", dir=folder)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    Path(unnamed).rename(folder / f"{holder}.lock")
    # POSIX locks are not inherited by fork, and end when the process closes any descriptor of the file: this one stays.
    _held[os.getpid(), str(folder)] = descriptor
    atexit.register(_remove_lock, os.getpid(), folder / f"{holder}.lock")


def _remove_lock(owner: int, path: Path) -> None:
    if os.getpid() == owner:
        path.unlink(missing_ok=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN}:
            return False
        raise
    with contextlib.suppress(OSError):
        fcntl.lockf(descriptor, fcntl.LOCK_UN)
    return True
