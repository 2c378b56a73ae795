"""Callouts of async code: made in threads of their own, so that the event loop goes on."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections

from callouts.conf import options

__all__ = ["outside_the_loop"]

T = TypeVar("T")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


async def outside_the_loop(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call `function` in a thread, within the caller's context (limits, correlation, acting user); return its value.

    The threads are the callouts' own, so that slow systems do not use up those that Django's async views share. A
    caller that is cancelled meanwhile leaves the callout to its time limit; the log tells how it ended.
    """
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor(), lambda: context.run(_called, function, args, kwargs))


def _called(function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        # No request ends in this thread, so nothing else closes what its age or an error has made useless.
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()


def _executor() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=options.async_threads, thread_name_prefix="callouts-async")
        return _pool
