"""`/live/`: tells open pages what changed, by server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html

In the web process a stream stays open on the event loop, behind a door of its own: between two messages it holds no
thread and no connection of the database. Without ASGI the same address answers a bounded wait, after which the browser
comes back by itself. Each message's id tells the marks of what the page shows, so whoever comes back with
`Last-Event-ID` is told at once what changed meanwhile, also by a process that was started since.
"""

import asyncio
import io
import json
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.asgi import ASGIRequest
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from isthmus import clock
from isthmus.access.sign_in.middleware import SignInMiddleware
from isthmus.console import access
from isthmus.console.conf import options
from isthmus.console.errors import LiveRefused
from isthmus.console.live import as_id, board, from_id, known_names
from isthmus.view_doors import ViewDoor

__all__ = ["PREFIX", "LiveDoor", "live"]

PREFIX = "/live/"

_CONTENT_TYPE = "text/event-stream"
_RETRY_MILLISECONDS = 1_000
_POLL_SECONDS = 20.0
_BEAT = b": beat\n\n"


def _asked_names(request: HttpRequest) -> tuple[str, ...]:
    return known_names(name for given in request.GET.getlist("names") for name in given.split(","))


def _told(request: HttpRequest) -> dict[str, str]:
    """Return the marks that the page knows. A page that opens its stream anew cannot set the header."""
    return from_id(request.headers.get("Last-Event-ID", "") or request.GET.get("last", ""))


