"""`manage.py bus` as a real process, killed where it hurts."""

import signal

import pytest

from tests import processes
from tests.processes import migrated_instance

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

PUBLISH = """
from django.db import transaction
from events import bus
from tests.event_samples.platform_events import Counted
for start in range({first}, {first} + {count}, {each}):
    with transaction.atomic():
        bus.publish([Counted(number=number) for number in range(start, start + {each})])
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(request, tmp_path):
    postgres = request.getfixturevalue("postgres") if request.param == "postgresql" else ""
    with migrated_instance(
        request.param,
        tmp_path,
        postgres=postgres,
        ISTHMUS_APPS="tests.event_samples.apps.EventSamplesConfig",
        ISTHMUS_EVENTS_RETRY_LONGEST_SECONDS="0.2",
    ) as made:
        yield made


def wait_until(condition, what):
    # Starting a process takes long while others run theirs.
    return processes.wait_until(condition, what, timeout_seconds=120)


def publish(instance, first, count, *, each=1):
    instance.python(PUBLISH.format(first=first, count=count, each=each))


def handled(instance, subscriber):
    rows = instance.rows(f"SELECT number FROM event_samples_handled WHERE subscriber = '{subscriber}' ORDER BY id")
    return [number for (number,) in rows]


def count(instance, table):
    [(number,)] = instance.rows(f"SELECT count(*) FROM {table}")
    return number


def test_events_arrive_in_order_and_sigterm_ends_the_bus_in_order(instance):
    bus = instance.start("bus")
    publish(instance, 0, 60, each=3)
    wait_until(lambda: len(handled(instance, "plain")) == 60 == len(handled(instance, "gated")), "all are handled")
    assert handled(instance, "plain") == list(range(60)) == handled(instance, "gated")
    assert instance.rows("SELECT kind FROM jobs_processheartbeat") == [("bus",)]
    bus.kill_group(signal.SIGTERM)
    assert bus.wait(60) == 0
    assert instance.rows("SELECT kind FROM jobs_processheartbeat") == []
    # Nobody has to wait for a lease of a process that ended in order.
    assert instance.rows("SELECT holder FROM jobs_lease WHERE holder <> ''") == []


def test_a_relay_killed_at_any_moment_loses_and_doubles_nothing(instance):
    instance.environment.update(ISTHMUS_EVENTS_RELAY_BATCH_SIZE="4", ISTHMUS_EVENTS_RELAY_LEASE_SECONDS="1")
    publish(instance, 0, 300, each=3)
    for _ in range(3):
        before = count(instance, "events_eventlogentry")
        bus = instance.start("bus")
        wait_until(
            lambda before=before: (
                count(instance, "events_eventlogentry") > before or not count(instance, "events_outboxevent")
            ),
            "the relay works",
        )
        bus.kill_group(signal.SIGKILL)
        bus.wait(10)
    instance.start("bus")
    wait_until(lambda: not count(instance, "events_outboxevent"), "everything is relayed")
    log = instance.rows("SELECT payload, sequence_number FROM events_eventlogentry ORDER BY replay_id")
    assert len(log) == 300
    assert [sequence_number for _, sequence_number in log] == [1, 2, 3] * 100
    assert count(instance, "(SELECT DISTINCT event_uuid FROM events_eventlogentry) AS found") == 300
    wait_until(lambda: len(handled(instance, "plain")) >= 300 <= len(handled(instance, "gated")), "all are handled")
    assert handled(instance, "plain") == list(range(300)) == handled(instance, "gated")


def test_a_bus_killed_inside_a_subscriber_leaves_no_effect_and_another_one_does_it_once(instance, tmp_path):
    instance.environment.update(ISTHMUS_EVENTS_SUBSCRIBER_LEASE_SECONDS="1", ISTHMUS_EVENTS_RELAY_LEASE_SECONDS="1")
    publish(instance, 0, 12, each=12)
    first = instance.start("bus", EVENT_SAMPLES_FOLDER=str(tmp_path))
    wait_until(lambda: (tmp_path / f"entered-{first.pid}").exists(), "the subscriber has written")
    first.kill_group(signal.SIGKILL)
    first.wait(10)
    assert handled(instance, "gated") == []
    (tmp_path / "gate").touch()
    for _ in range(2):
        instance.start("bus", EVENT_SAMPLES_FOLDER=str(tmp_path))
    wait_until(lambda: len(handled(instance, "gated")) >= 12 <= len(handled(instance, "plain")), "all are handled")
    assert handled(instance, "gated") == list(range(12)) == handled(instance, "plain")


@pytest.mark.parametrize("instance", ["postgresql"], indirect=True)
def test_processes_share_the_subscriptions(instance, tmp_path):
    """While one process is held up in a subscriber, another runs the other subscription, and not the same one."""
    instance.environment.update(ISTHMUS_EVENTS_SUBSCRIBER_THREADS="1", ISTHMUS_EVENTS_SUBSCRIBER_LEASE_SECONDS="1")
    publish(instance, 0, 3, each=3)
    first = instance.start("bus", EVENT_SAMPLES_FOLDER=str(tmp_path))
    wait_until(lambda: (tmp_path / f"entered-{first.pid}").exists(), "the first is held up")
    assert handled(instance, "plain") == []
    second = instance.start("bus", EVENT_SAMPLES_FOLDER=str(tmp_path))
    wait_until(lambda: handled(instance, "plain") == [0, 1, 2], "the second runs the other subscription")
    assert instance.rows("SELECT DISTINCT process FROM event_samples_handled") == [(second.pid,)]
    assert not (tmp_path / f"entered-{second.pid}").exists()
    (tmp_path / "gate").touch()
    wait_until(lambda: handled(instance, "gated") == [0, 1, 2], "the first goes on")


@pytest.mark.parametrize("instance", ["postgresql"], indirect=True)
def test_the_bus_survives_the_loss_of_all_its_connections(instance):
    instance.start("bus")
    publish(instance, 0, 3)
    wait_until(lambda: len(handled(instance, "plain")) == 3 == len(handled(instance, "gated")), "the bus works")
    instance.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    publish(instance, 3, 3)
    wait_until(lambda: len(handled(instance, "plain")) == 6 == len(handled(instance, "gated")), "the bus works again")
    assert handled(instance, "plain") == list(range(6)) == handled(instance, "gated")
