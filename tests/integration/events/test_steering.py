"""What operators do with subscriptions: pause, resume, rewind, skip, re-drive; by hand and by command."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from events import actions
from events.errors import ReplayIdExpired, SkipRefused
from events.logs import Retention
from events.models import ParkedEvent, Subscription
from events.testing import subscribed
from isthmus import clock
from isthmus.audit.models import AuditEntry
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(counted, event_bus, seen):
    """A subscription that has handled three events."""
    with subscribed(seen, "Counted__e", name="reader"):
        for number in (1, 2, 3):
            counted(number=number).publish()
        event_bus.deliver()
        yield Subscription.objects.select_related("topic").get(name="reader")


def audited():
    return list(AuditEntry.objects.filter(action__startswith="events.").values_list("action", "target"))


def test_a_rewound_subscription_handles_events_again(reader, event_bus, seen):
    first = seen.calls[0][0].replay_id
    actions.rewind(reader, to=first)
    event_bus.deliver()
    actions.rewind(reader, to="earliest")
    event_bus.deliver()
    assert seen.numbers() == [1, 2, 3, 2, 3, 1, 2, 3]
    assert audited() == [("events.subscription_rewound", "reader")] * 2


def test_a_subscription_is_rewound_to_a_moment(counted, event_bus, seen, moving_clock):
    with subscribed(seen, "Counted__e", name="reader"):
        counted(number=1).publish()
        event_bus.deliver()
        moving_clock.move(timedelta(hours=1))
        moment = clock.now()
        counted(number=2).publish()
        event_bus.deliver()
        actions.rewind(Subscription.objects.get(name="reader"), to=moment)
        event_bus.deliver()
    assert seen.numbers() == [1, 2, 2]


def test_what_is_gone_or_ahead_is_no_place_to_rewind_to(moving_clock, reader, event_bus):
    with pytest.raises(SkipRefused, match="ahead"):
        actions.rewind(reader, to=reader.cursor + 1)
    moving_clock.move(timedelta(hours=1))
    event_bus.log.trim("/event/Counted__e", Retention(before=clock.now()), limit=2)
    with pytest.raises(ReplayIdExpired):
        actions.rewind(reader, to=0)
    reader.refresh_from_db()
    assert (reader.cursor, audited()) == (reader.topic.last_replay_id, [])


def test_a_paused_subscription_stays_paused_when_it_is_rewound(reader):
    actions.pause(reader)
    actions.rewind(reader, to="earliest")
    assert (reader.state, reader.cursor) == ("paused", 0)


def test_to_skip_takes_the_number_of_what_is_skipped(reader, counted, event_bus, seen):
    for number in (4, 5):
        counted(number=number).publish()
    event_bus.relay()
    with pytest.raises(SkipRefused, match="2 events wait, not 1"):
        actions.skip(reader, count=1)
    actions.skip(reader, count=2)
    counted(number=6).publish()
    event_bus.deliver()
    assert seen.numbers() == [1, 2, 3, 6]
    [entry] = AuditEntry.objects.filter(action="events.subscription_skipped")
    assert entry.details["count"] == 2


def run(capsys, *arguments):
    call_command("event", *arguments)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_subscriptions_are_steered_by_command(reader, event_bus, seen, capsys):
    [shown] = [row for row in run(capsys, "subscriptions") if row["name"] == "reader"]
    assert (shown["name"], shown["state"], shown["waiting"]) == ("reader", "running", 0)
    assert run(capsys, "pause", "reader")[0]["state"] == "paused"
    assert run(capsys, "resume", "reader")[0]["state"] == "running"
    assert run(capsys, "rewind", "reader", "--to", "earliest")[0]["waiting"] == 3
    assert run(capsys, "skip", "reader", "--count", "3")[0]["waiting"] == 0
    assert run(capsys, "rewind", "reader", "--to", "2001-01-01T00:00:00Z")[0]["cursor"] == 0
    assert run(capsys, "rewind", "reader", "--to", "0")[0]["cursor"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pause", "nobody"], "no subscription named 'nobody'"),
        (["rewind", "reader", "--to", "yesterday"], "takes `earliest`, a replay id, or a time"),
        (["rewind", "reader", "--to", "2026-01-01T00:00:00"], "with its zone"),
        (["rewind", "reader", "--to", "999999"], "INVALID_STATUS: That place is ahead"),
        (["skip", "reader", "--count", "7"], "INVALID_STATUS: 0 events wait, not 7"),
        (["redrive", "--id", "7"], "no parked event 7"),
        (["discard"], "--id says which one"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(reader, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("event", *arguments)


def test_parked_events_are_shown_driven_again_and_given_up_by_command(reader, seen, capsys):
    one, two = (samples.make_parked(reader, payload={"Number__c": number}) for number in (7, 8))
    shown = run(capsys, "parked", "--subscription", "reader")
    assert [row["id"] for row in shown] == [one.pk, two.pk]
    assert run(capsys, "redrive", "--id", str(one.pk)) == [{"handled": 1, "failed": 0}]
    assert run(capsys, "discard", "--id", str(two.pk)) == [{"discarded": 1}]
    assert run(capsys, "parked") == []
    assert seen.numbers() == [1, 2, 3, 7]
    assert sorted(audited()) == [("events.parked_discarded", "reader"), ("events.parked_redriven", "reader")]


def test_what_fails_again_stays_parked_and_the_command_says_so(counted, event_bus, capsys):
    def refuse(events):
        raise ValueError("still no")

    with subscribed(refuse, "Counted__e", name="picky"):
        parked = samples.make_parked(Subscription.objects.get(name="picky"))
        with pytest.raises(CommandError, match="failed again"):
            call_command("event", "redrive")
    parked.refresh_from_db()
    assert (parked.state, parked.error, parked.failures) == ("parked", "ValueError: still no", 5)


def test_an_event_is_published_once_by_command_however_often(counted, event_bus, capsys):
    arguments = ["publish", "Counted__e", "--json", '{"Number__c": 1}', "--deduplication-key", "order-1"]
    first, second = run(capsys, *arguments), run(capsys, *arguments)
    assert first[0]["event_uuid"] == second[0]["event_uuid"]
    event_bus.relay()
    assert len(event_bus.published("Counted__e")) == 1


def test_a_subscription_is_steered_on_its_page(reader, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    page = reverse("events:subscription", args=[reader.pk])
    assert "3 events" not in client.get(page).content.decode()
    steer = lambda act, **given: client.post(reverse("events:steer", args=[reader.pk, act]), given, follow=True)  # noqa: E731 - short
    assert "goes on after replay id 0" in steer("rewind").content.decode()
    shown = client.get(page).content.decode()
    assert "Skip 3 events" in shown
    assert "3 events wait, not 2" in steer("skip", count="2").content.decode()
    assert "leaves out 3 events" in steer("skip", count="3").content.decode()
    assert "ahead" in steer("rewind", replay_id="99999").content.decode()
    assert "A place is a replay id" in steer("rewind", moment="soon").content.decode()
    parked = samples.make_parked(reader, payload={"Number__c": 7})
    answer = client.post(reverse("events:decide", args=[parked.pk, "redrive"]), follow=True)
    assert "is handled" in answer.content.decode()
    assert ParkedEvent.objects.get().state == "handled"


def test_an_event_is_replayed_from_its_page(reader, event_bus, seen, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    second = seen.calls[1][0] if len(seen.calls) > 1 else seen.calls[0][1]
    page = client.get(reverse("events:event", args=[second.replay_id])).content.decode()
    assert "Replay from here" in page
    assert f'name="replay_id" value="{second.replay_id - 1}"' in page
    client.post(reverse("events:steer", args=[reader.pk, "rewind"]), {"replay_id": second.replay_id - 1})
    event_bus.deliver()
    assert seen.numbers() == [1, 2, 3, 2, 3]
