"""The lists of exchanges and of named credentials."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from callouts import integration_log
from callouts.conf import options
from callouts.console import listed, status_of, title_of
from callouts.credential_views import listed_credentials, shown_rows
from callouts.models import IntegrationLogEntry, Outcome, Resolution
from callouts.views import LogFilters
from credentials.models import NamedCredential
from isthmus import clock
from isthmus.console.bulk import BulkAct, register_acts
from isthmus.console.listings import Column, QueryListing, register_listing

__all__ = ["INTEGRATION_LOG", "NAMED_CREDENTIALS", "register"]

INTEGRATION_LOG: QueryListing[IntegrationLogEntry, IntegrationLogEntry] = QueryListing(
    name="integration-log",
    label="Integration log",
    url_name="callouts:log",
    rows=listed,
    filters=LogFilters,
    moment="started_at",
    columns=(
        Column("id", "Id", lambda entry: entry.pk),
        Column("exchange", "Exchange", title_of),
        Column("direction", "Direction", lambda entry: entry.direction),
        Column("method", "Method", lambda entry: entry.method),
        Column("url", "Address", lambda entry: entry.url),
        Column("outcome", "Outcome", status_of),
        Column("status_code", "Status", lambda entry: entry.status_code),
        Column("error_code", "Error", lambda entry: entry.error_code),
        Column("named_credential", "Named credential", lambda entry: entry.named_credential),
        Column("record_id", "Record", lambda entry: entry.record_id),
        Column("correlation_id", "Correlation", lambda entry: entry.correlation_id),
        Column("attempt", "Attempt", lambda entry: entry.attempt),
        Column("milliseconds", "Took (ms)", lambda entry: entry.duration_ms),
        Column("began_at", "Began", lambda entry: entry.started_at),
        Column("resolution", "Resolution", lambda entry: entry.resolution),
    ),
)
NAMED_CREDENTIALS: QueryListing[NamedCredential, dict[str, Any]] = QueryListing(
    name="named-credentials",
    label="Named credentials",
    url_name="named_credentials:list",
    rows=listed_credentials,
    moment=None,
    prepare=shown_rows,
    columns=(
        Column("name", "Name", lambda row: row["named"].name),
        Column("label", "System", lambda row: str(row["named"])),
        Column("state", "State", lambda row: row["status"]),
        Column("breaker", "Circuit breaker", lambda row: row["breaker"] or ""),
        Column("success", "Success, 24 h", lambda row: row["success_percent"]),
        Column("authentication", "Authentication", lambda row: row["protocol"]),
        Column("external_credential", "External credential", lambda row: str(row["named"].external_credential)),
        Column("url", "Address", lambda row: row["named"].url),
        Column("last_success_at", "Last success", lambda row: row["used_at"]),
    ),
)


def _undecided() -> Q:
    """Return what waits for somebody's judgement here: what may still be under way has an end of its own to come."""
    began_before = clock.now() - timedelta(seconds=options.max_timeout_seconds)
    has_ended = Q(duration_ms__isnull=False) | Q(started_at__lt=began_before)
    return has_ended & Q(outcome=Outcome.IN_DOUBT, resolution="", queued_callout_id=None)


def _resolve(entry: IntegrationLogEntry, user: User, resolution: Resolution) -> str:
    is_resolved = integration_log.resolve(entry, resolution, note="decided in bulk", actor=user)
    return "" if is_resolved else "It is not in doubt any more."


_ACTS: tuple[BulkAct[IntegrationLogEntry], ...] = tuple(
    BulkAct(
        name=resolution.value.replace("_", "-"),
        label=label,
        icon=icon,
        told=f"Each exchange in doubt is noted as decided: {resolution.label.lower()}.",
        suits=_undecided,
        perform=partial(_resolve, resolution=resolution),
        is_grave=True,
    )
    for resolution, label, icon in (
        (Resolution.ACTED, "It acted", "check"),
        (Resolution.NOT_ACTED, "It did not act", "cross"),
        (Resolution.NO_MATTER, "No matter", "ban"),
    )
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(INTEGRATION_LOG, NAMED_CREDENTIALS)
    register_acts(INTEGRATION_LOG.name, *_ACTS)
