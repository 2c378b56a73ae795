"""What only the log in NATS JetStream has to do: two stores that agree, whatever dies in between."""

import asyncio
from datetime import timedelta

import nats
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from events import bus
from events.actions import synchronise
from events.completeness import Checker
from events.errors import EventLogUnavailable
from events.logs import Retention, get_event_log
from events.logs.jetstream import JetStreamEventLog, log_at
from events.models import EventLogEntry, Topic
from events.testing import EventBus, subscribed
from isthmus import clock, ids
from tests.nats_server import NatsServer

pytestmark = pytest.mark.django_db

SAMPLE, CONTACTS = "/event/Sample__e", "/data/ContactChangeEvent"


def ask(server, work):
    """Do something to the stream past the platform."""

    async def run():
        client = await nats.connect(server.url)
        try:
            return await work(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def numbers(log, topic=SAMPLE):
    return [event.payload["Number__c"] for event in log.read(topic, after=0, limit=100)]


def test_replay_ids_are_the_numbers_of_the_stream(jetstream, nats_server, new_event):
    replay_ids = jetstream.append([new_event(), new_event(CONTACTS)])
    stream = jetstream._stream
    found = ask(nats_server, lambda context: context.get_msg(stream, seq=replay_ids[1]))
    assert found.subject == f"{stream}.data.ContactChangeEvent"
    assert EventLogEntry.objects.filter(payload__isnull=False).count() == 0


def test_payloads_and_causes_of_rows_come_from_the_stream(jetstream, new_event):
    jetstream.append([new_event(cause="operation:7"), new_event()])
    rows = list(EventLogEntry.objects.select_related("topic").order_by("replay_id"))
    assert [row.cause for row in rows] == ["operation:7", ""]
    found = jetstream.payloads_of(rows)
    assert [found[row.replay_id]["Number__c"] for row in rows] == [1, 2]


def test_what_a_crash_left_in_the_stream_knows_its_cause(jetstream, new_event):
    with transaction.atomic():
        jetstream.append([new_event(cause="operation:7")])
        transaction.set_rollback(True)
    jetstream.append([new_event()])
    assert EventLogEntry.objects.order_by("replay_id").values_list("cause", flat=True).first() == "operation:7"


def test_what_was_published_and_not_committed_is_taken_over_and_comes_once(jetstream, new_event):
    first, lost, another, last = (new_event() for _ in range(4))
    jetstream.append([first])
    with transaction.atomic():
        jetstream.append([lost, another])
        transaction.set_rollback(True)
    assert numbers(jetstream) == [1]
    # The relay comes with the same events again, and more.
    replay_ids = jetstream.append([lost, another, last])
    assert replay_ids == sorted(replay_ids)
    assert numbers(jetstream) == [1, 2, 3, 4]
    assert Topic.objects.get(name=SAMPLE).kept_events == 4


def test_what_another_relay_published_meanwhile_is_taken_over_first(jetstream, nats_server, new_event):
    other = JetStreamEventLog([nats_server.url], jetstream._stream)
    one, two = new_event(), new_event()
    with transaction.atomic():
        other.append([one])
        transaction.set_rollback(True)
    other.close()
    jetstream.append([two])
    assert numbers(jetstream) == [1, 2]


def test_more_than_fits_under_way_at_once_keeps_its_order(jetstream, new_event):
    made = [new_event() for _ in range(1_203)]
    replay_ids = jetstream.append(made)
    assert replay_ids == list(range(replay_ids[0], replay_ids[0] + 1_203))
    read = jetstream.read(SAMPLE, after=0, limit=2_000)
    assert [event.event_uuid for event in read] == [event.event_uuid for event in made]


def test_a_payload_that_no_message_holds_stays_in_the_database(jetstream, new_event):
    large = new_event(payload={"Number__c": 7, "Text__c": "x" * 1_048_000})
    jetstream.append([large, new_event()])
    assert numbers(jetstream) == [7, 2]
    assert EventLogEntry.objects.filter(payload__isnull=False).count() == 1
    with transaction.atomic():
        jetstream.append([new_event(payload={"Number__c": 8, "Text__c": "y" * 1_048_000})])
        transaction.set_rollback(True)
    jetstream.append([new_event()])
    assert numbers(jetstream) == [7, 2, 4]


def test_a_stream_that_lost_what_it_acknowledged_hands_out_no_number_twice(jetstream, nats_server, new_event):
    last = jetstream.append([new_event() for _ in range(5)])[-1]
    ask(nats_server, lambda context: context.delete_stream(jetstream._stream))
    log = JetStreamEventLog([nats_server.url], jetstream._stream)
    [following] = log.append([new_event()])
    assert following > last
    found = log.read(SAMPLE, after=0, limit=100)
    assert [event.is_gap for event in found] == [True] * 5 + [False]
    assert Checker(log).check() == 5
    *_, gap = log.read(SAMPLE, after=0, limit=100)
    assert gap.payload["Gap"]["missingEvents"] == 5
    assert (Checker(log).check(), log.recount(SAMPLE)) == (0, 0)
    log.close()


def test_a_message_that_somebody_deleted_is_a_gap(jetstream, nats_server, new_event):
    first, second = jetstream.append([new_event(), new_event()])
    ask(nats_server, lambda context: context.delete_msg(jetstream._stream, first))
    gap, event = jetstream.read(SAMPLE, after=0, limit=9)
    assert (gap.replay_id, gap.is_gap, event.replay_id, event.is_gap) == (first, True, second, False)
    assert jetstream.find(first).is_gap
    assert jetstream.find(second).payload == {"Number__c": 2}
    assert jetstream.find(second + 1) is None
    assert jetstream.recount(SAMPLE) == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_trimmed_leaves_the_stream(jetstream, nats_server, new_event):
    jetstream.append([new_event(), new_event(CONTACTS), new_event()])
    removed = jetstream.trim(SAMPLE, Retention(before=clock.now() + timedelta(hours=1)), limit=10)
    info = ask(nats_server, lambda context: context.stream_info(jetstream._stream))
    assert (removed, info.state.messages) == (2, 1)
    assert numbers(jetstream, CONTACTS) == [2]


def test_events_go_all_the_way_through_the_stream(jetstream, counted, event_bus, seen):
    through = EventBus(jetstream)
    synchronise(jetstream)
    with subscribed(seen, "Counted__e"):
        bus.publish([counted(number=number) for number in (1, 2, 3)])
        through.deliver()
    assert seen.numbers() == [1, 2, 3]
    assert [payload["Number__c"] for payload in through.published("Counted__e")] == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
def test_while_the_server_is_away_everything_waits_and_nothing_acknowledged_is_lost(tmp_path, new_event, counted):
    server = NatsServer(tmp_path)
    log = JetStreamEventLog([server.url], f"TEST_{ids.new_uuid().hex}")
    try:
        synchronise(log)
        log.append([new_event()])
        server.kill()
        counted(number=5).publish()
        with pytest.raises(EventLogUnavailable):
            log.take_staged(10)
        with pytest.raises(EventLogUnavailable):
            log.read(SAMPLE, after=0, limit=1)
        with pytest.raises(EventLogUnavailable):
            log.ask()
        server.start()
        assert log.take_staged(10) == 1
        assert numbers(log) == [1]
        assert numbers(log, "/event/Counted__e") == [5]
    finally:
        log.close()
        server.kill()


def test_a_stream_that_forgets_is_refused(nats_server, new_event):
    stream = f"TEST_{ids.new_uuid().hex}"
    ask(nats_server, lambda context: context.add_stream(name=stream, subjects=[f"{stream}.>"], max_msgs=10))
    log = JetStreamEventLog([nats_server.url], stream)
    with pytest.raises(ImproperlyConfigured, match="max_msgs"):
        log.append([new_event()])
    log.close()


def test_the_address_names_servers_stream_and_replicas(settings):
    settings.ISTHMUS_EVENT_LOG_URL = "nats://ada:secret@127.0.0.1:4222,127.0.0.1:4223/SHOP?replicas=3"
    log = get_event_log()
    assert log is get_event_log()
    assert isinstance(log, JetStreamEventLog)
    assert (log._stream, log._replicas) == ("SHOP", 3)


@pytest.mark.parametrize("url", ["nats:///SHOP", "nats://127.0.0.1/A.B", "nats://127.0.0.1/A?replicas=many"])
def test_an_address_that_names_no_stream_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match="names no stream"):
        log_at(url)
