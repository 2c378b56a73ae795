"""Subscribers: effects and cursor commit together, failures are kept and tried again, nothing is skipped."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction

from events import actions, bus
from events.delivery import deliver_batch
from events.logs import Retention
from events.models import Subscription, SubscriptionState
from events.testing import SubscriberFailed, subscribed
from isthmus import clock, correlation
from isthmus.jobs import queueable
from isthmus.jobs.models import Job
from isthmus.objects.capture import acting_user

pytestmark = pytest.mark.django_db


@queueable()
def note(number: int) -> None:
    """Do nothing."""


def publish(counted, *numbers, correlation_id="c"):
    with correlation.bind(correlation_id):
        bus.publish([counted(number=number) for number in numbers])


def group_names():
    return sorted(Group.objects.values_list("name", flat=True))


def make_groups(events):
    for event in events:
        Group.objects.create(name=f"{event.payload['Number__c']}")


def failing_at(number):
    def handle(events):
        for event in events:
            Group.objects.create(name=f"{event.payload['Number__c']}")
            if event.payload["Number__c"] == number:
                raise ValueError(f"no {number}")

    return handle


def test_a_subscriber_gets_events_in_order_once(counted, event_bus, seen):
    with subscribed(seen, "Counted__e"):
        publish(counted, 1, 2, 3)
        assert event_bus.deliver() == 3
        assert event_bus.deliver() == 0
        publish(counted, 4)
        event_bus.deliver()
    assert seen.numbers() == [1, 2, 3, 4]
    replay_ids = [event.replay_id for call in seen.calls for event in call]
    assert replay_ids == sorted(set(replay_ids))


def test_a_call_has_at_most_a_batch_of_events(counted, event_bus, seen):
    with subscribed(seen, "Counted__e", batch_size=2):
        publish(counted, *range(5))
        event_bus.deliver()
    assert [len(call) for call in seen.calls] == [2, 2, 1]


def test_a_call_has_the_events_of_one_correlation_which_is_bound(counted, event_bus):
    calls = []
    handler = lambda events: calls.append((correlation.current(), [e.payload["Number__c"] for e in events]))  # noqa: E731 - short
    with subscribed(handler, "Counted__e"):
        publish(counted, 1, 2, correlation_id="one")
        publish(counted, 3, correlation_id="two")
        publish(counted, 4, correlation_id="one")
        event_bus.deliver()
    assert calls == [("one", [1, 2]), ("two", [3]), ("one", [4])]


def test_the_correlation_of_the_publisher_travels_into_jobs(counted, event_bus, jobs):
    def handle(events):
        note.enqueue(number=events[0].payload["Number__c"])

    with subscribed(handle, "Counted__e"):
        publish(counted, 1, correlation_id="from-the-request")
        event_bus.deliver()
    assert Job.objects.get().correlation_id == "from-the-request"


def test_a_subscriber_acts_as_the_automated_process(counted, event_bus):
    users = []
    with subscribed(lambda _: users.append(acting_user().username), "Counted__e"):
        publish(counted, 1)
        event_bus.deliver()
    assert users == ["automated-process"]


def test_what_a_failing_subscriber_wrote_is_undone_and_the_failure_is_visible(counted, event_bus, moving_clock):
    with subscribed(failing_at(2), "Counted__e", name="picky") as subscriber:
        publish(counted, 1, 2, 3)
        event_bus.deliver(raise_errors=False)
        found = Subscription.objects.get(name="picky")
        assert group_names() == []
        assert (found.state, found.failures, found.last_error) == ("retrying", 1, "ValueError: no 2")
        assert found.next_attempt_at == clock.now() + timedelta(seconds=1)
        assert Subscription.objects.with_lag().get(name="picky").lag == 3
        assert deliver_batch(event_bus.log, subscriber) == 0
        assert Subscription.objects.get(name="picky").failures == 1


def test_the_delay_doubles_up_to_the_longest_and_ends_with_a_success(counted, event_bus, moving_clock):
    broken = True

    def handle(events):
        if broken:
            raise ValueError("broken")
        make_groups(events)

    delays = []
    with subscribed(handle, "Counted__e", name="picky"):
        publish(counted, 1)
        for _ in range(11):
            event_bus.deliver(raise_errors=False)
            found = Subscription.objects.get(name="picky")
            delays.append((found.next_attempt_at - clock.now()).total_seconds())
            moving_clock.move(found.next_attempt_at - clock.now())
        assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        broken = False
        assert event_bus.deliver() == 1
    found = Subscription.objects.get(name="picky")
    assert (found.state, found.failures, found.last_error, found.next_attempt_at) == ("running", 0, "", None)
    assert group_names() == ["1"]


def test_calls_before_the_failing_one_count_and_the_next_try_starts_with_it(counted, event_bus, moving_clock):
    with subscribed(failing_at(2), "Counted__e", name="picky"):
        publish(counted, 1, correlation_id="one")
        publish(counted, 2, correlation_id="two")
        publish(counted, 3, correlation_id="three")
        event_bus.deliver(raise_errors=False)
        assert group_names() == ["1"]
        assert Subscription.objects.with_lag().get(name="picky").lag == 2
        moving_clock.move(timedelta(seconds=1))
        event_bus.deliver(raise_errors=False)
        assert group_names() == ["1"]
        assert Subscription.objects.get(name="picky").failures == 2


def test_one_failing_subscriber_does_not_keep_another(counted, event_bus, seen):
    with subscribed(failing_at(1), "Counted__e", name="picky"), subscribed(seen, "Counted__e", name="calm"):
        publish(counted, 1, 2)
        with pytest.raises(SubscriberFailed, match="picky: ValueError: no 1"):
            event_bus.deliver()
    assert seen.numbers() == [1, 2]


def test_a_subscriber_that_swallows_a_database_error_has_failed(counted, event_bus):
    """Its transaction is lost, and the cursor must not move without its effects."""

    def handle(events):
        make_groups(events)
        try:
            Group.objects.create(name="1")
        except DatabaseError:
            return

    with subscribed(handle, "Counted__e", name="careless"):
        publish(counted, 1)
        event_bus.deliver(raise_errors=False)
    assert group_names() == []
    assert Subscription.objects.get(name="careless").failures == 1


def test_an_inner_transaction_of_a_subscriber_may_fail(counted, event_bus):
    def handle(events):
        make_groups(events)
        try:
            with transaction.atomic():
                Group.objects.create(name="1")
        except DatabaseError:
            Group.objects.create(name="caught")

    with subscribed(handle, "Counted__e"):
        publish(counted, 1)
        event_bus.deliver()
    assert group_names() == ["1", "caught"]


def test_a_new_subscription_starts_where_it_says(counted, event_bus, seen):
    publish(counted, 1)
    event_bus.relay()
    late = []
    with (
        subscribed(seen, "Counted__e", name="from the first", start="earliest"),
        subscribed(late.extend, "Counted__e", name="from now on", start="latest"),
    ):
        publish(counted, 2)
        event_bus.deliver()
    assert seen.numbers() == [1, 2]
    assert [event.payload["Number__c"] for event in late] == [2]


def test_a_known_subscription_keeps_its_place(counted, event_bus, seen):
    for number in (1, 2):
        with subscribed(seen, "Counted__e", name="steady"):
            event_bus.deliver()
        publish(counted, number)
    with subscribed(seen, "Counted__e", name="steady", start="latest"):
        event_bus.deliver()
    assert seen.numbers() == [1, 2]


def test_a_subscription_that_moves_to_another_topic_goes_on_at_the_same_moment(counted, event_bus, seen):
    other = type("Other", (counted,), {"api_name": "Other__e"})
    with subscribed(seen, "Counted__e", name="mover"):
        publish(other, 10)
        publish(counted, 1)
        event_bus.deliver()
    publish(other, 11)
    with subscribed(seen, "Other__e", name="mover"):
        event_bus.deliver()
    assert seen.numbers() == [1, 11]


def test_a_paused_subscription_waits_where_it_is(counted, event_bus, seen):
    with subscribed(seen, "Counted__e", name="resting"):
        actions.pause(Subscription.objects.get(name="resting"))
        publish(counted, 1)
        assert event_bus.deliver() == 0
        actions.resume(Subscription.objects.get(name="resting"))
        assert event_bus.deliver() == 1
    assert seen.numbers() == [1]


def test_a_failing_subscription_can_be_tried_at_once(counted, event_bus, moving_clock):
    with subscribed(failing_at(1), "Counted__e", name="picky"):
        publish(counted, 1)
        event_bus.deliver(raise_errors=False)
        actions.resume(Subscription.objects.get(name="picky"))
        event_bus.deliver(raise_errors=False)
        assert Subscription.objects.get(name="picky").failures == 2


def test_a_subscription_whose_events_are_gone_stops_and_says_so(counted, event_bus, seen, moving_clock):
    with subscribed(seen, "Counted__e", name="sleeper"):
        publish(counted, 1, 2)
        event_bus.relay()
        moving_clock.move(timedelta(hours=1))
        event_bus.log.trim("/event/Counted__e", Retention(before=clock.now()), limit=10)
        assert event_bus.deliver(raise_errors=False) == 0
        found = Subscription.objects.get(name="sleeper")
        assert found.state == SubscriptionState.STOPPED
        assert "no longer kept" in found.last_error
        actions.resume(found)
        assert found.state == SubscriptionState.STOPPED
        actions.restart(found, at="earliest")
        publish(counted, 3)
        assert event_bus.deliver() == 1
    assert seen.numbers() == [3]


def test_a_subscriber_may_publish_and_what_it_publishes_is_delivered(counted, event_bus, seen):
    other = type("Other", (counted,), {"api_name": "Other__e"})

    def relay_on(events):
        bus.publish([other(number=event.payload["Number__c"] * 10) for event in events])

    with subscribed(relay_on, "Counted__e", name="first"), subscribed(seen, "Other__e", name="second"):
        publish(counted, 1, 2)
        event_bus.deliver()
    assert seen.numbers() == [10, 20]
    assert {event.correlation_id for call in seen.calls for event in call} == {"c"}


@pytest.mark.django_db(transaction=True)
def test_a_subscriber_that_loses_the_connection_has_failed_and_is_tried_again(counted, event_bus, moving_clock):
    tries = []

    def handle(events):
        tries.append(len(events))
        make_groups(events)
        if len(tries) == 1:
            connection.close()

    with subscribed(handle, "Counted__e", name="unlucky"):
        publish(counted, 1)
        event_bus.deliver(raise_errors=False)
        assert group_names() == []
        assert Subscription.objects.get(name="unlucky").failures == 1
        moving_clock.move(timedelta(seconds=1))
        assert event_bus.deliver() == 1
    assert group_names() == ["1"]


@pytest.mark.django_db(transaction=True)
def test_an_error_after_the_commit_is_no_failure_of_the_subscription(counted, event_bus):
    def handle(events):
        make_groups(events)
        transaction.on_commit(lambda: Group.objects.create(name="1"))

    with subscribed(handle, "Counted__e", name="done"):
        publish(counted, 1)
        event_bus.relay()
        [subscriber] = [found for found in _declared() if found.name == "done"]
        with pytest.raises(DatabaseError):
            deliver_batch(event_bus.log, subscriber)
    found = Subscription.objects.get(name="done")
    assert (found.state, found.failures) == ("running", 0)
    assert group_names() == ["1"]


def _declared():
    from events.registry import all_subscribers

    return all_subscribers()
