"""Publishing platform events: checked, counted, and written to the outbox."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from django.db import transaction

from events import outbox, schemas, topics, usage
from events.avro import AvroSchema
from events.conf import options
from events.errors import PayloadProblem
from events.fields import format_datetime
from events.json_text import encode
from events.outbox import StagedEvent
from events.publishers import publisher_id
from isthmus import causes, clock, correlation
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

    @property
    def publishes_immediately(self) -> bool:
        """Whether it is kept even if the publisher's transaction is rolled back."""

    def payload(self) -> tuple[dict[str, Any], list[PayloadProblem]]:
        """Return the fields as they are kept, and everything that is wrong with them."""


@dataclass(frozen=True, kw_only=True)
class PublishResult:
    """What became of one event."""

    success: bool
    """Whether it is accepted: committed, or as soon as the caller's transaction is, and then never lost."""
    event_uuid: uuid.UUID
    """The id by which subscribers know it."""
    errors: tuple[PayloadProblem, ...] = ()


def publish(events: Sequence[Publishable], *, user: Any = None, all_or_none: bool = False) -> list[PublishResult]:
    """Publish; return one result an event, in order.

    An event whose definition says *after commit* is in the outbox with the caller's transaction, and gone with it;
    outside a transaction, and for those that say *immediately*, it is committed when this returns.

    Every payload is checked before anything is written. Events with problems are left out and their results say why;
    with `all_or_none` one of them keeps all others back too. A call that would exceed an allocation is refused as a
    whole. With `user` the permission sets of that user must grant publishing (raises `PermissionRefused` otherwise);
    `None` publishes as whoever acts now (`acting_as`), unchecked.
    """
    if user is not None:
        for name in {event.event_name for event in events}:
            policy.require(user, "event", "publish", name)
    now = clock.now()
    by, created = publisher_id(user), format_datetime(now)
    checked = [_check(event, by, created) for event in events]
    refused = [problems for *_, problems in checked if problems]
    holds_back = all_or_none and bool(refused)
    sound = (
        [] if holds_back else [(event, text) for event, (text, found) in zip(events, checked, strict=True) if not found]
    )
    beyond = _beyond_allocation(len(sound))
    if sound and not beyond:
        _write(sound, now)
    if refused or beyond:
        log.warning("events.refused", count=len(refused) or len(sound), first=(refused or [beyond])[0][0].message)
    kept_back = (_KEPT_BACK,) if holds_back else tuple(beyond)
    return [
        PublishResult(
            success=not (problems or kept_back), event_uuid=event.event_uuid, errors=tuple(problems) or kept_back
        )
        for event, (_, problems) in zip(events, checked, strict=True)
    ]


_KEPT_BACK = PayloadProblem(
    code="ALL_OR_NONE_OPERATION_ROLLED_BACK", message="Not published because another event of the call was refused."
)


def _check(event: Publishable, by: str, created: str) -> tuple[str, list[PayloadProblem]]:
    """Return the payload as it is kept, and everything that is wrong with it."""
    fields, problems = event.payload()
    payload = encode({"CreatedDate": created, "CreatedById": by, **fields})
    # A character has at most four bytes: a short text need not be encoded to be known as small enough.
    if len(payload) * 4 > options.max_event_bytes and _size(payload) > options.max_event_bytes:
        message = f"The event has {_size(payload)} bytes, at most {options.max_event_bytes} are taken."
        problems = [*problems, PayloadProblem(code="LIMIT_EXCEEDED", message=message)]
    return payload, problems


def _size(payload: str) -> int:
    return len(payload.encode())


def _beyond_allocation(wanted: int) -> list[PayloadProblem]:
    used_up = usage.take(wanted) if wanted else None
    if used_up is None:
        return []
    message = (
        f"{used_up.label} allocation: {used_up.limit:,} events, {used_up.remaining:,} left, {wanted:,} asked for. "
        f"It begins anew at {format_datetime(used_up.window_ends_at)}."
    )
    return [PayloadProblem(code="LIMIT_EXCEEDED", message=message)]


def _write(sound: Sequence[tuple[Publishable, str]], now: datetime) -> None:
    correlation_id, cause = correlation.current_or_new(), causes.current()
    in_transaction = transaction.get_connection().in_atomic_block
    after_commit: list[StagedEvent] = []
    immediately: list[StagedEvent] = []
    for event, payload in sound:
        goes_alone = in_transaction and event.publishes_immediately
        row = StagedEvent(
            event.event_uuid,
            # What is made here goes with the transaction; an event that does not must find it there.
            topics.existing_id(event.topic) if goes_alone else topics.topic_id(event.topic),
            schemas.existing(event.schema) if goes_alone else schemas.keep(event.schema),
            payload,
            _size(payload),
            correlation_id,
            cause,
            now,
        )
        (immediately if goes_alone else after_commit).append(row)
    if after_commit:
        outbox.stage(after_commit)
    if immediately:
        outbox.side_door().write(immediately)
