"""What operators see and do: tables after a migration, commands, probes, screens, retention."""

import json
import threading
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.urls import reverse

from crm.models import Contact
from events import actions, bus, figures, probes, registry
from events.bus_process import Bus, RelayPart
from events.checks import check_event_log
from events.errors import ReplayIdExpired
from events.grants import EVENT_GRANTS
from events.held_leases import HeldLease
from events.logs import DatabaseEventLog
from events.models import EventDefinition, EventLogEntry, EventSchema, OutboxEvent, Subscription, Topic
from events.retention import trim
from events.testing import subscribed
from isthmus import clock
from isthmus.console.rollups import reading, rolling
from isthmus.console.rollups.spans import DAY
from isthmus.jobs import processes
from isthmus.jobs.models import Lease
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def test_tables_show_what_the_code_declares(counted, event_bus):
    found = EventDefinition.objects.get(api_name="Counted__e")
    assert (found.label, found.description, found.is_active) == ("Counted", "Carries a number.", True)
    assert (found.topic.name, found.topic.kind) == ("/event/Counted__e", "event")
    assert found.schema.document == counted.event_type.schema.document
    assert set(Topic.objects.filter(name__startswith="/data/C").values_list("name", "kind")) >= {
        ("/data/ChangeEvents", "union"),
        ("/data/ContactChangeEvent", "data"),
    }


def test_a_definition_that_the_code_lost_is_marked_and_its_schemas_stay(counted, event_bus):
    with registry.register_temporarily():
        registry._events.pop("counted__e")
        actions.synchronise()
    assert EventDefinition.objects.get(api_name="Counted__e").is_active is False
    assert EventSchema.objects.filter(record_name="Counted__e").exists()


def test_a_changed_definition_keeps_its_old_schema(counted, event_bus):
    from events.definitions import Text

    old = EventDefinition.objects.get(api_name="Counted__e").schema_id
    registry._events.clear()
    type("Counted", (counted,), {"api_name": "Counted__e", "more": Text("More__c")})
    actions.synchronise()
    assert EventDefinition.objects.get(api_name="Counted__e").schema_id != old
    assert EventSchema.objects.filter(record_name="Counted__e").count() == 2


def test_events_are_published_by_hand(counted, capsys):
    call_command("event", "publish", "counted__E", "--json", '{"Number__c": 3}')
    row = OutboxEvent.objects.get()
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"success": True, "event_uuid": str(row.event_uuid), "correlation_id": row.correlation_id}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Counted__e", "--json", "{"], "not JSON"),
        (["Counted__e", "--json", "[]"], "takes an object"),
        (["Counted__e", "--json", '{"Bogus__c": 1}'], "INVALID_FIELD.*\nREQUIRED_FIELD_MISSING"),
        (["Other__e", "--json", "{}"], "NOT_FOUND: There is no platform event"),
        (["Counted__e", "--json", '{"Number__c": 1}', "--user", "nobody"], "no user named 'nobody'"),
        (["Counted__e", "--json", '{"Number__c": 1}', "--user", "ada"], "lacks the grant event.publish"),
    ],
)
def test_what_cannot_be_published_by_hand_says_why(counted, arguments, message):
    get_user_model().objects.create_user("ada")
    with pytest.raises(CommandError, match=message):
        call_command("event", "publish", *arguments)
    assert OutboxEvent.objects.count() == 0


def test_the_probe_of_the_bus_follows_its_heartbeat(moving_clock):
    assert probes._bus().ok is False
    processes.beat("bus", "one")
    assert (probes._bus().ok, probes._bus().age_seconds) == (True, 0)
    moving_clock.move(timedelta(seconds=16))
    assert (probes._bus().ok, probes._bus().age_seconds) == (False, 16)


def test_the_probe_of_the_relay_follows_the_oldest_row(counted, event_bus, moving_clock):
    assert probes._relay().ok is True
    counted(number=1).publish()
    moving_clock.move(timedelta(seconds=31))
    counted(number=2).publish()
    assert (probes._relay().ok, probes._relay().age_seconds) == (False, 31)
    event_bus.relay()
    assert probes._relay().ok is True


def test_events_can_be_granted_by_name(counted):
    assert EVENT_GRANTS.actions == ("publish", "subscribe")
    assert {"Counted__e", "ContactChangeEvent", "ChangeEvents"} <= set(EVENT_GRANTS.targets())


