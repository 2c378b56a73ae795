"""Events that are kept even if their publisher rolls back; duplicates; allocations."""

import contextlib
import sqlite3

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from events import bus, outbox, usage
from events.actions import synchronise
from events.definitions import Number, PlatformEvent, PublishBehavior
from events.errors import UnknownTopic
from events.logs import DatabaseEventLog
from events.models import EventLogEntry, OutboxEvent
from events.relay import Relay
from isthmus import clock

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_file_of_an_earlier_run(db):
    if connection.vendor == "sqlite":
        outbox.side_door().empty()
        OutboxEvent.objects.all().delete()


@pytest.fixture
def alarm():
    """An event that is published immediately."""

    class Alarm(PlatformEvent):
        """Something went wrong."""

        api_name = "Alarm__e"
        publish_behavior = PublishBehavior.IMMEDIATELY
        number = Number("Number__c", required=True)

    synchronise()
    return Alarm


class Undo(Exception):
    pass


def publish_and_undo(*events):
    with contextlib.suppress(Undo), transaction.atomic():
        assert all(result.success for result in bus.publish(events))
        raise Undo


def relayed():
    Relay(DatabaseEventLog()).move_all()
    return [(entry.topic.name, entry.payload["Number__c"]) for entry in EventLogEntry.objects.order_by("replay_id")]


def test_an_immediate_event_outlives_the_rollback_of_its_publisher(alarm, counted):
    publish_and_undo(alarm(number=1), counted(number=2))
    assert relayed() == [("/event/Alarm__e", 1)]


def test_outside_a_transaction_an_immediate_event_goes_the_usual_way(alarm):
    alarm(number=1).publish()
    assert OutboxEvent.objects.count() == 1
    assert relayed() == [("/event/Alarm__e", 1)]


def test_it_is_committed_when_publishing_returns_and_waits_for_no_lock(alarm):
    """The publisher holds locks, on SQLite the one writer's place; another process sees the event all the same."""
    with transaction.atomic():
        OutboxEvent.objects.filter(pk=0).update(size=0)
        bus.publish([alarm(number=1)])
        assert _seen_by_others() == 1
        transaction.set_rollback(True)
    assert relayed() == [("/event/Alarm__e", 1)]


def _seen_by_others():
    if connection.vendor == "sqlite":
        with contextlib.closing(sqlite3.connect(f"{connection.settings_dict['NAME']}-immediate")) as other:
            return other.execute("SELECT count(*) FROM events").fetchone()[0]
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM events_outboxevent")
            return cursor.fetchone()[0]
    finally:
        other.close()


def test_what_a_crash_left_in_both_files_is_one_event(alarm):
    if connection.vendor != "sqlite":
        pytest.skip("Only SQLite has a second file.")
    publish_and_undo(alarm(number=1))
    door = outbox.side_door()
    # Copied and committed, but not yet removed: then the process died.
    with sqlite3.connect(f"{connection.settings_dict['NAME']}-immediate") as file:
        rows = file.execute("SELECT * FROM events").fetchall()
        door.empty()
        file.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    file.close()
    assert relayed() == [("/event/Alarm__e", 1)]
    assert relayed() == [("/event/Alarm__e", 1)]


def test_an_immediate_event_that_the_database_does_not_know_yet_is_refused(alarm):
    """Its topic would be made in the very transaction that may be rolled back."""
    Unknown = type("Unknown", (alarm,), {"api_name": "Unknown__e"})  # noqa: N806 - a class
    with transaction.atomic(), pytest.raises(UnknownTopic, match="not in the database yet"):
        Unknown(number=1).publish()


def test_what_was_published_before_the_database_was_emptied_is_told_to_nobody(alarm):
    publish_and_undo(alarm(number=1))
    call_command("flush", interactive=False, verbosity=0)
    assert relayed() == []


def test_two_events_with_one_deduplication_key_are_one_while_the_first_is_kept(counted):
    for number in (1, 2):
        counted(number=number, deduplication_key="order-7").publish()
    counted(number=3, deduplication_key="order-8").publish()
    assert relayed() == [("/event/Counted__e", 1), ("/event/Counted__e", 3)]
    counted(number=4, deduplication_key="order-7").publish()
    assert len(relayed()) == 2
    EventLogEntry.objects.all().delete()
    counted(number=5, deduplication_key="order-7").publish()
    assert relayed() == [("/event/Counted__e", 5)]


def test_a_used_up_allocation_refuses_the_call_and_says_until_when(counted, settings):
    settings.ISTHMUS_EVENTS_HOURLY_PUBLISH_ALLOCATION = 3
    assert all(result.success for result in bus.publish([counted(number=1), counted(number=2)]))
    results = bus.publish([counted(number=3), counted(number=4)])
    assert [result.success for result in results] == [False, False]
    assert [problem.code for problem in results[0].errors] == ["LIMIT_EXCEEDED"]
    message = results[0].errors[0].message
    assert message.startswith("Hourly allocation: 3 events, 1 left, 2 asked for. It begins anew at ")
    assert bus.publish([counted(number=5)])[0].success
    assert OutboxEvent.objects.count() == 3


def test_the_allocation_counts_what_others_published_and_what_the_relay_moved(counted, settings):
    settings.ISTHMUS_EVENTS_HOURLY_PUBLISH_ALLOCATION = settings.ISTHMUS_EVENTS_DAILY_PUBLISH_ALLOCATION = 3
    bus.publish([counted(number=1)])
    Relay(DatabaseEventLog()).move_all()
    OutboxEvent.objects.bulk_create(_of_another_process())
    usage.forget()
    hourly, daily = usage.allocations()
    assert (hourly.used, daily.used, hourly.remaining, hourly.percent) == (2, 2, 1, 66)
    assert daily.window_ends_at > hourly.window_ends_at or daily.window_ends_at == hourly.window_ends_at
    assert [result.success for result in bus.publish([counted(number=2), counted(number=3)])] == [False, False]


def _of_another_process():
    entry = EventLogEntry.objects.get()
    return [
        OutboxEvent(
            topic_id=entry.topic_id,
            schema_id=entry.schema_id,
            payload={},
            size=2,
            transaction_key=entry.transaction_key,
            created_at=clock.now(),
        )
    ]
