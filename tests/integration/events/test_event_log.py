"""What every event log promises. Each test runs against each implementation."""

from datetime import timedelta

import pytest
from django.db import transaction

from events import bus
from events.errors import ReplayIdExpired, UnknownTopic
from events.logs import DatabaseEventLog, Retention
from events.models import OutboxEvent
from events.testing import MemoryEventLog
from isthmus import clock

pytestmark = pytest.mark.django_db

CONTACT, ACCOUNT, ALL = "/data/ContactChangeEvent", "/data/AccountChangeEvent", "/data/ChangeEvents"
SAMPLE = "/event/Sample__e"


@pytest.fixture(params=["database", "memory", "jetstream"])
def log(request, moving_clock):
    if request.param == "jetstream":
        return request.getfixturevalue("jetstream")
    return DatabaseEventLog() if request.param == "database" else MemoryEventLog()


def test_events_are_read_in_the_order_in_which_they_were_added(log, new_event):
    made = [new_event() for _ in range(5)]
    replay_ids = log.append(made[:3]) + log.append(made[3:])
    assert replay_ids == sorted(replay_ids)
    assert replay_ids[0] > 0
    found = log.read(SAMPLE, after=0, limit=100)
    assert [event.replay_id for event in found] == replay_ids
    assert [event.event_uuid for event in found] == [event.event_uuid for event in made]


def test_an_event_is_read_as_it_was_added(log, new_event):
    new = new_event(payload={"Text__c": "é😀", "Number__c": 1.5, "Yes__c": True, "None__c": None}, sequence_number=7)
    [replay_id] = log.append([new])
    [event] = log.read(SAMPLE, after=0, limit=1)
    told = {name: value for name, value in vars(new).items() if name != "cause"}
    assert vars(event) == {**told, "replay_id": replay_id, "is_gap": False}


def test_an_event_that_is_there_is_not_added_again(log, new_event):
    one, two = new_event(), new_event()
    [first] = log.append([one])
    again, second, third = log.append([one, two, two])
    assert (again, second) == (first, third)
    assert [event.event_uuid for event in log.read(SAMPLE, after=0, limit=9)] == [one.event_uuid, two.event_uuid]


def test_reading_goes_on_after_the_given_event_and_stops_at_the_limit(log, new_event):
    replay_ids = log.append([new_event() for _ in range(5)])
    assert [event.replay_id for event in log.read(SAMPLE, after=replay_ids[1], limit=2)] == replay_ids[2:4]
    assert log.read(SAMPLE, after=replay_ids[-1], limit=2) == []


def test_each_topic_has_its_own_events_and_the_union_has_every_change(log, new_event):
    sample, contact, account, other = log.append([new_event(topic) for topic in (SAMPLE, CONTACT, ACCOUNT, CONTACT)])
    assert [event.replay_id for event in log.read(CONTACT, after=0, limit=9)] == [contact, other]
    union = log.read(ALL, after=0, limit=9)
    assert [event.replay_id for event in union] == [contact, account, other]
    assert [event.topic for event in union] == [CONTACT, ACCOUNT, CONTACT]
    assert log.latest_of([SAMPLE, CONTACT, ALL, "/event/Other__e"]) == {SAMPLE: sample, CONTACT: other, ALL: other}
    assert (log.latest(ALL), log.latest(ACCOUNT)) == (other, account)


def test_the_position_of_another_topics_event_is_a_position_here_too(log, new_event):
    _, _, account, other = log.append([new_event(topic) for topic in (SAMPLE, CONTACT, ACCOUNT, CONTACT)])
    assert [event.replay_id for event in log.read(CONTACT, after=account, limit=9)] == [other]


def test_a_log_that_is_there_answers(log):
    log.ask()


def test_an_empty_topic_begins_and_ends_at_the_beginning(log):
    log.ensure_topics([SAMPLE])
    assert (log.earliest(SAMPLE), log.latest(SAMPLE), log.read(SAMPLE, after=0, limit=9)) == (0, 0, [])


@pytest.mark.parametrize("ask", ["earliest", "latest"])
def test_an_unknown_topic_is_an_error(log, ask):
    with pytest.raises(UnknownTopic):
        getattr(log, ask)("/event/Other__e")
    with pytest.raises(UnknownTopic):
        log.read("/event/Other__e", after=0, limit=1)


def trim(log, topic=SAMPLE, *, limit=100, bytes_kept=None, hours=0, kept_after=None):
    rule = Retention(before=clock.now() - timedelta(hours=hours), bytes_kept=bytes_kept)
    return log.trim(topic, rule, limit=limit, kept_after=kept_after)


