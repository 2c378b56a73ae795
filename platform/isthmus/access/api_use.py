"""Counts the requests to the API: how many in 24 hours against what is allowed, and who calls what.

A process gathers counts for a moment and adds them to the rows of the hour in one statement, so that counting costs
next to nothing; one that is killed loses the counts of that moment, never a request. The limit is as exact as that.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError, connection, connections, models, transaction
from django.http import HttpResponseBase

from isthmus import clock
from isthmus.access.conf import AccessOptions
from isthmus.access.errors import ApiLimitReached
from isthmus.access.limits import Limit
from isthmus.access.models import ApiClient, ApiUse
from isthmus.logs import get_logger
from isthmus.remembering import Remembered

__all__ = [
    "HEADER",
    "Call",
    "allowance",
    "flush",
    "forget",
    "limits",
    "note",
    "old",
    "requests_in_24_hours",
    "require_allowance",
    "set_limit_info",
]

log = get_logger(__name__)

HEADER = "Sforce-Limit-Info"
_WINDOW = timedelta(hours=24)
_options = AccessOptions()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One answered request."""

    surface: str
    """Which part of the API: `apexrest`, `data`, …"""
    target: str
    """What was called, such as `POST /v1/orders/*`."""
    user: AbstractUser | None
    client: ApiClient | None
    status: int
    milliseconds: int


_Key = tuple[datetime, str, str, int | None, int | None]


class _Tally:
    """Counts that are not written yet. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[_Key, list[int]] = {}
        self._since = clock.monotonic_seconds()
        self._timer: threading.Timer | None = None
        self._written: Remembered[str, int] = Remembered(lambda: _options.use_flush_seconds, most=1)

    def add(self, call: Call) -> None:
        hour = clock.now().replace(minute=0, second=0, microsecond=0)
        key = (
            hour,
            call.surface,
            call.target[:300],
            call.user.pk if call.user is not None else None,
            call.client.pk if call.client is not None else None,
        )
        with self._lock:
            counts = self._counts.setdefault(key, [0, 0, 0, 0, 0])
            counts[0] += 1
            counts[1] += 400 <= call.status < 500
            counts[2] += call.status >= 500
            counts[3] += call.milliseconds
            counts[4] = max(counts[4], call.milliseconds)
            # A clock that tests have moved back is no reason to wait.
            waited = abs(clock.monotonic_seconds() - self._since)
            is_due = waited >= _options.use_flush_seconds
            if not is_due and self._timer is None:
                # For the last ones, when nothing more comes.
                self._timer = threading.Timer(_options.use_flush_seconds, self._flush_alone)
                self._timer.daemon = True
                self._timer.start()
        if is_due:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            counts = self._taken()
            self._since = clock.monotonic_seconds()
        if not counts:
            return
        try:
            _add_to_rows(counts)
        except DatabaseError:
            log.exception("api_use.not_counted", requests=sum(found[0] for found in counts.values()))
        self._written.forget()

    def _flush_alone(self) -> None:
        try:
            self.flush()
        finally:
            connections.close_all()

    def _taken(self) -> dict[_Key, list[int]]:
        """Return the counts, and begin anew. The lock is held."""
        counts, self._counts = self._counts, {}
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return counts

    def used(self) -> int:
        with self._lock:
            waiting = sum(counts[0] for counts in self._counts.values())
        return waiting + self._written.get("", _written_in_24_hours)

    def forget(self) -> None:
        with self._lock:
            self._taken()
        self._written.forget()


_tally = _Tally()


def note(call: Call) -> None:
    """Count a request that was answered."""
    _tally.add(call)


def flush() -> None:
    """Write what was counted in this process and is not written yet."""
    _tally.flush()


def forget() -> None:
    """Drop what was counted and not written (for tests)."""
    _tally.forget()


def allowance() -> int:
    """Return how many requests may be answered within 24 hours."""
    return _options.daily_api_requests


def old() -> models.QuerySet[ApiUse]:
    """Return the counts that are kept no longer (`ISTHMUS_ACCESS_USE_KEEP_DAYS`)."""
    return ApiUse.objects.filter(hour__lt=clock.now() - timedelta(days=_options.use_keep_days))


def requests_in_24_hours() -> int:
    """Return how many requests the API answered in the last 24 hours, as far as this process knows."""
    return _tally.used()


def limits() -> list[Limit]:
    """Return the allowance and how much of it is used."""
    return [
        Limit(
            group="API",
            label="Requests to the API",
            maximum=allowance(),
            used=requests_in_24_hours(),
            per="24 hours, all clients together",
            setting="ISTHMUS_ACCESS_DAILY_API_REQUESTS",
            when_reached="Requests are answered with 403 REQUEST_LIMIT_EXCEEDED until older ones are a day ago.",
            names=("DailyApiRequests",),
        )
    ]


def require_allowance() -> None:
    """Return if another request may be answered. Raises `ApiLimitReached`."""
    if requests_in_24_hours() >= allowance():
        raise ApiLimitReached


def set_limit_info(response: HttpResponseBase) -> None:
    """Tell in the answer how much of the allowance is used, in the only form that every client reads."""
    limit = allowance()
    response[HEADER] = f"api-usage={min(requests_in_24_hours() + 1, limit)}/{limit}"


def _written_in_24_hours() -> int:
    since = clock.now() - _WINDOW
    return int(ApiUse.objects.filter(hour__gt=since).aggregate(total=models.Sum("requests"))["total"] or 0)


def _add_to_rows(counts: Mapping[_Key, Iterable[int]]) -> None:
    """Add to the hours' rows; the statement is the same on both databases."""
    table = connection.ops.quote_name(ApiUse._meta.db_table)
    columns = "hour, surface, target, user_id, client_id, requests, refused, failed, milliseconds, slowest"
    added = ("requests", "refused", "failed", "milliseconds")
    latest = "GREATEST" if connection.vendor == "postgresql" else "MAX"
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in added)
    statement = (
        f"INSERT INTO {table} ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "  # noqa: S608 - our names
        f"ON CONFLICT (hour, surface, target, user_id, client_id) DO UPDATE SET {sums}, "
        f"slowest = {latest}({table}.slowest, excluded.slowest)"
    )
    # In one order, so that two processes do not wait for each other's rows.
    rows = [
        (connection.ops.adapt_datetimefield_value(hour), surface, target, user or 0, client or 0, *numbers)
        for (hour, surface, target, user, client), numbers in sorted(
            counts.items(), key=lambda item: tuple(str(part) for part in item[0])
        )
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(statement, rows)
