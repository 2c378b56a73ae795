"""Wakes other processes when there is something to do. What is not heard costs time, never work: listeners also poll.

On PostgreSQL this is LISTEN and NOTIFY; a notification leaves with the commit of its transaction. On SQLite, whose
processes are all on one machine, listeners take datagrams on the loopback interface and leave their port in a folder
beside the database.
"""

import atexit
import contextlib
import os
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from isthmus import clock
from isthmus.transaction_marks import TransactionMark

__all__ = ["LIVELY_SECONDS", "Listener", "is_due", "listen", "notification", "ring"]

LIVELY_SECONDS = 0.06
"""How long whoever was woken, or found something, looks again in short intervals."""

_QUIET_SECONDS = 0.02
_rung_at: dict[str, float] = {}
"""Channel → when this process rang it last."""

_PREFIX = "isthmus_"
_PENDING = "isthmus_pending_rings"


def ring(channel: str, using: str = "default") -> None:
    """Wake whoever listens to `channel` (letters and underscores) once the open transaction has committed."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # On its own it need not wait for the disk: there is nothing in it that could be lost.
            cursor.execute(notification(channel) if connection.in_atomic_block else _lone_notification(channel))
    elif connection.vendor == "sqlite":
        # Once a transaction is enough, as PostgreSQL has it.
        pending: dict[str, TransactionMark[None]] = vars(connection).setdefault(_PENDING, {})
        if channel not in pending or not pending[channel].is_in_force():
            pending[channel] = TransactionMark(connection, None)
            transaction.on_commit(lambda: _send(connection, channel), using=using)


def notification(channel: str) -> str:
    """Return the statement that rings on PostgreSQL, for whoever sends it along with others."""
    return f"NOTIFY {_PREFIX}{channel}"


def _lone_notification(channel: str) -> str:
    return f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{_PREFIX}{channel}', '')"


def is_due(channel: str) -> bool:
    """Return whether it is time to ring a channel again for a commit that follows at once; it counts as rung then.

    A ring costs a commit on PostgreSQL more than the commit of a row. Who was woken looks for a while by itself
    (`LIVELY_SECONDS`), so one ring in a shorter time is enough.
    """
    now = clock.monotonic_seconds()
    if now - _rung_at.get(channel, -LIVELY_SECONDS) < _QUIET_SECONDS:
        return False
    _rung_at[channel] = now
    return True


class Listener(ABC):
    """Hears one or more channels. Not for several threads at a time."""

    @abstractmethod
    def wait(self, timeout_seconds: float) -> set[str]:
        """Return which channel was rung, as soon as one was; an empty set when the time is over, or a bit earlier."""

    @abstractmethod
    def close(self) -> None:
        """Cease to listen."""


def listen(*channels: str, using: str = "default") -> Listener:
    """Begin to listen. What is rung from now on is heard."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        return _PostgresListener(connection, channels)
    if connection.vendor == "sqlite":
        return _DatagramListener(connection, channels)
    return _DeafListener()


class _DeafListener(Listener):
    """Hears nothing: the one who waits has to look by itself."""

    def wait(self, timeout_seconds: float) -> set[str]:
        threading.Event().wait(timeout_seconds)
        return set()

    def close(self) -> None:
        """There is nothing to close."""


class _PostgresListener(Listener):
    def __init__(self, connection: BaseDatabaseWrapper, channels: tuple[str, ...]) -> None:
        import psycopg

        parameters: dict[str, Any] = dict(connection.get_connection_params())
        # A connection of its own, for as long as it listens; not one of the pool's, which are handed on.
        for name in ("pool", "cursor_factory", "context", "server_side_binding"):
            parameters.pop(name, None)
        self._connection = psycopg.connect(**parameters, autocommit=True)
        for channel in channels:
            self._connection.execute(f"LISTEN {_PREFIX}{channel}".encode())

    def wait(self, timeout_seconds: float) -> set[str]:
        notices = self._connection.notifies(timeout=timeout_seconds, stop_after=1)
        return {notice.channel.removeprefix(_PREFIX) for notice in notices}

    def close(self) -> None:
        self._connection.close()


class _DatagramListener(Listener):
    def __init__(self, connection: BaseDatabaseWrapper, channels: tuple[str, ...]) -> None:
        self._channels = set(channels)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        folder = _folder(connection)
        folder.mkdir(exist_ok=True)
        _remove_dead(folder)
        self._file = folder / f"{self._socket.getsockname()[1]}-{os.getpid()}"
        self._file.touch()

    def wait(self, timeout_seconds: float) -> set[str]:
        self._socket.settimeout(timeout_seconds)
        try:
            rung = self._socket.recv(200).decode("ascii", "replace")
        except TimeoutError:
            return set()
        return {rung} & self._channels

    def close(self) -> None:
        self._file.unlink(missing_ok=True)
        self._socket.close()


class _Ports:
    """The ports of a folder, read again when the folder has changed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._changed_at = 0
        self._ports: list[int] = []
        self._socket: socket.socket | None = None

    def send(self, folder: Path, message: bytes) -> None:
        try:
            changed_at = folder.stat().st_mtime_ns
        except OSError:
            return  # Nobody has ever listened.
        if (folder, changed_at) != (self._folder, self._changed_at):
            names = [entry.name.partition("-")[0] for entry in folder.iterdir()]
            self._ports = [int(name) for name in names if name.isdecimal()]
            self._folder, self._changed_at = folder, changed_at
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            atexit.register(self._socket.close)
        for port in self._ports:
            # A full buffer: whoever reads there is awake anyway.
            with contextlib.suppress(OSError):
                self._socket.sendto(message, ("127.0.0.1", port))


_ports = _Ports()


def _send(connection: BaseDatabaseWrapper, channel: str) -> None:
    _ports.send(_folder(connection), channel.encode())


def _folder(connection: BaseDatabaseWrapper) -> Path:
    return Path(f"{connection.settings_dict['NAME']}-listeners")


def _remove_dead(folder: Path) -> None:
    """Remove what killed processes left behind, where the system tells which processes there are."""
    if not Path("/proc/self").exists():
        return
    for entry in list(folder.iterdir()):
        process = entry.name.rpartition("-")[2]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            entry.unlink(missing_ok=True)
