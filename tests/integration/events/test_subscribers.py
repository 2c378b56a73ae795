"""Subscribers: effects and cursor commit together, failures are kept and tried again, nothing is skipped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.models import Contact
from events import actions, bus
from events.calling import current_delivery
from events.delivery import deliver_batch
from events.errors import InvalidResumePoint, NotParked
from events.logs import Retention
from events.models import ParkedEvent, Subscription, SubscriptionState
from events.parking import discard, redrive
from events.subscribers import Retryable
from events.testing import SubscriberFailed, subscribed
from isthmus import clock, correlation
from isthmus.access.actions import assign, ensure_permission_set
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


def test_what_may_succeed_later_is_tried_nine_times_more_with_growing_delays(counted, event_bus, moving_clock):
    broken = True

    def handle(events):
        if broken:
            raise Retryable("the bank is closed")
        make_groups(events)

    delays = []
    with subscribed(handle, "Counted__e", name="picky"):
        publish(counted, 1)
        for _ in range(9):
            event_bus.deliver(raise_errors=False)
            found = Subscription.objects.get(name="picky")
            delays.append((found.next_attempt_at - clock.now()).total_seconds())
            moving_clock.move(found.next_attempt_at - clock.now())
        assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256]
        broken = False
        assert event_bus.deliver() == 1
    found = Subscription.objects.get(name="picky")
    assert (found.state, found.failures, found.last_error, found.next_attempt_at) == ("running", 0, "", None)
    assert group_names() == ["1"]


def test_what_never_succeeds_is_parked_after_the_last_try(counted, event_bus, moving_clock):
    def closed(events):
        raise Retryable("the bank is closed")

    with subscribed(closed, "Counted__e", name="picky"):
        publish(counted, 1)
        deliver_until_calm(event_bus, moving_clock)
    parked = ParkedEvent.objects.get()
    assert (parked.failures, parked.error) == (10, "Retryable: the bank is closed")


def deliver_until_calm(event_bus, moving_clock):
    """Deliver, and let time pass whenever a subscription waits for another try; return how often it did."""
    for waits in range(40):
        event_bus.deliver(raise_errors=False)
        waiting = Subscription.objects.filter(state="retrying").first()
        if waiting is None:
            return waits
        moving_clock.move(max(timedelta(0), waiting.next_attempt_at - clock.now()))
    raise AssertionError("It never became calm.")


# --- poisonous events -------------------------------------------------------------------------------------------------
@given(poisonous=st.sets(st.integers(0, 12), max_size=5), batch_size=st.integers(1, 13))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_event_is_handled_once_but_the_poisonous_ones_which_are_parked(event_bus, counted, poisonous, batch_size):
    def handle(events):
        make_groups(events)
        if poisonous & {event.payload["Number__c"] for event in events}:
            raise ValueError("poison")

    with (
        transaction.atomic(),
        clock.use(clock.MovableClock(datetime(2026, 6, 1, 12, tzinfo=UTC))) as moving,
        subscribed(handle, "Counted__e", name="picky", batch_size=batch_size),
    ):
        publish(counted, *range(13))
        assert deliver_until_calm(event_bus, moving) == (3 if poisonous else 0) * len(
            batches_with(poisonous, batch_size)
        )
        assert sorted(map(int, group_names())) == sorted(set(range(13)) - poisonous)
        parked = ParkedEvent.objects.order_by("replay_id")
        assert [row.payload["Number__c"] for row in parked] == sorted(poisonous)
        transaction.set_rollback(True)


def batches_with(poisonous, size):
    """Return the calls that fail: a batch ends where one before it failed, and begins behind it."""
    return [start for start in range(0, 13, size) if poisonous & set(range(start, start + size))]


def test_a_parked_event_keeps_its_error_and_is_driven_again(counted, event_bus, moving_clock):
    poison = {2}

    def handle(events):
        make_groups(events)
        for event in events:
            if event.payload["Number__c"] in poison:
                raise ValueError(f"no {event.payload['Number__c']}")

    with subscribed(handle, "Counted__e", name="picky"):
        publish(counted, 1, 2, 3)
        deliver_until_calm(event_bus, moving_clock)
        assert group_names() == ["1", "3"]
        found = Subscription.objects.get(name="picky")
        assert (found.state, found.last_error) == ("running", "")
        parked = ParkedEvent.objects.get()
        assert (parked.error, parked.failures, parked.payload["Number__c"]) == ("ValueError: no 2", 4, 2)
        assert "in handle" in parked.trace
        assert redrive(parked) is False
        poison.clear()
        assert redrive(parked) is True
        assert group_names() == ["1", "2", "3"]
        with pytest.raises(NotParked, match="handled already"):
            redrive(parked)
        with pytest.raises(NotParked):
            discard(parked)
    parked.refresh_from_db()
    assert (parked.state, parked.failures) == ("handled", 5)


def test_a_subscription_may_stop_at_a_poisonous_event(counted, event_bus, moving_clock):
    with subscribed(failing_at(2), "Counted__e", name="strict", on_poison="stop"):
        publish(counted, 1, 2, 3)
        deliver_until_calm(event_bus, moving_clock)
        found = Subscription.objects.get(name="strict")
        assert (found.state, group_names(), ParkedEvent.objects.count()) == ("stopped", ["1"], 0)
        assert found.cursor > 0
        assert "cannot be handled: ValueError: no 2" in found.last_error
        assert Subscription.objects.with_lag().get(name="strict").lag == 2


def test_when_nearly_everything_fails_it_is_not_the_events(counted, event_bus, moving_clock, settings):
    settings.ISTHMUS_EVENTS_PARKED_AT_ONCE = 2
    broken = True

    def handle(events):
        if broken:
            raise TypeError("deployed too early")
        make_groups(events)

    with subscribed(handle, "Counted__e", name="broken"):
        publish(counted, 1, 2, 3)
        for _ in range(6):
            event_bus.deliver(raise_errors=False)
            found = Subscription.objects.get(name="broken")
            moving_clock.move(found.next_attempt_at - clock.now())
        assert (found.state, ParkedEvent.objects.count()) == ("retrying", 0)
        assert "More than 2 events of one call fail" in found.last_error
        broken = False
        event_bus.deliver()
    assert group_names() == ["1", "2", "3"]


# --- resume points ----------------------------------------------------------------------------------------------------
def test_what_was_done_up_to_a_resume_point_is_kept(counted, event_bus, moving_clock):
    calls = []

    def handle(events):
        calls.append([event.payload["Number__c"] for event in events])
        for event in events:
            Group.objects.create(name=f"{event.payload['Number__c']}")
            if event.payload["Number__c"] == 3 and len(calls) == 1:
                raise ValueError("the first time")
            current_delivery().resume_after(event)

    with subscribed(handle, "Counted__e", name="careful"):
        publish(counted, 1, 2, 3, 4)
        event_bus.deliver(raise_errors=False)
        assert group_names() == ["1", "2"]
        assert Subscription.objects.get(name="careful").failures == 1
        deliver_until_calm(event_bus, moving_clock)
    assert (calls, group_names()) == ([[1, 2, 3, 4], [3, 4]], ["1", "2", "3", "4"])


def test_a_call_may_leave_the_rest_for_the_next_one(counted, event_bus):
    calls = []

    def one_at_a_time(events):
        calls.append(len(events))
        make_groups(events[:1])
        current_delivery().resume_after(events[0])

    with subscribed(one_at_a_time, "Counted__e"):
        publish(counted, 1, 2, 3)
        assert event_bus.deliver() == 3
    assert (calls, group_names()) == ([3, 2, 1], ["1", "2", "3"])


def test_a_resume_point_that_cannot_be_is_an_error(counted, event_bus, seen):
    problems = []

    def handle(events):
        first, second = events
        current_delivery().resume_after(second)
        for event in (first, second, replace(first, replay_id=99)):
            with pytest.raises(InvalidResumePoint) as refused:
                current_delivery().resume_after(event)
            problems.append(refused.value)

    def nested(events):
        with transaction.atomic(), pytest.raises(InvalidResumePoint, match="own"):
            current_delivery().resume_after(events[0])

    with subscribed(handle, "Counted__e", name="one"), subscribed(nested, "Counted__e", name="two"):
        publish(counted, 1, 2)
        event_bus.deliver()
    assert len(problems) == 3
    with pytest.raises(LookupError):
        current_delivery()


def test_a_delivery_knows_how_often_it_was_tried_and_why_it_failed(counted, event_bus, moving_clock):
    told = []

    def handle(events):
        told.append((current_delivery().retries, current_delivery().last_error))
        if len(told) < 3:
            raise ValueError("no")

    with subscribed(handle, "Counted__e"):
        publish(counted, 1)
        deliver_until_calm(event_bus, moving_clock)
    assert told == [(0, ""), (1, "ValueError: no"), (2, "ValueError: no")]


# --- whose events, which of them ----------------------------------------------------------------------------------
def test_a_filter_leaves_events_out_and_the_cursor_moves_all_the_same(counted, event_bus, seen):
    with subscribed(seen, "Counted__e", name="odd", filter=lambda event: event.payload["Number__c"] % 2):
        publish(counted, 1, 2, 3, 4)
        event_bus.deliver()
    assert seen.numbers() == [1, 3]
    assert Subscription.objects.with_lag().get(name="odd").lag == 0


def test_a_filter_may_be_an_expression(counted, event_bus, seen):
    with subscribed(seen, "Counted__e", filter="Number__c >= 2 AND Note__c != 'x'"):
        bus.publish([counted(number=1), counted(number=2), counted(number=3, note="X")])
        event_bus.deliver()
    assert seen.numbers() == [2]


def test_an_event_that_the_filter_cannot_judge_is_parked_and_the_others_are_handled(
    counted, event_bus, seen, moving_clock
):
    with subscribed(seen, "Counted__e", name="strict", filter=lambda event: 6 / event.payload["Number__c"] > 2):
        publish(counted, 1, 0, 2, 3)
        deliver_until_calm(event_bus, moving_clock)
    assert sorted(seen.numbers()) == [1, 2]
    parked = ParkedEvent.objects.get()
    assert (parked.payload["Number__c"], parked.error) == (0, "ZeroDivisionError: division by zero")


def test_what_came_before_a_resume_point_is_not_done_again_when_the_rest_is_gone_through(
    counted, event_bus, moving_clock, settings
):
    settings.ISTHMUS_EVENTS_PARKED_AT_ONCE = 1

    def handle(events):
        for event in events:
            Group.objects.create(name=f"{event.payload['Number__c']}")
            if event.payload["Number__c"] > 2:
                raise ValueError("too large")
            current_delivery().resume_after(event)

    with subscribed(handle, "Counted__e", name="careful"):
        publish(counted, 1, 2, 3, 4, 5)
        for _ in range(6):
            event_bus.deliver(raise_errors=False)
            found = Subscription.objects.get(name="careful")
            moving_clock.move(found.next_attempt_at - clock.now())
        assert "More than 1 events" in found.last_error
        assert Subscription.objects.with_lag().get(name="careful").lag == 3
    assert group_names() == ["1", "2"]


def test_a_call_may_have_events_of_several_correlations(counted, event_bus):
    calls = []

    def handle(events):
        bound = []
        for event in events:
            with event.bound():
                bound.append(correlation.current())
        calls.append((correlation.current() in {"one", "two"}, bound))

    with subscribed(handle, "Counted__e", one_correlation=False):
        publish(counted, 1, correlation_id="one")
        publish(counted, 2, correlation_id="two")
        event_bus.deliver()
    assert calls == [(False, ["one", "two"])]


def test_a_subscriber_runs_as_a_user_and_sees_what_that_user_may_read(event_bus, moving_clock):
    ada = get_user_model().objects.create_user("ada")
    got = []
    users = []

    def handle(events):
        users.append(acting_user().username)
        got.extend(event.payload for event in events)

    with subscribed(handle, "ContactChangeEvent", name="limited", run_as="ada"):
        contact = Contact.objects.create(last_name="Lovelace", email="ada@example.org", phone="1")
        event_bus.deliver(raise_errors=False)
        assert (
            "lacks the grant event.subscribe on ContactChangeEvent"
            in Subscription.objects.get(name="limited").last_error
        )
        grants = [("event", "subscribe", "ContactChangeEvent"), ("field", "read", "Contact.Phone")]
        assign(ensure_permission_set("P", "P", grants=grants), ada)
        deliver_until_calm(event_bus, moving_clock)
        contact.phone, contact.email = "2", ""
        contact.save()
        event_bus.deliver()
    assert users == ["ada", "ada"]
    created, updated = got
    assert (created["Phone"], "Email" in created) == ("1", False)
    header = updated["ChangeEventHeader"]
    assert (updated["Phone"], "Email" in updated, header["nulledFields"]) == ("2", False, [])
    assert "Email" not in header["changedFields"]


def test_a_subscriber_whose_user_is_not_there_waits_however_long(counted, event_bus, seen, moving_clock):
    with subscribed(seen, "Counted__e", name="orphan", run_as="nobody"):
        publish(counted, 1)
        for _ in range(12):
            event_bus.deliver(raise_errors=False)
            found = Subscription.objects.get(name="orphan")
            moving_clock.move(found.next_attempt_at - clock.now())
    assert (found.state, found.failures, ParkedEvent.objects.count()) == ("retrying", 12, 0)
    assert "'nobody', which is no active user" in found.last_error


# --- events that are gone -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("on_expired", "told"), [("earliest", ["gap", 3, 4]), ("latest", [4])])
def test_a_subscription_whose_events_are_gone_goes_on_as_it_says(counted, event_bus, moving_clock, on_expired, told):
    got = []

    def handle(events):
        got.extend("gap" if event.is_gap else event.payload["Number__c"] for event in events)

    with subscribed(handle, "Counted__e", name="sleeper", on_expired=on_expired):
        publish(counted, 1, 2)
        event_bus.relay()
        moving_clock.move(timedelta(hours=1))
        event_bus.log.trim("/event/Counted__e", Retention(before=clock.now()), limit=10)
        publish(counted, 3)
        event_bus.deliver()
        publish(counted, 4)
        event_bus.deliver()
    assert got == told


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
        actions.rewind(found, to="earliest")
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
