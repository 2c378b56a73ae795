"""Tells partners of a changed record: a callout that leaves with the transaction of whoever asks for it."""

from typing import Any

import callouts
from callouts import http
from events.subscribers import Event

__all__ = ["tell"]


def tell(operation: str, url: str, event: Event) -> None:
    """Queue one callout for each record of a change event; `{id}` in `url` stands for the record's id."""
    header = event.payload["ChangeEventHeader"]
    for record_id in header["recordIds"]:
        callouts.enqueue(
            operation,
            http.Request(method="PUT", url=url, path={"id": record_id}, json=_changed(event.payload)),
            record=record_id,
            # The event is the same however often it is delivered, so the other side acts on it once.
            idempotency_key=f"{event.event_uuid}-{record_id}",
            in_order=True,
        )


def _changed(payload: dict[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in payload.items() if name != "ChangeEventHeader" and value is not None}
    return {"change": payload["ChangeEventHeader"]["changeType"], **fields}
