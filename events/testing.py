"""Events inside a test: no bus process, no waiting.

def test_an_order_that_is_ready_is_shipped(db, event_bus):
    OrderReady(order_number="A1").publish()
    event_bus.deliver()
    assert Shipment.objects.get().order_number == "A1"
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from events import outbox, registry
from events.actions import synchronise
from events.delivery import deliver_batch
from events.json_text import encode
from events.logs import DatabaseEventLog, EventLog, NewEvent, Retention
from events.logs.base import Ends
from events.models import OutboxEvent, Subscription
from events.names import topic_kind, topic_name
from events.relay import Relay
from events.subscribers import Event, Subscriber
from isthmus import clock

__all__ = ["EventBus", "MemoryEventLog", "SubscriberFailed", "event_bus", "subscribed"]


class SubscriberFailed(AssertionError):
    """A subscriber raised; the message says which one and what."""


class EventBus:
    """What the fixture `event_bus` gives."""

    def __init__(self, event_log: EventLog) -> None:
        self.log = event_log

    def relay(self) -> None:
        """Move what was published into the log, without delivering it."""
        Relay(self.log).move_all()

    def deliver(self, *, raise_errors: bool = True) -> int:
        """Relay, and run every subscriber until nothing is left, what they publish themselves included.

        Returns how many events were handled. Raises `SubscriberFailed` when one failed, unless told not to.
        """
        synchronise(self.log)
        handled = 0
        while True:
            self.relay()
            now_handled = sum(deliver_batch(self.log, subscriber) for subscriber in registry.all_subscribers())
            handled += now_handled
            if not now_handled:
                break
        failed = Subscription.objects.exclude(last_error="").first()
        if failed is not None and raise_errors:
            raise SubscriberFailed(f"{failed.name}: {failed.last_error}")
        return handled

    def published(self, name: str) -> list[dict[str, Any]]:
        """Return the payloads published to an event or topic so far, relayed or not, oldest first.

        Change events are there once they are relayed.
        """
        topic = topic_name(name)
        relayed = [event.payload for event in self._kept(topic)]
        waiting = OutboxEvent.objects.filter(topic__name=topic).order_by("id").values_list("payload", flat=True)
        return [*relayed, *waiting]

    def _kept(self, topic: str) -> Iterator[Event]:
        after = self.log.earliest(topic)
        while found := self.log.read(topic, after=after, limit=2_000):
            yield from found
            after = found[-1].replay_id


@pytest.fixture
def event_bus(db: None) -> Iterator[EventBus]:
    """Relays and delivers in the test's process; what is published immediately goes with the test's transaction."""
    made = EventBus(DatabaseEventLog())
    synchronise(made.log)
    with outbox.use(outbox.SameTransaction()):
        yield made


@contextmanager
def subscribed(handler: Any, topic: str, **given: Any) -> Iterator[Subscriber]:
    """Let `handler` subscribe to `topic` while the block runs, from now on; options as for `subscriber`."""
    from events.subscribers import subscriber

    with registry.register_temporarily():
        before = set(registry.all_subscribers())
        subscriber(topic, **given)(handler)
        (made,) = set(registry.all_subscribers()) - before
        synchronise()
        yield made


class MemoryEventLog(EventLog):
    """An event log in the memory of this process: it keeps the promises of the interface and nothing else."""

    def __init__(self) -> None:
        self._events: list[tuple[datetime, Event]] = []
        self._last = 0
        self._known: dict[str, Ends] = {}

    def append(self, events: Sequence[NewEvent]) -> list[int]:
        replay_ids = {event.event_uuid: event.replay_id for _, event in self._events}
        self.ensure_topics({event.topic for event in events})
        for new in events:
            if new.event_uuid in replay_ids:
                continue
            self._last += 1
            replay_ids[new.event_uuid] = self._last
            # Readers are not told where an event came from.
            told = {name: value for name, value in vars(new).items() if name != "cause"}
            self._events.append((clock.now(), Event(replay_id=self._last, **told)))
            self._known[new.topic] = self._known[new.topic]._replace(last=self._last)
        return [replay_ids[event.event_uuid] for event in events]

    def find(self, replay_id: int) -> Event | None:
        return next((event for _, event in self._events if event.replay_id == replay_id), None)

    def newest(self) -> int:
        return self._last

    def _read(self, topics: Sequence[str], *, after: int, limit: int) -> tuple[list[Event], Mapping[str, Ends]]:
        found = (event for _, event in self._events if event.replay_id > after and event.topic in topics)
        return list(found)[:limit], self._ends(topics)

    def _ends(self, topics: Iterable[str]) -> Mapping[str, Ends]:
        return {topic: self._known[topic] for topic in topics if topic in self._known}

    def _newest_before(self, topics: Sequence[str], moment: datetime) -> int | None:
        older = [event.replay_id for at, event in self._events if at < moment and event.topic in topics]
        return max(older, default=None)

    def _change_topics(self) -> Iterable[str]:
        return [topic for topic in self._known if topic_kind(topic) == "data"]

    def trim(self, topic: str, rule: Retention, *, limit: int, kept_after: int | None = None) -> int:
        of_topic = [(at, event) for at, event in self._events if event.topic == topic]
        surplus = sum(_size(event) for _, event in of_topic) - (rule.bytes_kept or 0) if rule.bytes_kept else 0
        removed = []
        for at, event in of_topic[:limit]:
            held = kept_after is not None and event.replay_id > kept_after
            if held or not (at < rule.before or surplus > 0):
                break
            surplus -= _size(event)
            removed.append(event)
        if removed:
            self._known[topic] = self._known[topic]._replace(trimmed=removed[-1].replay_id)
        self._events = [(at, event) for at, event in self._events if event not in removed]
        return len(removed)

    def check(self, topic: str) -> int:
        return self.recount(topic)

    def recount(self, topic: str) -> int:
        # Nobody else reaches this memory.
        self.latest(topic)
        return 0

    def ensure_topics(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._known.setdefault(topic, Ends(0, 0))


def _size(event: Event) -> int:
    return len(encode(event.payload).encode())
