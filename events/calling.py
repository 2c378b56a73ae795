"""Calls a subscriber's function: as which user, under which correlation, in a savepoint of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction
from django.db.transaction import Atomic

from events import channels, field_access
from events.errors import InvalidResumePoint, SubscriberBrokeTransaction, UnknownRunAsUser
from events.subscribers import Event, Subscriber
from isthmus import causes, correlation
from isthmus.access.policy import system_user
from isthmus.objects.capture import acting_as

__all__ = ["Call", "Delivery", "call", "current_delivery", "forget", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """What became of a call."""

    handled: int
    """How many of the events, from the first on, are dealt with; their effects are kept."""
    error: Exception | None = None
    """Why the others are not; `None` also when the function asked for them again."""


class Delivery:
    """What a subscriber's function may ask and say about the call that it is in."""

    def __init__(
        self,
        events: Sequence[Event],
        *,
        called_with: Sequence[Event],
        retries: int,
        last_error: str,
        block: "_Block",
    ) -> None:
        self.events = events
        self.retries = retries
        """How often these events were tried before."""
        self.last_error = last_error
        """Why the last try failed; "" in the first."""
        self._block = block
        self._places = {event.replay_id: place for place, event in enumerate(called_with, start=1)}
        self.resumed_after = 0
        """How many events are dealt with, whatever comes."""

    def resume_after(self, event: Event) -> None:
        """Keep what was done so far: whatever becomes of this call, the next one begins after `event`.

        If the function then returns early, without an error, the remaining events come again, in a call of their own.
        Raises `InvalidResumePoint` for an event that is not of this call or is before an earlier resume point, and
        inside an `atomic()` block of the function's own.
        """
        place = self._places.get(event.replay_id, 0)
        if place <= self.resumed_after:
            raise InvalidResumePoint("A resume point is an event of this call, after any earlier resume point.")
        if event != self._last_told_as(event.replay_id):
            raise InvalidResumePoint("A resume point is the last of the events into which one was told apart.")
        self._block.keep()
        self.resumed_after = place

    def _last_told_as(self, replay_id: int) -> Event | None:
        """Return the last event of this replay id: a channel may tell one apart into several."""
        return next((event for event in reversed(self.events) if event.replay_id == replay_id), None)


_current: ContextVar[Delivery | None] = ContextVar("isthmus_delivery", default=None)


def current_delivery() -> Delivery:
    """Return the call that a subscriber's function is in. Raises `LookupError` outside one."""
    found = _current.get()
    if found is None:
        raise LookupError("No subscriber is being called.")
    return found


def call(subscriber: Subscriber, events: Sequence[Event], *, retries: int, last_error: str = "") -> Call:
    """Call the function with those of the events that it wants; an event that it does not want is dealt with.

    Nothing of a failure stays, but what came before a resume point.
    """
    if not events:
        return Call(handled=0)
    block = _Block()
    delivery: Delivery | None = None
    try:
        user = _run_as(subscriber)
        seen = field_access.visible_to(user, channels.narrowed(subscriber.topic, events))
        delivery = Delivery(seen, called_with=events, retries=retries, last_error=last_error, block=block)
        with (
            correlation.bind(_common_correlation(events)),
            causes.bind(_cause(events)),
            acting_as(user, origin=""),
            block,
            _bound(delivery),
        ):
            # A filter that raises fails the call as the function would, so its event is found and parked.
            if wanted := [event for event in seen if subscriber.wants(event)]:
                subscriber.handler(wanted)
            if transaction.get_rollback():
                raise SubscriberBrokeTransaction
    except Exception as error:
        # Whatever a subscriber raises is its failure, to be recorded and tried again; unless the connection is gone,
        # then nothing can be recorded here.
        if connection.connection is None or connection.needs_rollback or not connection.is_usable():
            raise
        return Call(handled=delivery.resumed_after if delivery else 0, error=error)
    return Call(handled=delivery.resumed_after or len(events))


class _Block:
    """A savepoint that can be released and begun anew in the middle."""

    def __init__(self) -> None:
        self._atomic: Atomic = transaction.atomic()
        self._depth = 0

    def __enter__(self) -> None:
        self._atomic.__enter__()
        self._depth = len(connection.savepoint_ids)

    def __exit__(self, *raised: object) -> None:
        self._atomic.__exit__(*raised)  # type: ignore[arg-type]  # handed on as it came

    def keep(self) -> None:
        """Make sure that a later error undoes nothing of what was done so far."""
        if len(connection.savepoint_ids) != self._depth:
            raise InvalidResumePoint("A resume point cannot be set inside an atomic() block of the function's own.")
        if transaction.get_rollback():
            raise SubscriberBrokeTransaction
        self._atomic.__exit__(None, None, None)
        self._atomic = transaction.atomic()
        self._atomic.__enter__()


@contextmanager
def _bound(delivery: Delivery) -> Iterator[None]:
    token = _current.set(delivery)
    try:
        yield
    finally:
        _current.reset(token)


def _common_correlation(events: Sequence[Event]) -> str:
    """Return the correlation of these events, "" (a new one) when they belong to several."""
    first = events[0].correlation_id
    return first if all(event.correlation_id == first for event in events) else ""


def _cause(events: Sequence[Event]) -> str:
    """Return what everything that the function does comes from: the first to the last of the events."""
    first, last = events[0].replay_id, events[-1].replay_id
    return f"event:{first}" if first == last else f"event:{first}-{last}"


_system_user: AbstractUser | None = None


def prepare(subscriber: Subscriber) -> None:
    """Before the transaction of a delivery: find out what does not depend on it."""
    global _system_user
    # The system user never goes; but in a test's transaction it was perhaps made there.
    if not subscriber.run_as and _system_user is None and not connection.in_atomic_block:
        _system_user = system_user()


def forget() -> None:
    """Ask the database again (its tables were emptied)."""
    global _system_user
    _system_user = None


def _run_as(subscriber: Subscriber) -> AbstractUser:
    if not subscriber.run_as:
        return _system_user or system_user()
    user = get_user_model().objects.filter(username=subscriber.run_as, is_active=True).first()
    if user is None:
        raise UnknownRunAsUser(f"{subscriber.name} runs as {subscriber.run_as!r}, which is no active user.")
    field_access.require_subscribe(user, subscriber.topic)
    return user
