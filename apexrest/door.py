"""The door that calls of endpoints come through in the web process: straight to the view, past Django's middleware.

A few threads of the process answer, each with a database connection that it keeps: under ASGI Django would make a
thread for each request and get a connection for each thread. What the middleware does for programs is done here:
correlation, limits on callouts, the headers that keep answers safe.
"""

import asyncio
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, connections
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import set_script_prefix

from apexrest import registry
from apexrest.admission import limits_in_force
from apexrest.conf import options
from apexrest.views import EndpointView
from callouts import limits
from isthmus import clock, correlation
from isthmus.doors import SAFE_HEADERS, keep_body
from isthmus.logs import get_logger

__all__ = ["PREFIX", "Door", "opens"]

log = get_logger(__name__)

PREFIX = "/services/apexrest/"

_LOOK_AGAIN_SECONDS = 1.0
_BROKEN = b'[{"message":"An unexpected error occurred.","errorCode":"UNKNOWN_EXCEPTION"}]'


class Door:
    """An ASGI application."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._size = 0
        self._lock = threading.Lock()
        self._view: Callable[..., Any] = EndpointView.as_view()
        self._local = threading.local()

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
                    most=options.max_body_bytes,
                    ask_for_more=lambda: in_thread(self._most_taken, scope["path"]),
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
                self._size = options.threads
                self._threads = ThreadPoolExecutor(self._size, thread_name_prefix="endpoint")
            return self._threads

    def _most_taken(self, path: str) -> int:
        """Return how many bytes the resource at `path` takes in a body."""
        self._make_connection_good()
        matched = registry.match(path.removeprefix(PREFIX))
        if matched is None:
            return 0
        return limits_in_force(matched.resource.mapping, matched.resource.limits).max_body_bytes or 0

    def _answered(self, scope: Any, body: IO[bytes], is_cut_off: bool) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        self._make_connection_good()
        request = ASGIRequest(scope, body)
        request.is_cut_off = is_cut_off  # type: ignore[attr-defined]  # for the view, which refuses it
        set_script_prefix("/")
        with (
            correlation.bind(correlation.accept(request.headers.get(correlation.HEADER))) as correlation_id,
            limits.transaction_context(),
        ):
            try:
                answer: HttpResponse = self._view(request, path=request.path_info.removeprefix(PREFIX))
                if isinstance(answer, SimpleTemplateResponse):
                    # A refusal that no resource's log has asked for yet.
                    answer.render()
            except Exception:
                # The outermost edge: nothing but the view's own machinery can have failed.
                log.exception("endpoint.door_failed")
                connections.close_all()
                answer = HttpResponse(_BROKEN, status=500, content_type="application/json;charset=UTF-8")
        for name, value in (*SAFE_HEADERS.items(), (correlation.HEADER, correlation_id)):
            answer.setdefault(name, value)
        if request.method != "HEAD" and answer.status_code not in {204, 304}:
            answer["Content-Length"] = str(len(answer.content))
        lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
        return answer.status_code, lines, answer.content

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


def opens(scope: Any) -> bool:
    """Return whether a request is the door's: one to be redirected to https is Django's."""
    if not settings.SECURE_SSL_REDIRECT or scope.get("scheme") == "https":
        return True
    header, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    name = header.removeprefix("HTTP_").replace("_", "-").lower().encode()
    return any(key == name and given.decode("latin-1") == value for key, given in scope["headers"])
