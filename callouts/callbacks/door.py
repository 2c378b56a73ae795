"""The door that callbacks come through in the web process: straight to the intake, past Django's middleware.

Everything that waits while a batch is in the database makes the next batch, so that batches are as large as they need
to be and nobody waits for one to fill up. One thread of the process, with a database connection of its own, works.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from io import BytesIO
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote

from django.core.exceptions import RequestAborted
from django.db import close_old_connections, connections
from requests.structures import CaseInsensitiveDict

from callouts.callbacks import intake
from callouts.callbacks.conf import options
from callouts.callbacks.inbox import Delivery
from callouts.callbacks.intake import Arrival, Told
from callouts.external_services.document.reading import storable
from isthmus import correlation
from isthmus.doors import SAFE_HEADERS, keep_body
from isthmus.logs import get_logger

__all__ = ["PREFIX", "Door"]

log = get_logger(__name__)

PREFIX = "/services/callbacks/"

_BUSY = Told(
    status=503,
    headers={"Content-Type": "application/json", "Retry-After": "1"},
    body=b'[{"message": "Too many callbacks wait. Come again.", "errorCode": "SERVER_UNAVAILABLE"}]',
)
_BROKEN = Told(
    status=500,
    headers={"Content-Type": "application/json"},
    body=b'[{"message": "The callback could not be processed.", "errorCode": "CALLBACK_FAILED"}]',
)

_Waiting: TypeAlias = "tuple[Arrival, asyncio.AbstractEventLoop, asyncio.Future[Told]]"
_IDLE_SECONDS = 20.0


class Door:
    """An ASGI application."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._wanted = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def close(self) -> None:
        """Let what waits be answered, and end the thread with its connection."""
        with self._wanted:
            thread, self._is_closing = self._thread, True
            self._wanted.notify()
        if thread is not None:
            thread.join()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            arrival = await _arrival(scope, receive)
        except RequestAborted:
            return
        told = await self._taken(arrival)
        headers = {**SAFE_HEADERS, **told.headers, correlation.HEADER: arrival.correlation_id}
        lines = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        lines.append((b"content-length", str(len(told.body)).encode()))
        await send({"type": "http.response.start", "status": told.status, "headers": lines})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else told.body})

    async def _taken(self, arrival: Arrival) -> Told:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Told] = loop.create_future()
        with self._wanted:
            if len(self._waiting) >= options.intake_waiting:
                return _BUSY
            self._waiting.append((arrival, loop, future))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="callback intake", daemon=True)
                self._thread.start()
            self._wanted.notify()
        return await future

    def _work(self) -> None:
        try:
            while batch := self._next():
                close_old_connections()
                told = self._told([arrival for arrival, _, _ in batch])
                for (_, loop, future), one in zip(batch, told, strict=True):
                    try:
                        loop.call_soon_threadsafe(_settle, future, one)
                    except RuntimeError:
                        # The server is going down. The callback is kept all the same.
                        log.info("callback.nobody_listens")
        finally:
            connections.close_all()

    def _next(self) -> list[_Waiting]:
        """Return what waits; nothing, and the thread's end, when nothing has come for a while."""
        with self._wanted:
            while not self._waiting:
                if self._is_closing or not self._wanted.wait(_IDLE_SECONDS):
                    if self._waiting:
                        break
                    self._thread = None
                    return []
            most = min(len(self._waiting), options.intake_batch)
            return [self._waiting.popleft() for _ in range(most)]

    def _told(self, arrivals: Sequence[Arrival]) -> list[Told]:
        try:
            return intake.take(arrivals)
        except Exception:
            log.exception("callback.intake_failed", callbacks=len(arrivals))
            close_old_connections()
        if len(arrivals) == 1:
            return [_BROKEN]
        # Perhaps one of them only, perhaps the database: each learns by itself.
        return [one for arrival in arrivals for one in self._told([arrival])]


def _settle(future: "asyncio.Future[Told]", told: Told) -> None:
    if not future.done():
        future.set_result(told)


async def _arrival(scope: Any, receive: Any) -> Arrival:
    # What is no UTF-8, or holds U+0000, names nothing of ours, and has to be filed all the same.
    path = storable(scope["path"].encode(errors="replace").decode())
    token, _, after = path.removeprefix(PREFIX).partition("/")
    name, slash, rest = after.partition("/")
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for key, value in scope["headers"]:
        headers[key.decode("latin-1")] = value.decode("latin-1")
    query: bytes = scope.get("query_string", b"")
    text = query.decode("latin-1")
    delivery = Delivery(
        name=name,
        rest=slash + rest,
        method=scope["method"],
        headers=headers,
        query=dict(parse_qsl(text, keep_blank_values=True)),
        query_text=text,
        body=await _body(headers.get("Content-Length", ""), receive),
    )
    raw = scope.get("raw_path") or path.encode()
    full = storable(raw.decode("latin-1")) + (f"?{text}" if text else "")
    given = correlation.accept(headers.get(correlation.HEADER))
    return Arrival(token=unquote(token), delivery=delivery, path=full, correlation_id=given)


async def _body(declared: str, receive: Any) -> bytes | None:
    """Return the body, or `None` if it is larger than we take."""
    most = options.max_body_bytes
    if declared.isdecimal() and int(declared) > most:
        most = 0
    body = BytesIO()
    return body.getvalue() if await keep_body(receive, body, most=most) else None
