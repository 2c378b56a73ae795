"""Doors that lead straight to a view, past Django's middleware.

A few threads of the process answer, each with a database connection that it keeps: under ASGI Django would make a
thread for each request and get a connection for each thread. What the middleware does for programs is done here:
correlation, the headers that keep answers safe, and what the door's owner puts around each request.
"""

import asyncio
import tempfile
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import set_script_prefix

from isthmus import clock, correlation
from isthmus.doors import SAFE_HEADERS, Scope, keep_body
from isthmus.logs import get_logger

__all__ = ["ViewDoor"]

log = get_logger(__name__)

_LOOK_AGAIN_SECONDS = 1.0
_BROKEN = b'[{"message":"An unexpected error occurred.","errorCode":"UNKNOWN_EXCEPTION"}]'


class ViewDoor(ABC):
    """An ASGI application."""

    name: str
    """Of its threads, and in the log."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._size = 0
        self._lock = threading.Lock()
        self._local = threading.local()

    @abstractmethod
    def threads(self) -> int:
        """Return how many threads answer; asked once."""

    @abstractmethod
    def most_bytes(self) -> int:
        """Return how many bytes of a body are kept. The request says by `is_cut_off` that there were more."""

    def most_bytes_at(self, path: str) -> int:
        """Return how many bytes are kept at this path after all, once there are more; asked in a thread."""
        return 0

    @abstractmethod
    def around(self) -> AbstractContextManager[object]:
        """Return the context that each request is answered in."""

    @abstractmethod
    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""

    def opens(self, scope: Scope) -> bool:
        """Return whether a request is the door's: one to be redirected to https is Django's."""
        if not settings.SECURE_SSL_REDIRECT or scope.get("scheme") == "https":
            return True
        header, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
        name = header.removeprefix("HTTP_").replace("_", "-").lower().encode()
        return any(key == name and given.decode("latin-1") == value for key, given in scope["headers"])

    def close(self) -> None:
        """End the threads, and with them their connections."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is None:
            return
        # Only a thread itself can close its connections. Each waits for the others, so that none is asked twice.
        together = threading.Barrier(self._size)
        for _ in range(self._size):
            threads.submit(_close_connections, together)
        threads.shutdown(wait=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._pool())
        # On disk where it is large, as Django's own handler keeps it.
        with tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
            try:
                is_whole = await keep_body(
                    receive,
                    body,
                    most=self.most_bytes(),
                    ask_for_more=lambda: in_thread(self._asked_for_more, scope["path"]),
                )
            except RequestAborted:
                return
            body.seek(0)
            status, headers, content = await in_thread(self._answered, scope, body, not is_whole)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._size = self.threads()
                self._threads = ThreadPoolExecutor(self._size, thread_name_prefix=self.name)
            return self._threads

    def _asked_for_more(self, path: str) -> int:
        self._make_connection_good()
        return self.most_bytes_at(path)

    def _answered(self, scope: Any, body: IO[bytes], is_cut_off: bool) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        self._make_connection_good()
        request = ASGIRequest(scope, body)
        request.is_cut_off = is_cut_off  # type: ignore[attr-defined]  # for the view, which refuses it
        set_script_prefix("/")
        with (
            correlation.bind(correlation.accept(request.headers.get(correlation.HEADER))) as correlation_id,
            self.around(),
        ):
            try:
                answer = self.answer(request)
                if isinstance(answer, SimpleTemplateResponse):
                    # A refusal, which nobody has asked for yet.
                    answer.render()
            except Exception:
                # The outermost edge: nothing but the view's own machinery can have failed.
                log.exception("door.failed", door=self.name)
                connections.close_all()
                answer = HttpResponse(_BROKEN, status=500, content_type="application/json;charset=UTF-8")
        for name, value in (*SAFE_HEADERS.items(), (correlation.HEADER, correlation_id)):
            answer.setdefault(name, value)
        content = b"" if request.method == "HEAD" else answer.content
        if request.method != "HEAD" and answer.status_code not in {204, 304}:
            answer["Content-Length"] = str(len(content))
        lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
        return answer.status_code, lines, content

    def _make_connection_good(self) -> None:
        """Replace a connection that the server has closed since it was last used here."""
        now = clock.monotonic_seconds()
        last, self._local.last = getattr(self._local, "last", None), now
        if connection.connection is None:
            return
        is_fresh = last is not None and 0 <= now - last < _LOOK_AGAIN_SECONDS
        if connection.errors_occurred or not (is_fresh or connection.is_usable()):
            connections.close_all()


def _close_connections(together: threading.Barrier) -> None:
    connections.close_all()
    together.wait()
