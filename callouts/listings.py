"""The lists of exchanges and of named credentials."""

from typing import Any

from callouts.console import listed, status_of, title_of
from callouts.credential_views import listed_credentials, shown_rows
from callouts.models import IntegrationLogEntry
from callouts.views import LogFilters
from credentials.models import NamedCredential
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


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(INTEGRATION_LOG, NAMED_CREDENTIALS)
