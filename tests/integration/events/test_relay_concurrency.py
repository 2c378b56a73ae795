"""Two relays that both believe they lead, many writers, and a reader who trusts the numbers."""

import random
import threading
from collections import Counter

import pytest
from django.db import connection, connections, transaction

from events import bus
from events.logs import DatabaseEventLog
from events.models import EventLogEntry, OutboxEvent
from events.relay import Relay

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS, TRANSACTIONS, RELAYS = 6, 12, 2
TOPIC = "/event/Counted__e"


class Commits:
    """Lets a writer hold its transaction open until another one has committed meanwhile."""

    def __init__(self):
        self._condition = threading.Condition()
        self._count = 0

    def committed(self):
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for_another(self):
        with self._condition:
            before = self._count
            # The limit is for the writers that are the last ones.
            self._condition.wait_for(lambda: self._count > before, timeout=0.3)


class Threads:
    """Runs functions in threads with connections of their own, and tells what they raised."""

    def __init__(self):
        self.errors = []
        self._threads = []

    def start(self, function, *arguments):
        def run():
            try:
                function(*arguments)
            except Exception as error:
                self.errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self):
        for thread in self._threads:
            thread.join(90)
        assert self.errors == []


def write(event_class, writer, commits, row_ids):
    chance = random.Random(writer)
    for number in range(TRANSACTIONS):
        with transaction.atomic():
            events = [
                event_class(number=writer * 1000 + number, note=f"{place}") for place in range(chance.randint(1, 4))
            ]
            bus.publish(events[:1])
            # SQLite has one writer at a time: nobody can commit while this transaction is open.
            if connection.vendor != "sqlite" and chance.random() < 0.5:
                commits.wait_for_another()
            bus.publish(events[1:])
            first = OutboxEvent.objects.get(event_uuid=events[0].event_uuid)
            row_ids[first.transaction_key] = (first.pk, [event.event_uuid for event in events])
        commits.committed()


def relay_until(over):
    relay = Relay(DatabaseEventLog())
    while True:
        was_over = over.is_set()
        if not relay.move() and was_over:
            return


def read_until(over, found):
    log, cursor = DatabaseEventLog(), 0
    while True:
        was_over = over.is_set()
        events = log.read(TOPIC, after=cursor, limit=7)
        found.extend(event.event_uuid for event in events)
        if events:
            cursor = events[-1].replay_id
        elif was_over:
            return


def test_numbers_become_visible_in_their_order_and_no_event_is_lost_or_doubled(counted, event_bus, settings):
    settings.ISTHMUS_EVENTS_RELAY_BATCH_SIZE = 9
    written, relayed = threading.Event(), threading.Event()
    commits, row_ids, found = Commits(), {}, []
    writers, others = Threads(), Threads()
    for writer in range(WRITERS):
        writers.start(write, counted, writer, commits, row_ids)
    relays = [others.start(relay_until, written) for _ in range(RELAYS)]
    others.start(read_until, relayed, found)
    writers.join()
    written.set()
    for thread in relays:
        thread.join(90)
    relayed.set()
    others.join()

    entries = list(EventLogEntry.objects.order_by("replay_id"))
    # The reader only ever looked beyond the last number it knew, and missed nothing.
    assert found == [entry.event_uuid for entry in entries]
    published = [event_uuid for _, event_uuids in row_ids.values() for event_uuid in event_uuids]
    assert Counter(found) == Counter(published)
    assert OutboxEvent.objects.count() == 0
    # The events of one transaction are contiguous and in their order.
    assert [entry.event_uuid for entry in entries] == [
        event_uuid
        for key in dict.fromkeys(entry.transaction_key for entry in entries)
        for event_uuid in row_ids[key][1]
    ]
    if connection.vendor != "sqlite":
        firsts = [row_ids[key][0] for key in dict.fromkeys(entry.transaction_key for entry in entries)]
        assert firsts != sorted(firsts), "No transaction overtook another: the test has proved nothing."