def _admitted(request: HttpRequest) -> HttpResponse:
    """Answer 200 for whoever may look, and a refusal for everybody else."""
    if not request.user.is_authenticated:
        return _refusal(401, "SESSION_ENDED", "Sign in first.")
    if not access.may(request.user, "view"):
        return _refusal(403, "INSUFFICIENT_ACCESS", "The grant console.view is missing.")
    try:
        _asked_names(request)
    except LiveRefused as refused:
        return _refusal(refused.status, refused.code, refused.message)
    return HttpResponse(content_type=_CONTENT_TYPE, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


def _refusal(status: int, code: str, message: str) -> HttpResponse:
    body = json.dumps([{"message": message, "errorCode": code}])
    answer = HttpResponse(body, status=status, content_type="application/json;charset=UTF-8")
    if status == 503:
        answer["Retry-After"] = "30"
    return answer


def _message(event: str, names: Iterable[str], marks: Mapping[str, str]) -> bytes:
    return f"id: {as_id(marks)}\nevent: {event}\ndata: {' '.join(names)}\n\n".encode()


def _news(told: Mapping[str, str], marks: Mapping[str, str]) -> bytes:
    """Return the message that brings a page from the marks it knows to these; b"" when it knows them."""
    if not told:
        # The page read its rows before it listened: it reads them once more.
        return _message("here", (), marks)
    changed = sorted(name for name, mark in marks.items() if told.get(name) != mark)
    return _message("changed", changed, marks) if changed else b""


@require_safe
def live(request: HttpRequest) -> HttpResponseBase:
    """Wait a while for a change of what the page shows, and tell it."""
    answer = _admitted(request)
    if answer.status_code != 200 or request.method == "HEAD":
        return answer
    try:
        poll = _Poll(_asked_names(request), _told(request))
    except LiveRefused as refused:
        return _refusal(refused.status, refused.code, refused.message)
    return StreamingHttpResponse(poll, content_type=_CONTENT_TYPE, headers={"Cache-Control": "no-store"})


class _Poll:
    """One bounded wait. It counts as an open stream until it is closed, even if nobody ever reads it."""

    def __init__(self, names: tuple[str, ...], told: Mapping[str, str]) -> None:
        self._names, self._known = names, told
        self._stirred = threading.Event()
        self._open = ExitStack()
        self._open.enter_context(board.watching(names, self._stirred.set))

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            marks = board.marks(self._names)
            news = _news(self._known, marks)
            if not news:
                if not connection.in_atomic_block:
                    connections.close_all()
                self._stirred.wait(_POLL_SECONDS)
                news = _news(self._known, {**marks, **board.known_marks(self._names)})
            yield news or _BEAT
        finally:
            self.close()

    def close(self) -> None:
        """Count no longer."""
        self._open.close()


class LiveDoor(ViewDoor):
    """An ASGI application that keeps streams open."""

    name = "live"

    def __init__(self) -> None:
        super().__init__()
        self._store = import_module(settings.SESSION_ENGINE).SessionStore
        self._hears_the_end = False

    def threads(self) -> int:
        return 2

    def most_bytes(self) -> int:
        return 0

    def around(self) -> AbstractContextManager[object]:
        return nullcontext()

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer 200 for whoever may look. The session is read and never written: watching is no use of it."""
        try:
            if request.method not in {"GET", "HEAD"}:
                return _refusal(405, "METHOD_NOT_ALLOWED", "Live streams are read with GET.")
            request.session = self._store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
            request.user = get_user(request)
            answer = SignInMiddleware(_admitted)(request)
            assert isinstance(answer, HttpResponse)  # noqa: S101 - for the type checker: the view is not a coroutine
            # To the second factor there is no way from here.
            return _refusal(401, "SESSION_ENDED", "Sign in first.") if answer.status_code == 302 else answer
        finally:
            # Between two streams nothing is kept.
            connections.close_all()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._pool())
        status, headers, content = await in_thread(self._answered, scope, io.BytesIO(), False)
        if status != 200 or scope["method"] == "HEAD":
            await _send_whole(send, status, headers, content)
            return
        request = _Asked(scope)
        loop, stirred = asyncio.get_running_loop(), asyncio.Event()
        self._hear_the_end(loop)

        def wake() -> None:
            # The loop may have been closed by the end of the process.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(stirred.set)

        with ExitStack() as stack:
            try:
                stack.enter_context(board.watching(request.names, wake))
            except LiveRefused as refused:
                await _send_refusal(send, refused)
                return

            async def is_still_admitted() -> bool:
                status, _, _ = await in_thread(self._answered, scope, io.BytesIO(), False)
                return bool(status == 200)

            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [line for line in headers if line[0] != b"content-length"],
                }
            )
            pieces = self._pieces(request, stirred, is_still_admitted)
            await _first_to_end(_heard_going(receive), _sent(send, pieces))

    def _hear_the_end(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the streams when the process is asked to end: servers wait for open requests, some of them for ever."""
        if self._hears_the_end or threading.current_thread() is not threading.main_thread():
            return
        self._hears_the_end = True
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            # Where nobody handles the signal it ends the process by itself.
            if callable(before):
                signal.signal(number, partial(_end_streams, loop, before))

    async def _pieces(
        self, asked: "_Asked", stirred: asyncio.Event, is_still_admitted: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._pool())
        known = asked.told
        marks = await in_thread(_fresh_marks, asked.names)
        next_look = clock.monotonic_seconds() + options.live_heartbeat_seconds
        while True:
            if news := _news(known, marks):
                known = marks
                yield news
            with suppress(TimeoutError):
                await asyncio.wait_for(stirred.wait(), max(0.0, next_look - clock.monotonic_seconds()))
            stirred.clear()
            if board.is_ending:
                return
            if clock.monotonic_seconds() >= next_look:
                if not await is_still_admitted():
                    return
                yield _BEAT
                next_look = clock.monotonic_seconds() + options.live_heartbeat_seconds
            marks = {**marks, **board.known_marks(asked.names)}


def _end_streams(
    loop: asyncio.AbstractEventLoop, before: Callable[[int, FrameType | None], object], number: int, frame: Any
) -> None:
    """End every stream, then do what the server does with the signal. No lock may be asked for here."""
    board.is_ending = True
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(board.wake_all)
    before(number, frame)


class _Asked:
    """What an admitted request asks for."""

    def __init__(self, scope: Any) -> None:
        request = ASGIRequest(scope, io.BytesIO())
        self.names = _asked_names(request)
        self.told = _told(request)


def _fresh_marks(names: tuple[str, ...]) -> dict[str, str]:
    try:
        return board.marks(names)
    finally:
        connections.close_all()


async def _send_whole(send: Any, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _send_refusal(send: Any, refused: LiveRefused) -> None:
    answer = _refusal(refused.status, refused.code, refused.message)
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.items()]
    await _send_whole(send, answer.status_code, lines, answer.content)


async def _sent(send: Any, pieces: AsyncIterator[bytes]) -> None:
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _heard_going(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_to_end(*all_of_them: Any) -> None:
    """Wait for the first of them to end, and end the others."""
    tasks = [asyncio.ensure_future(each) for each in all_of_them]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
