"""The shell's own lists: everything that is connected, and every limit."""

from collections.abc import Iterator

from isthmus.access.limits import Limit, all_limits
from isthmus.console.connections import Connection, all_connections
from isthmus.console.listings import Column, ShortListing, register_listing

__all__ = ["CONNECTIONS", "LIMITS", "register"]


def _connections() -> Iterator[Connection]:
    for lines in all_connections().values():
        yield from lines


CONNECTIONS: ShortListing[Connection] = ShortListing(
    name="connections",
    label="Connections",
    url_name="console:connections",
    all_rows=_connections,
    columns=(
        Column("kind", "Kind", lambda row: row.kind),
        Column("connection", "Connection", lambda row: row.name),
        Column("detail", "Detail", lambda row: row.detail),
        Column("state", "State", lambda row: row.status),
        Column("last_success_at", "Last success", lambda row: row.last_success_at),
        Column("last_failure_at", "Last failure", lambda row: row.last_failure_at),
        Column("failure", "Failure", lambda row: row.failure),
        Column("p95_milliseconds", "p95, 24 h (ms)", lambda row: None if row.p95_ms is None else round(row.p95_ms, 1)),
        Column("uses", "Uses, 24 h", lambda row: row.number),
    ),
)

LIMITS: ShortListing[Limit] = ShortListing(
    name="limits",
    label="Limits",
    url_name="console:limits",
    all_rows=all_limits,
    columns=(
        Column("group", "Group", lambda row: row.group),
        Column("limit", "Limit", lambda row: row.label),
        Column("used", "Used", lambda row: row.used if row.used is None else round(row.used, 2)),
        Column("maximum", "Maximum", lambda row: row.maximum),
        Column("unit", "Unit", lambda row: row.unit),
        Column("percent", "Used (%)", lambda row: None if row.percent is None else round(row.percent, 1)),
        Column("per", "For", lambda row: row.per),
        Column("begins_anew_at", "Begins anew", lambda row: row.begins_anew_at),
        Column("setting", "Set by", lambda row: row.setting),
        Column("when_reached", "At the end", lambda row: row.when_reached),
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(CONNECTIONS, LIMITS)
