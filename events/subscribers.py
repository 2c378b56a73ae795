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
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from events import registry
from events.errors import InvalidSubscriber, Retryable
from events.filters import parse_filter
from events.names import topic_name
from isthmus import correlation

__all__ = ["Event", "Retryable", "Subscriber", "subscriber"]

MAX_BATCH_SIZE = 2_000

_CHOICES = {
    "start": ("earliest", "latest"),
    "on_poison": ("park", "stop"),
    "on_expired": ("stop", "earliest", "latest"),
}


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
    is_gap: bool = False
    """Whether it stands for events that are no longer kept: see `on_expired`. Its payload says which ones."""

    def bound(self) -> AbstractContextManager[str]:
        """Bind the event's correlation, for functions whose calls have events of several."""
        return correlation.bind(self.correlation_id)


Handler = Callable[[list[Event]], object]
Filter = Callable[[Event], bool]


@dataclass(frozen=True, kw_only=True)
class Subscriber:
    """A function that handles the events of a topic."""

    name: str
    topic: str
    handler: Handler
    batch_size: int
    start: Literal["earliest", "latest"]
    filter: Filter | None
    one_correlation: bool
    run_as: str
    on_poison: Literal["park", "stop"]
    on_expired: Literal["stop", "earliest", "latest"]
    filter_expression: str = ""
    """The filter as it was written, where it is an expression."""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= MAX_BATCH_SIZE:
            raise InvalidSubscriber(f"The batch size is 1 to {MAX_BATCH_SIZE}, not {self.batch_size}.")
        for option, known in _CHOICES.items():
            if getattr(self, option) not in known:
                raise InvalidSubscriber(f"{option} is one of {', '.join(known)}, not {getattr(self, option)!r}.")

    def wants(self, event: Event) -> bool:
        """Return whether the function is to get the event; gaps always."""
        return event.is_gap or self.filter is None or self.filter(event)

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
    filter: Filter | str | None = None,  # noqa: A002 - the field's word for it
    one_correlation: bool = True,
    run_as: str = "",
    on_poison: Literal["park", "stop"] = "park",
    on_expired: Literal["stop", "earliest", "latest"] = "stop",
) -> Callable[[Handler], Handler]:
    """Let the function handle a topic's events in the order of their replay ids, from the bus, never two at a time.

    `topic` is an event (`Order_Ready__e`), an object's change event (`ContactChangeEvent`), all of these
    (`ChangeEvents`) or a full topic name. The function gets at most `batch_size` events at once for which `filter` is
    true (a function, or an expression such as `Amount__c > 100`), in a transaction that its cursor shares. With
    `one_correlation` they are all of one correlation, which is bound while it runs; without it calls are larger, and
    `event.bound()` binds the correlation of each. It acts as `run_as` (a user name; the automated process by default)
    and gets the fields that this user may read.

    If it raises, what it wrote is rolled back and the same events come again after a delay that doubles: after
    `Retryable` up to nine times, after any other error up to three. Then the events that make it fail are looked for
    by bisection and parked, and the stream goes on; with `on_poison="stop"` it stops there.

    `on_expired` says what happens when events that it has not handled are no longer kept: it stops; or it goes on with
    the earliest, after a gap event; or with what comes from now on.

    `name` (the function's dotted path by default) is the identity of the subscription: it keeps its place as long as
    the name stays. A new subscription begins at `start`: with the oldest kept event, or with what comes from now on.

    Raises `InvalidSubscriber` or `InvalidFilter` when the declaration makes no sense.
    """
    full_topic = topic_name(topic)

    def register(handler: Handler) -> Handler:
        registry.register_subscriber(
            Subscriber(
                name=name or _path_of(handler),
                topic=full_topic,
                handler=handler,
                batch_size=batch_size,
                start=start,
                filter=_as_function(filter),
                one_correlation=one_correlation,
                run_as=run_as,
                on_poison=on_poison,
                on_expired=on_expired,
                filter_expression=filter if isinstance(filter, str) else "",
            )
        )
        return handler

    return register


def _as_function(given: Filter | str | None) -> Filter | None:
    if not isinstance(given, str):
        return given
    takes = parse_filter(given).takes
    return lambda event: takes(event.payload)


def _path_of(handler: Handler) -> str:
    return f"{handler.__module__}.{getattr(handler, '__qualname__', type(handler).__qualname__)}"
