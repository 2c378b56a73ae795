"""Publishing platform events: into the outbox, in the caller's transaction.

Nothing leaves before that transaction commits, and nothing remains of it when it is rolled back.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import transaction

from events import schemas
from events.avro import AvroSchema
from events.conf import options
from events.errors import PayloadProblem
from events.fields import format_datetime
from events.models import OutboxEvent
from events.publishers import publisher_id
from events.transactions import current_transaction
from isthmus import clock, correlation
from isthmus.access import policy
from isthmus.logs import get_logger

__all__ = ["PublishResult", "Publishable", "publish"]

log = get_logger(__name__)


class Publishable(Protocol):
    """What the bus needs to know of an event."""

    event_uuid: uuid.UUID

    @property
    def event_name(self) -> str:
        """The API name, such as `Order_Ready__e`."""

    @property
    def topic(self) -> str:
        """The name of the topic, such as `/event/Order_Ready__e`."""

    @property
    def schema(self) -> AvroSchema:
        """The schema of the payload."""

    def payload(self) -> tuple[dict[str, Any], list[PayloadProblem]]:
        """Return the fields as they are kept, and everything that is wrong with them."""


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """What became of one event."""

    success: bool
    """Whether it will be in the log once the transaction has committed."""
    event_uuid: uuid.UUID
    """The id by which subscribers know it."""
    errors: tuple[PayloadProblem, ...] = ()


def publish(events: Sequence[Publishable], *, user: Any = None, all_or_none: bool = False) -> list[PublishResult]:
    """Publish after commit; return one result an event, in order.

    Every payload is checked before anything is written. Events with problems are left out and their results say why;
    with `all_or_none` one of them keeps all others back too. With `user` the permission sets of that user must grant
    publishing (raises `PermissionRefused` otherwise); `None` publishes as whoever acts now (`acting_as`), unchecked.
    """
    if user is not None:
        for name in {event.event_name for event in events}:
            policy.require(user, "event", "publish", name)
    now = clock.now()
    by = publisher_id(user)
    checked = [_check(event, by, format_datetime(now)) for event in events]
    refused = [problems for _, problems in checked if problems]
    holds_back = all_or_none and bool(refused)
    if not holds_back:
        _write([(event, kept) for event, (kept, problems) in zip(events, checked, strict=True) if not problems])
    if refused:
        log.warning("events.refused", count=len(refused), first=refused[0][0].message)
    return [
        PublishResult(
            success=not problems and not holds_back,
            event_uuid=event.event_uuid,
            errors=tuple(problems) or ((_KEPT_BACK,) if holds_back else ()),
        )
        for event, (_, problems) in zip(events, checked, strict=True)
    ]


_KEPT_BACK = PayloadProblem(
    code="ALL_OR_NONE_OPERATION_ROLLED_BACK", message="Not published because another event of the call was refused."
)


def _check(event: Publishable, by: str, created: str) -> tuple[dict[str, Any], list[PayloadProblem]]:
    fields, problems = event.payload()
    payload = {"CreatedDate": created, "CreatedById": by, **fields}
    size = len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if size > options.max_event_bytes:
        problems = [
            *problems,
            PayloadProblem(
                code="LIMIT_EXCEEDED",
                message=f"The event has {size} bytes, at most {options.max_event_bytes} are taken.",
            ),
        ]
    return payload, problems


def _write(wanted: Sequence[tuple[Publishable, dict[str, Any]]]) -> None:
    if not wanted:
        return
    correlation_id = correlation.current_or_new()
    with transaction.atomic(savepoint=False):
        key = current_transaction()
        schema_ids = {schema: schemas.keep(schema) for schema in {event.schema for event, _ in wanted}}
        OutboxEvent.objects.bulk_create(
            OutboxEvent(
                event_uuid=event.event_uuid,
                topic=event.topic,
                schema_id=schema_ids[event.schema],
                payload=payload,
                transaction_key=key.key,
                ordinal=ordinal,
                correlation_id=correlation_id,
            )
            for (event, payload), ordinal in zip(wanted, key.take_ordinals(len(wanted)), strict=True)
        )