def test_a_log_that_does_not_exist_is_a_failed_check():
    assert check_event_log() == []
    with override_settings(ISTHMUS_EVENT_LOG_URL="tape://attic"):
        [found] = check_event_log()
    assert (found.id, found.is_serious()) == ("events.E001", True)


def test_events_go_after_their_retention_in_batches(counted, event_bus, moving_clock, settings):
    settings.ISTHMUS_EVENTS_TRIM_BATCH_SIZE = 2
    for number in range(3):
        counted(number=number).publish()
    event_bus.relay()
    moving_clock.move(timedelta(hours=72))
    assert trim(event_bus.log) == 0
    moving_clock.move(timedelta(seconds=1))
    assert [trim(event_bus.log) for _ in range(3)] == [2, 1, 0]
    assert EventLogEntry.objects.count() == 0
    with pytest.raises(ReplayIdExpired):
        event_bus.log.read("/event/Counted__e", after=0, limit=9)


def test_what_a_subscription_has_not_handled_is_kept_unless_it_was_stopped(counted, event_bus, moving_clock, seen):
    with subscribed(seen, "Counted__e", name="resting"):
        actions.pause(Subscription.objects.get(name="resting"))
        counted(number=1).publish()
        event_bus.relay()
        moving_clock.move(timedelta(hours=100))
        assert trim(event_bus.log) == 0
        actions.resume(Subscription.objects.get(name="resting"))
        event_bus.deliver()
        assert seen.numbers() == [1]
        assert trim(event_bus.log) == 1
        counted(number=2).publish()
        event_bus.relay()
        Subscription.objects.filter(name="resting").update(state="stopped")
        moving_clock.move(timedelta(hours=100))
        assert trim(event_bus.log) == 1


def test_a_held_lease_is_renewed_lost_and_taken_again(moving_clock):
    one, two = (HeldLease("sample", name, seconds=lambda: 10) for name in ("one", "two"))
    assert (one.hold(), two.hold()) == (True, False)
    moving_clock.move(timedelta(seconds=6))
    assert one.hold() is True
    moving_clock.move(timedelta(seconds=6))
    assert two.hold() is False  # Renewed in time.
    moving_clock.move(timedelta(seconds=6))
    assert two.hold() is True
    assert one.hold() is False
    two.release()
    moving_clock.move(timedelta(seconds=2))
    assert one.hold() is True


def test_a_held_lease_is_not_asked_for_at_every_turn(moving_clock, django_assert_num_queries):
    one, two = (HeldLease("sample", name, seconds=lambda: 10) for name in ("one", "two"))
    assert (one.hold(), two.hold()) == (True, False)
    with django_assert_num_queries(0):
        assert (one.hold(), two.hold()) == (True, False)


def test_only_the_holder_of_the_lease_relays(counted, event_bus):
    leader, other = (RelayPart(event_bus.log, holder=name) for name in ("one", "two"))
    assert leader.turn() is False
    counted(number=1).publish()
    assert other.turn() is False
    assert EventLogEntry.objects.count() == 0
    assert leader.turn() is True
    assert EventLogEntry.objects.count() == 1
    leader.finish()
    assert Lease.objects.get(name="events.relay").holder == ""


@pytest.mark.django_db(transaction=True)
def test_the_bus_delivers_in_its_threads_until_it_is_stopped(counted, event_bus):
    handled = threading.Event()
    numbers = []

    def handle(events):
        numbers.extend(event.payload["Number__c"] for event in events)
        if len(numbers) == 2:
            handled.set()

    with subscribed(handle, "Counted__e", name="threaded"):
        bus = Bus(DatabaseEventLog(), name="bus-under-test")
        runner = threading.Thread(target=bus.run)
        runner.start()
        try:
            counted(number=1).publish()
            counted(number=2).publish()
            assert handled.wait(60)
        finally:
            bus.stop()
            runner.join(60)
    assert (numbers, runner.is_alive()) == ([1, 2], False)
    assert processes.last_beat("bus") is None
    assert not Lease.objects.exclude(holder="").exists()


