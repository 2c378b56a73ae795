"""Log, cursors and capture under whatever order of acts comes to mind."""

from datetime import timedelta

import pytest
from django.db import OperationalError, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crm.models import Account, Contact
from events import actions, bus, topics
from events.delivery import deliver_batch
from events.errors import ReplayIdExpired, SkipRefused
from events.logs import DatabaseEventLog, Retention
from events.models import ParkedEvent, ParkedState, Subscription, SubscriptionState
from events.relay import Relay
from events.testing import MemoryEventLog, subscribed
from events.verification import verify
from isthmus import clock
from isthmus.objects.registry import get_object

TOPICS = ("/event/Sample__e", "/data/ContactChangeEvent", "/data/AccountChangeEvent")
ALL = (*TOPICS, "/data/ChangeEvents")


def assert_holds(machine, *, examples, steps=25):
    """Let the machine run; its rules and invariants assert. What they find is shown as found: shrinking takes long."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def given(machine, **values):
    """Return the machine with what a test's fixtures give it."""
    return type(machine.__name__, (machine,), values)


class Undone(RuleBasedStateMachine):
    """A machine whose writes are rolled back in the end."""

    def __init__(self):
        super().__init__()
        self._atomic = transaction.atomic()
        self._atomic.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self._atomic.__exit__(None, None, None)
        topics.forget()


class LogMachine(Undone):
    """Two logs are told the same and say the same."""

    def __init__(self):
        super().__init__()
        self.logs = (DatabaseEventLog(), MemoryEventLog())
        self.appended = []
        for log in self.logs:
            log.ensure_topics(TOPICS)
        # The database goes on numbering where it was; the memory begins at 0.
        self.before = self.logs[0].append([self.new_event(TOPICS[0])])[0]
        self.logs[1]._last = self.before - 1
        self.logs[1].append([self.first(self.logs[0])])

    def first(self, log):
        event = log.read(TOPICS[0], after=self.before - 1, limit=1)[0]
        given = {name: value for name, value in vars(event).items() if name != "replay_id"}
        return self.new_event(TOPICS[0], **{name: value for name, value in given.items() if name != "topic"})

    def same(self, ask):
        answers = []
        for log in self.logs:
            try:
                answers.append(ask(log))
            except ReplayIdExpired as expired:
                answers.append(type(expired))
        assert answers[0] == answers[1]
        return answers[0]

    @rule(names=st.lists(st.sampled_from(TOPICS), min_size=1, max_size=5))
    def append(self, names):
        made = [self.new_event(name) for name in names]
        self.appended += made
        self.same(lambda log: log.append(made))

    @precondition(lambda self: self.appended)
    @rule(data=st.data())
    def append_again(self, data):
        kept = {event.event_uuid for _, event in self.logs[1]._events}
        some = data.draw(st.lists(st.sampled_from(self.appended), max_size=3, unique_by=lambda event: event.event_uuid))
        again = [event for event in some if event.event_uuid in kept]
        self.same(lambda log: log.append(again))

    @rule(topic=st.sampled_from(ALL), back=st.integers(-2, 12), limit=st.integers(1, 5))
    def read(self, topic, back, limit):
        after = max(0, self.logs[0].newest() - back)
        found = self.same(lambda log: log.read(topic, after=after, limit=limit))
        if isinstance(found, list):
            ids = [event.replay_id for event in found]
            assert ids == sorted(set(ids))
            assert all(replay_id > after for replay_id in ids)

    @rule(topic=st.sampled_from(TOPICS), limit=st.integers(1, 4), hours=st.integers(0, 3))
    def trim(self, topic, limit, hours):
        rule_of_it = Retention(before=self.now.now() - timedelta(hours=hours))
        self.same(lambda log: log.trim(topic, rule_of_it, limit=limit))

    @rule(hours=st.integers(1, 2))
    def time_passes(self, hours):
        self.now.move(timedelta(hours=hours))

    @rule(topic=st.sampled_from(ALL), hours=st.integers(0, 4))
    def position(self, topic, hours):
        self.same(lambda log: log.position_at(topic, self.now.now() - timedelta(hours=hours)))

    @invariant()
    def ends_agree(self):
        for topic in ALL:
            assert self.same(lambda log, topic=topic: log.earliest(topic)) <= self.logs[0].newest()
        self.same(lambda log: log.latest_of(ALL))

    @invariant()
    def nothing_is_missing(self):
        assert [self.logs[0].recount(topic) for topic in TOPICS] == [0, 0, 0]


@pytest.mark.django_db
def test_the_log_in_the_database_is_the_log_in_memory(new_event, moving_clock):
    assert_holds(given(LogMachine, new_event=staticmethod(new_event), now=moving_clock), examples=25)


