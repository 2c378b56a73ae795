"""The log is proven to be complete, and says where it is not."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from crm.models import Contact
from events import bus, retention
from events.actions.channels import save_channel, save_member
from events.completeness import Checker, watermark
from events.models import Channel, ChannelMember, EventLogEntry, Topic
from events.testing import subscribed

pytestmark = pytest.mark.django_db

COUNTED = "/event/Counted__e"
CONTACTS = "/data/ContactChangeEvent"


@pytest.fixture
def checker(event_bus):
    return Checker(event_bus.log)


def publish(counted, event_bus, *numbers):
    bus.publish([counted(number=number) for number in numbers])
    event_bus.relay()


def test_what_is_in_the_log_is_complete_and_the_watermark_moves_on(counted, event_bus, checker, moving_clock):
    publish(counted, event_bus, 1, 2)
    assert checker.check() == 0
    first = watermark(event_bus.log, COUNTED)
    assert first.replay_id == event_bus.log.latest(COUNTED)
    assert first.until == moving_clock.now()
    moving_clock.move(timedelta(seconds=5))
    publish(counted, event_bus, 3)
    assert watermark(event_bus.log, COUNTED) == first
    assert checker.check() == 0
    assert watermark(event_bus.log, COUNTED).replay_id == event_bus.log.latest(COUNTED)


def test_what_waits_keeps_the_moment_back_until_it_is_moved(counted, event_bus, checker, moving_clock):
    checker.check()
    began = moving_clock.now()
    moving_clock.move(timedelta(seconds=5))
    bus.publish([counted(number=1)])
    Contact.objects.create(last_name="A")
    for _ in range(2):
        checker.check()
        assert watermark(event_bus.log, CONTACTS).until == began
        moving_clock.move(timedelta(seconds=5))
    event_bus.relay()
    # More is coming in all the time; what was there at the moment in question has been moved.
    bus.publish([counted(number=2)])
    checker.check()
    assert watermark(event_bus.log, CONTACTS).until == began + timedelta(seconds=5)


def test_a_missing_platform_event_is_told_as_a_gap_to_its_subscribers(counted, event_bus, checker, seen):
    publish(counted, event_bus, 1)
    checker.check()
    with subscribed(seen, "Counted__e", filter="Number__c = 100"):
        publish(counted, event_bus, 2, 3, 4)
        before, lost, *_, last = EventLogEntry.objects.of_topic(COUNTED).order_by("replay_id")
        EventLogEntry.objects.filter(pk=lost.pk).delete()
        assert checker.check() == 1
        event_bus.deliver()
        [[gap]] = seen.calls
        assert gap.is_gap
        assert gap.payload == {
            "Gap": {"missingAfter": before.pk, "missingUpTo": last.pk, "missingEvents": 1},
        }
        assert checker.check() == 0


def test_a_missing_change_is_told_as_an_overflow_of_its_object(event_bus, checker, seen):
    Contact.objects.create(last_name="A")
    event_bus.relay()
    EventLogEntry.objects.of_topic(CONTACTS).delete()
    assert checker.check() == 1
    with subscribed(seen, CONTACTS, start="earliest"):
        event_bus.deliver()
    [[told]] = seen.calls
    header = told.payload["ChangeEventHeader"]
    assert (header["changeType"], header["entityName"]) == ("GAP_OVERFLOW", "Contact")


def test_what_retention_removes_is_not_missing(counted, event_bus, checker, moving_clock):
    publish(counted, event_bus, 1, 2)
    checker.check()
    publish(counted, event_bus, 3)
    moving_clock.move(timedelta(days=30))
    assert retention.trim(event_bus.log) == 3
    publish(counted, event_bus, 4)
    assert checker.check() == 0
    assert watermark(event_bus.log, COUNTED).replay_id == event_bus.log.latest(COUNTED)


def test_what_was_lost_before_retention_came_is_missing_all_the_same(counted, event_bus, checker, moving_clock):
    publish(counted, event_bus, 1, 2, 3)
    EventLogEntry.objects.of_topic(COUNTED).order_by("replay_id")[1].delete()
    moving_clock.move(timedelta(days=30))
    retention.trim(event_bus.log)
    publish(counted, event_bus, 4)
    assert checker.check() == 1


def test_a_topic_that_carries_others_is_complete_as_far_as_all_of_them_are(event_bus, checker, counted):
    Contact.objects.create(last_name="A")
    event_bus.relay()
    channel = save_channel(Channel(name="All__chn", label="All"))
    save_member(ChannelMember(channel=channel, topic=Topic.objects.get(name=CONTACTS)))
    for topic in ("/data/ChangeEvents", "/data/All__chn"):
        assert watermark(event_bus.log, topic).until is None
    checker.check()
    for topic in ("/data/ChangeEvents", "/data/All__chn"):
        assert watermark(event_bus.log, topic).replay_id == event_bus.log.latest(CONTACTS)
        assert watermark(event_bus.log, topic).until is not None


def test_the_command_shows_the_watermarks_and_counts_again(counted, event_bus, checker, capsys):
    publish(counted, event_bus, 1, 2)
    checker.check()
    call_command("event", "topics")
    found = {line["name"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found[COUNTED]["complete_up_to"] == found[COUNTED]["latest"] == event_bus.log.latest(COUNTED)
    assert found[COUNTED]["kept_events"] == 2
    call_command("event", "verify")
    EventLogEntry.objects.of_topic(COUNTED).first().delete()
    with pytest.raises(CommandError) as failed:
        call_command("event", "verify")
    assert failed.value.returncode == 2
    assert '{"topic": "/event/Counted__e", "missing_events": 1}' in capsys.readouterr().out