def test_old_events_are_removed_oldest_first_and_new_ones_stay(log, new_event, moving_clock):
    old = log.append([new_event() for _ in range(3)])
    moving_clock.move(timedelta(hours=1))
    new = log.append([new_event()])
    assert trim(log, limit=2) == 2
    assert log.earliest(SAMPLE) == old[1]
    assert [event.replay_id for event in log.read(SAMPLE, after=old[1], limit=9)] == [old[2], *new]
    assert (trim(log), trim(log)) == (1, 0)
    assert [event.replay_id for event in log.read(SAMPLE, after=log.earliest(SAMPLE), limit=9)] == new


def test_a_topic_that_grows_too_large_loses_its_oldest_events(log, new_event):
    replay_ids = log.append([new_event(payload={"Text__c": "x" * 100}) for _ in range(5)])
    assert trim(log, bytes_kept=1_000, hours=1) == 0
    # Two of about 115 bytes fit.
    assert trim(log, bytes_kept=250, hours=1, limit=2) == 2
    assert trim(log, bytes_kept=250, hours=1) == 1
    assert [event.replay_id for event in log.read(SAMPLE, after=replay_ids[2], limit=9)] == replay_ids[3:]


def test_a_moment_has_a_position(log, new_event, moving_clock):
    log.ensure_topics([SAMPLE])
    assert log.position_at(SAMPLE, clock.now()) == 0
    first = log.append([new_event(), new_event()])
    moving_clock.move(timedelta(hours=1))
    second = log.append([new_event(), new_event(CONTACT)])
    assert log.position_at(SAMPLE, clock.now() - timedelta(hours=2)) == 0
    assert log.position_at(SAMPLE, clock.now()) == first[-1]
    assert log.position_at(SAMPLE, clock.now() + timedelta(hours=1)) == second[0]
    assert log.position_at(ALL, clock.now() + timedelta(hours=1)) == second[1]
    trim(log)
    assert log.position_at(SAMPLE, clock.now() - timedelta(hours=2)) == first[-1]


def test_reading_after_an_event_that_was_followed_by_removed_ones_is_an_error(log, new_event, moving_clock):
    old = log.append([new_event() for _ in range(3)])
    moving_clock.move(timedelta(hours=1))
    trim(log)
    for position in (0, old[0], old[1]):
        with pytest.raises(ReplayIdExpired):
            log.read(SAMPLE, after=position, limit=9)
    assert log.read(SAMPLE, after=old[2], limit=9) == []
    assert log.latest(SAMPLE) == old[2]


def test_a_quiet_topic_loses_no_position_because_others_were_trimmed(log, new_event, moving_clock):
    [contact] = log.append([new_event(CONTACT)])
    log.append([new_event() for _ in range(3)])
    moving_clock.move(timedelta(hours=1))
    trim(log)
    assert [event.replay_id for event in log.read(CONTACT, after=0, limit=9)] == [contact]


def test_the_union_has_lost_what_any_of_its_topics_lost(log, new_event, moving_clock):
    contact, account = log.append([new_event(CONTACT), new_event(ACCOUNT)])
    moving_clock.move(timedelta(hours=1))
    assert trim(log, CONTACT) == 1
    with pytest.raises(ReplayIdExpired):
        log.read(ALL, after=0, limit=9)
    assert log.earliest(ALL) == contact
    assert [event.replay_id for event in log.read(ALL, after=contact, limit=9)] == [account]


def test_what_is_held_back_stays(log, new_event, moving_clock):
    contact, sample, other = log.append([new_event(topic) for topic in (CONTACT, SAMPLE, CONTACT)])
    moving_clock.move(timedelta(hours=1))
    assert trim(log, CONTACT, kept_after=contact) == 1
    assert trim(log, SAMPLE, kept_after=0) == 0
    assert [event.replay_id for event in log.read(CONTACT, after=contact, limit=9)] == [other]
    assert [event.replay_id for event in log.read(SAMPLE, after=0, limit=9)] == [sample]


def test_numbers_never_come_back_after_everything_was_removed(log, new_event, moving_clock):
    [last] = log.append([new_event()])
    moving_clock.move(timedelta(hours=1))
    trim(log)
    [following] = log.append([new_event()])
    assert following > last


def test_staged_events_are_taken_in_order_each_once(log, counted, event_bus):
    first = counted(number=1)
    with transaction.atomic():
        bus.publish([first, counted(number=2)])
    again = counted(number=1)
    again.event_uuid = first.event_uuid
    again.publish()
    assert log.take_staged(100) == 3
    assert log.take_staged(100) == 0
    assert OutboxEvent.objects.count() == 0
    events = log.read("/event/Counted__e", after=0, limit=9)
    assert [event.payload["Number__c"] for event in events] == [1, 2]
    assert [event.replay_id for event in events] == sorted({event.replay_id for event in events})
