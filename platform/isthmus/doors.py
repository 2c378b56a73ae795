"""Doors of the web process beside Django's: small ASGI applications for what comes by the hundreds a second.

An app registers a door when it is ready; whatever begins with the door's prefix goes through it, and through none of
Django's middleware. The same addresses must work in Django, too, which is how they are reached without ASGI.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["AsgiApplication", "behind_doors", "register_door"]

Scope = MutableMapping[str, Any]
AsgiApplication = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]

Opens = Callable[[Scope], bool]
_doors: dict[str, tuple[AsgiApplication, Opens]] = {}


def register_door(prefix: str, application: AsgiApplication, opens: Opens = lambda _: True) -> None:
    """Send requests whose path begins with `prefix`, and for which the door `opens`, to `application`."""
    _doors[prefix] = application, opens


def behind_doors(otherwise: AsgiApplication) -> AsgiApplication:
    """Return the application that looks for a door first."""

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            for prefix, (door, opens) in _doors.items():
                if path.startswith(prefix) and opens(scope):
                    await door(scope, receive, send)
                    return
        await otherwise(scope, receive, send)

    return application
