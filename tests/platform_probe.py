"""A web application that tells which `platform` module the server's process sees."""

import platform
from collections.abc import Awaitable, Callable
from typing import Any

import isthmus


async def application(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """Answer every request with two paths, a line each."""
    if scope["type"] != "http":
        return
    body = f"{platform.__file__}\n{isthmus.__file__}\n".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
