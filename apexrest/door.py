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
from typing import IO, Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, connections
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import set_script_prefix

from apexrest.conf import options
from apexrest.views import EndpointView
from callouts import limits
from isthmus import clock, correlation
from isthmus.logs import get_logger

__all__ = ["PREFIX", "Door", "opens"]

log = get_logger(__name__)

PREFIX = "/services/apexrest/"

# What Django's middleware adds to answers of programs, too.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LOOK_AGAIN_SECONDS = 1.0
_BROKEN = b'[{"message":"An unexpected error occurred.","errorCode":"UNKNOWN_EXCEPTION"}]'


class Door:
    """An ASGI application."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._view: Callable[..., Any] = EndpointView.as_view()
        self._local = threading.local()

    def close(self) -> None:
        """End the threads, and with them their connections."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            # Each thread closes its own; one that is asked twice has nothing left to close.
            for _ in range(options.threads):
                threads.submit(connections.close_all)
            threads.shutdown(wait=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        with await _body(receive) as body:
            status, headers, content = await loop.run_in_executor(self._pool(), self._answered, scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="endpoint")
            return self._threads

    def _answered(self, scope: Any, body: IO[bytes]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        self._make_connection_good()
        request = ASGIRequest(scope, body)
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
        for name, value in (*_SAFE.items(), (correlation.HEADER, correlation_id)):
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


def opens(scope: Any) -> bool:
    """Return whether a request is the door's: one to be redirected to https is Django's."""
    if not settings.SECURE_SSL_REDIRECT or scope.get("scheme") == "https":
        return True
    header, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    name = header.removeprefix("HTTP_").replace("_", "-").lower().encode()
    return any(key == name and given.decode("latin-1") == value for key, given in scope["headers"])


async def _body(receive: Any) -> IO[bytes]:
    """Return the body, on disk where it is large, as Django's own handler keeps it; the view says how much it takes."""
    body = tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE)  # noqa: SIM115 - the caller's
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body.write(message.get("body", b""))
        if not message.get("more_body"):
            break
    body.seek(0)
    return body