def test_screens_show_and_steer(counted, event_bus, seen, client):
    client.force_login(get_user_model().objects.create_superuser("root"))
    with subscribed(seen, "Counted__e", name="steered"):
        counted(number=1).publish()
        event_bus.relay()
        for model in ("eventdefinition", "eventschema", "eventlogentry", "eventusage", "parkedevent", "subscription"):
            assert client.get(reverse(f"admin:events_{model}_changelist")).status_code == 200
        subscription = Subscription.objects.get(name="steered")
        page = client.get(reverse("admin:events_subscription_change", args=[subscription.pk]))
        assert page.status_code == 200
        for action, state in (("pause", "paused"), ("resume", "running")):
            client.post(
                reverse("admin:events_subscription_changelist"),
                {"action": action, "_selected_action": [subscription.pk]},
            )
            subscription.refresh_from_db()
            assert subscription.state == state
        client.post(
            reverse("admin:events_subscription_changelist"),
            {"action": "rewind_to_earliest", "_selected_action": [subscription.pk]},
        )
        event_bus.deliver()
        assert len(seen.calls) == 1


def test_lag_counts_what_each_subscription_has_to_handle(counted, event_bus, seen):
    from crm.models import Contact

    with subscribed(seen, "Counted__e", name="events"), subscribed(seen, "ChangeEvents", name="changes"):
        counted(number=1).publish()
        Contact.objects.create(last_name="Lovelace")
        event_bus.relay()
        lags = dict(Subscription.objects.with_lag().values_list("name", "lag"))
    assert (lags["events"], lags["changes"]) == (1, 1)


def test_the_charts_show_what_was_published_and_how_long_it_took(counted, event_bus, moving_clock):
    Contact.objects.create(last_name="A")
    bus.publish([counted(number=number) for number in range(3)])
    event_bus.relay()
    moving_clock.move(timedelta(hours=1))
    counted(number=4).publish()
    event_bus.relay()
    moving_clock.move(timedelta(minutes=1))
    for _ in rolling.roll_up_everything():
        pass
    published, lag, *_ = figures.charts_of_monitor(DAY)
    assert published.summary == "Events of the last 24 hours: 4 platform events, 1 change events."
    assert [curve.values[-5:] for curve in published.curves] == [(3, 0, 0, 0, 1), (1, 0, 0, 0, 0)]
    assert lag.total == 5
    [of_one] = figures.charts_of_log("Counted__e", DAY)
    assert of_one.total == 4
    moving_clock.move(timedelta(hours=30))
    assert figures.charts_of_log("", DAY)[0].total == 0


def test_what_subscriptions_handle_is_counted_with_their_cursor(counted, event_bus, moving_clock):
    seen, fails = [], [True]

    def handle(events):
        if fails:
            raise ValueError("not now")
        seen.extend(events)

    with subscribed(handle, "Counted__e", name="reader"):
        bus.publish([counted(number=number) for number in range(3)])
        moving_clock.move(timedelta(seconds=30))
        event_bus.deliver(raise_errors=False)
        fails.clear()
        moving_clock.move(timedelta(seconds=30))
        event_bus.deliver()
    assert len(seen) == 3
    *_, delivered, took = figures.charts_of_monitor(DAY)
    assert delivered.summary == "Events delivered to subscriptions of the last 24 hours: 3 handled, 1 tries failed."
    assert took.curves[0].values[-1] == pytest.approx(60_000, rel=0.03)
    lately = reading.of_scopes("events.delivered")["reader"]
    assert lately.numbers == {"handled": 3, "failed": 1}


def test_each_kind_of_topic_knows_since_when_its_oldest_event_waits(moving_clock):
    entered = {}
    for replay_id, (name, kind) in enumerate(
        [("/event/One__e", "event"), ("/data/OneChangeEvent", "data"), ("/data/TwoChangeEvent", "data")] * 2, start=1
    ):
        entered[replay_id] = samples.make_event(
            replay_id, samples.make_topic(name, kind), published_at=clock.now()
        ).published_at
        moving_clock.move(timedelta(minutes=1))
    for name, topic in (
        ("one", samples.make_topic("/event/One__e")),
        ("all", samples.make_topic("/data/ChangeEvents", "union")),
    ):
        samples.make_subscription(name=name, topic=topic, cursor=2)
    found = {row.name: (row.lag, row.waiting_since) for row in Subscription.objects.with_lag()}
    assert found["one"] == (1, entered[4])
    assert found["all"] == (3, entered[3])