class CursorMachine(Undone):
    """A subscriber that fails now and then, and operators who steer it: its effects are those of the model."""

    def __init__(self):
        super().__init__()
        self.block = subscribed(self.handle, "Counted__e", name="machine", batch_size=4, start="earliest")
        self.log = self.event_bus.log
        self.number = 0
        self.poisonous = set()
        self.broken = False
        self.subscriber = None

    @initialize()
    def begin(self):
        self.subscriber = self.block.__enter__()
        actions.rewind(self.row, to="earliest")
        deliver_batch(self.log, self.subscriber)

    def teardown(self):
        self.block.__exit__(None, None, None)
        super().teardown()

    def handle(self, events):
        if self.broken:
            raise OperationalError("The database is away.")
        numbers = [event.payload["Number__c"] for event in events]
        if self.poisonous & set(numbers):
            raise ValueError("Poison.")
        # As a row in the same transaction would be, this is kept only with the cursor.
        Account.objects.bulk_create(Account(name=str(number)) for number in numbers)

    @property
    def row(self):
        return Subscription.objects.select_related("topic").get(name="machine")

    def done(self):
        return [int(name) for name in Account.objects.order_by("pk").values_list("name", flat=True)]

    @rule(many=st.integers(1, 5), poison=st.booleans())
    def publish(self, many, poison):
        numbers = list(range(self.number + 1, self.number + many + 1))
        self.number += many
        if poison:
            self.poisonous.add(numbers[0])
        bus.publish([self.counted(number=number) for number in numbers])
        self.event_bus.relay()

    @rule()
    def the_database_goes_away_or_comes_back(self):
        self.broken = not self.broken

    @rule(times=st.integers(1, 6))
    def deliver(self, times):
        for _ in range(times):
            Subscription.objects.filter(state="retrying").update(next_attempt_at=clock.now())
            deliver_batch(self.log, self.subscriber)

    @rule()
    def pause(self):
        actions.pause(self.row)

    @rule()
    def resume(self):
        actions.resume(self.row)

    @rule(wrong=st.integers(1, 3))
    def skipping_names_the_number(self, wrong):
        lag = Subscription.objects.with_lag().get(name="machine").lag
        with pytest.raises(SkipRefused):
            actions.skip(self.row, count=lag + wrong)

    @invariant()
    def everything_up_to_the_cursor_happened_once_in_order_or_is_parked(self):
        if self.subscriber is None:
            return
        cursor = self.row.cursor
        passed = [
            event.payload["Number__c"]
            for event in self.log.read("/event/Counted__e", after=0, limit=10_000)
            if event.replay_id <= cursor
        ]
        parked = {row.payload["Number__c"] for row in ParkedEvent.objects.filter(state=ParkedState.PARKED)}
        assert self.done() == [number for number in passed if number not in parked]
        assert parked <= self.poisonous

    @invariant()
    def a_subscription_never_stops_by_itself(self):
        if self.subscriber is not None:
            assert self.row.state != SubscriptionState.STOPPED


@pytest.mark.django_db
def test_a_cursor_passes_what_happened_once_in_order_and_nothing_else(counted, event_bus):
    assert_holds(given(CursorMachine, counted=counted, event_bus=event_bus), examples=25, steps=20)


class CaptureMachine(RuleBasedStateMachine):
    """Whatever is done to records, in whatever transactions: their events tell what they hold."""

    def __init__(self):
        super().__init__()
        self.log = DatabaseEventLog()
        self.open = []

    def some(self, place):
        pks = list(Contact.all_objects.order_by("pk").values_list("pk", flat=True))
        return pks[place % len(pks)] if pks else None

    @rule(names=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=3), together=st.booleans())
    def create(self, names, together):
        if together:
            Contact.objects.bulk_create(Contact(last_name=name) for name in names)
        else:
            for name in names:
                Contact.objects.create(last_name=name)

    @rule(place=st.integers(0, 50), phone=st.sampled_from(["", "1", "2"]), past_the_model=st.booleans())
    def update(self, place, phone, past_the_model):
        if past_the_model:
            Contact.all_objects.filter(pk=self.some(place)).update(phone=phone)
        elif contact := Contact.all_objects.filter(pk=self.some(place)).first():
            contact.phone = phone
            contact.save()

    @rule(phone=st.sampled_from(["3", "4"]))
    def update_all(self, phone):
        Contact.objects.all().update(phone=phone)

    @rule(place=st.integers(0, 50), act=st.sampled_from(["delete", "undelete", "purge"]))
    def delete(self, place, act):
        contact = Contact.all_objects.filter(pk=self.some(place)).first()
        if contact is None or (act != "purge" and contact.is_deleted == (act == "delete")):
            return
        getattr(contact, act)()

    @precondition(lambda self: len(self.open) < 3)
    @rule()
    def begin(self):
        block = transaction.atomic()
        block.__enter__()
        self.open.append(block)

    @precondition(lambda self: self.open)
    @rule(commit=st.booleans())
    def end(self, commit):
        block = self.open.pop()
        if not commit:
            transaction.set_rollback(True)
        block.__exit__(None, None, None)

    @precondition(lambda self: not self.open)
    @rule()
    def relay(self):
        Relay(self.log).move_all()

    def teardown(self):
        try:
            while self.open:
                self.end(commit=True)
            self.relay()
            found = verify(get_object("Contact"), self.log, patience_seconds=0)
            assert found.differences == []
            assert (found.untold, found.undecided) == (0, 0)
        finally:
            for contact in Contact.all_objects.all():
                contact.purge()
            self.relay()


@pytest.mark.django_db(transaction=True)
def test_the_events_of_records_tell_what_the_records_hold(event_bus):
    assert_holds(CaptureMachine, examples=30)
