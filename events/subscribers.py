"""Subscribers, declared in an app's `subscribers.py`.

    @subscriber("Order_Ready__e")
    def ship(events: list[Event]) -> None:
        for event in events:
            Shipment.objects.create(order_number=event.payload["Order_Number__c"])

What the function writes to the database and the place up to which it has read commit together, so its effects there
happen exactly once. Effects elsewhere belong into jobs that it enqueues.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from events import registry
from events.errors import InvalidSubscriber
from events.names import topic_name

__all__ = ["Event", "Subscriber", "subscriber"]

MAX_BATCH_SIZE = 2_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """A published event."""

    replay_id: int
    """Its place in the log: rises, with gaps, over all topics."""
    event_uuid: uuid.UUID
    topic: str
    """The topic it was published to; for readers of `/data/ChangeEvents` that of the object."""
    schema_id: str
    payload: dict[str, Any]
    """Values by API name: texts, numbers, true/false, `None`; dates and times as texts."""
    created_at: datetime
    """When it was published, or the record changed."""
    correlation_id: str
    transaction_key: uuid.UUID
    """The same for all events of one database transaction."""
    sequence_number: int
    """Place within that transaction, from 1."""


Handler = Callable[[list[Event]], object]


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """A function that handles the events of a topic."""

    name: str
    topic: str
    handler: Handler
    batch_size: int
    start: Literal["earliest", "latest"]

    @property
    def declared_in(self) -> str:
        """Dotted path of the function."""
        return _path_of(self.handler)


def subscriber(
    topic: str,
    *,
    batch_size: int = 2_000,
    name: str | None = None,
    start: Literal["earliest", "latest"] = "latest",
) -> Callable[[Handler], Handler]:
    """Let the function handle a topic's events in the order of their replay ids, from the bus, never two at a time.

    `topic` is an event (`Order_Ready__e`), an object's change event (`ContactChangeEvent`), all of these
    (`ChangeEvents`) or a full topic name. The function gets at most `batch_size` events at once, all of one
    correlation, which is bound while it runs. It acts as the system user, in a transaction that its cursor shares. If
    it raises, what it wrote is rolled back and the same events come again after a delay that doubles; nothing is
    skipped.

    `name` (the function's dotted path by default) is the identity of the subscription: it keeps its place as long as
    the name stays. A new subscription begins at `start`: with the oldest kept event, or with what comes from now on.

    Raises `InvalidSubscriber` when the declaration makes no sense.
    """
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise InvalidSubscriber(f"The batch size is 1 to {MAX_BATCH_SIZE}, not {batch_size}.")
    if start not in {"earliest", "latest"}:
        raise InvalidSubscriber(f"A subscription starts at 'earliest' or 'latest', not {start!r}.")
    full_topic = topic_name(topic)

    def register(handler: Handler) -> Handler:
        registry.register_subscriber(
            Subscriber(
                name=name or _path_of(handler), topic=full_topic, handler=handler, batch_size=batch_size, start=start
            )
        )
        return handler

    return register


def _path_of(handler: Handler) -> str:
    return f"{handler.__module__}.{getattr(handler, '__qualname__', type(handler).__qualname__)}"
