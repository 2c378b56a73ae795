"""Checks of the set-up that only the whole of it shows."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from callouts.queue.conf import options

__all__ = ["check_pool", "warnings_of"]

_OTHERS = 4
"""Connections that a worker needs besides: its rounds, its heartbeat, the taking of callouts, one to spare."""


def check_pool(app_configs: Sequence[Any] | None = None, **_: Any) -> list[CheckMessage]:
    """Warn when a worker's threads would wait for connections to PostgreSQL."""
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    return warnings_of(options.threads, pool["max_size"] if isinstance(pool, dict) else None)


def warnings_of(threads: int, connections: int | None) -> list[CheckMessage]:
    """Return what to say of so many threads with so many connections; `None`: as many as are wanted."""
    if connections is None or threads + _OTHERS <= connections:
        return []
    return [
        checks.Warning(
            f"A worker sends with {threads} threads and has {connections} connections to the database.",
            hint=f"Set ISTHMUS_DATABASE_POOL_SIZE to at least {threads + _OTHERS}.",
            id="callout_queue.W001",
        )
    ]
