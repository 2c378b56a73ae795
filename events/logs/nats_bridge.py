"""A connection to NATS for code that waits: one event loop in one thread of each process.

The loop is made when it is first needed, so that a process which forks before has one of its own
(https://github.com/nats-io/nats.py is asyncio only).
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

from events.errors import EventLogUnavailable
from isthmus.logs import get_logger

__all__ = ["NatsBridge"]

log = get_logger(__name__)

T = TypeVar("T")

_CONNECT_SECONDS = 5.0
_RECONNECT_SECONDS = 0.2


class NatsBridge:
    """Runs coroutines with a connection; for any number of threads."""

    def __init__(self, servers: list[str], *, timeout_seconds: float) -> None:
        self._servers = servers
        self._timeout = timeout_seconds
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Any = None

    def run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Call `work` with the client (`nats.aio.client.Client`) and return what it returns.

        Raises `EventLogUnavailable` when no server answers in time; what `work` raises otherwise is raised here.
        """
        import nats.errors

        pending = asyncio.run_coroutine_threadsafe(self._run(work), self._running_loop())
        try:
            # The coroutine has its own time limit; this one is for a loop that does not turn any more.
            return pending.result(self._timeout * 2 + _CONNECT_SECONDS)
        except (
            FutureTimeout,
            TimeoutError,
            OSError,
            nats.errors.TimeoutError,
            nats.errors.NoServersError,
            nats.errors.NoRespondersError,
            nats.errors.ConnectionClosedError,
            nats.errors.OutboundBufferLimitError,
        ) as error:
            pending.cancel()
            raise EventLogUnavailable(f"NATS does not answer: {type(error).__name__}.") from error

    def close(self) -> None:
        """Close the connection and end the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or self._process != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(self._close(), loop).result(_CONNECT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CONNECT_SECONDS)
        loop.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._process, self._client = os.getpid(), None
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            return self._loop

    async def _run(self, work: Callable[[Any], Awaitable[T]]) -> T:
        client = await self._connected()
        return await asyncio.wait_for(work(client), self._timeout)

    async def _connected(self) -> Any:
        import nats

        if self._client is None or self._client.is_closed:
            self._client = await nats.connect(
                self._servers,
                connect_timeout=_CONNECT_SECONDS,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_RECONNECT_SECONDS,
                error_cb=_complain,
                allow_reconnect=True,
            )
        return self._client

    async def _close(self) -> None:
        if self._client is not None:
            await self._client.close()


async def _complain(error: Exception) -> None:
    log.warning("events.nats", reason=f"{type(error).__name__}: {error}")
