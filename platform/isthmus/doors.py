"""Doors of the web process beside Django's: small ASGI applications for what comes by the hundreds a second.

An app registers a door when it is ready; whatever begins with the door's prefix goes through it, and through none of
Django's middleware. The same addresses must work in Django, too, which is how they are reached without ASGI.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import IO, Any

from django.core.exceptions import RequestAborted

from isthmus.api_paths import collapse_slashes

__all__ = ["SAFE_HEADERS", "AsgiApplication", "Scope", "behind_doors", "keep_body", "register_door"]

SAFE_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What Django's middleware adds to answers of programs, too."""

Scope = MutableMapping[str, Any]
AsgiApplication = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

Opens = Callable[[Scope], bool]
_doors: dict[str, tuple[AsgiApplication, Opens]] = {}


def register_door(prefix: str, application: AsgiApplication, opens: Opens = lambda _: True) -> None:
    """Send requests whose path begins with `prefix`, and for which the door `opens`, to `application`."""
    _doors[prefix] = application, opens


async def keep_body(
    receive: Callable[[], Awaitable[Any]],
    into: IO[bytes],
    *,
    most: int,
    ask_for_more: Callable[[], Awaitable[int]] | None = None,
) -> bool:
    """Write a request's body to `into`; return whether that was all of it.

    `most`: bytes after which nothing is kept. What comes then is still read to its end, so that the answer is heard.
    `ask_for_more`: is asked once, when there is more, how much may be kept after all.
    Raises `RequestAborted` when the caller goes away before the end: half a request is none, and nobody would hear.
    """
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestAborted("The caller went away before the body had come.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > most and ask_for_more is not None:
            most, ask_for_more = await ask_for_more(), None
        if size <= most:
            into.write(piece)
        if not message.get("more_body"):
            return size <= most


def behind_doors(otherwise: AsgiApplication) -> AsgiApplication:
    """Return the application that looks for a door first."""

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = collapse_slashes(scope["path"])
            meant = scope if path == scope["path"] else {**scope, "path": path}
            for prefix, (door, opens) in _doors.items():
                if path.startswith(prefix) and opens(meant):
                    await door(meant, receive, send)
                    return
        await otherwise(scope, receive, send)

    return application
