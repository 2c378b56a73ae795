"""The list of endpoints."""

from apexrest.pages import EndpointRow, endpoint_rows
from isthmus.console.listings import Column, ShortListing, register_listing

__all__ = ["ENDPOINTS", "register"]

ENDPOINTS: ShortListing[EndpointRow] = ShortListing(
    name="endpoints",
    label="API endpoints",
    url_name="apexrest_pages:endpoints",
    all_rows=endpoint_rows,
    columns=(
        Column("method", "Method", lambda row: row[1]),
        Column("endpoint", "Endpoint", lambda row: row[0].mapping),
        Column("title", "Title", lambda row: row[0].title),
        Column("repeatable", "Repeatable", lambda row: row[3]),
        Column("calls", "Calls, 24 h", lambda row: row[2].requests if row[2] else 0),
        Column("refused", "Refused", lambda row: row[2].refused if row[2] else 0),
        Column("failed", "Failed", lambda row: row[2].failed if row[2] else 0),
        Column("average_milliseconds", "Average (ms)", lambda row: round(row[2].average, 1) if row[2] else None),
        Column("slowest_milliseconds", "Slowest (ms)", lambda row: row[2].slowest if row[2] else None),
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(ENDPOINTS)
