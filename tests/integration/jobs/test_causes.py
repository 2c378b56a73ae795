"""What came from what: through operations, events, queued callouts, callbacks and calls from outside."""

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction

import callouts
from callouts import http
from callouts.external_services.models import CallbackReceipt, Invocation
from callouts.models import IntegrationLogEntry
from callouts.queue.models import QueuedCallout
from credentials.actions import ensure_external_credential, ensure_named_credential
from crm.models import Account, Case
from events.actions import synchronise
from events.definitions import PlatformEvent, PublishBehavior, Text
from events.models import ChangedRecord, EventLogEntry
from events.testing import subscribed
from isthmus import causes, correlation
from isthmus.access.actions import assign, ensure_permission_set, issue_access_token
from isthmus.console import timeline
from isthmus.console.picture import draw
from isthmus.jobs import queueable
from isthmus.jobs.models import Job
from isthmus.objects.record_ids import record_id_of
from tests.service_fixtures import approve as approve
from tests.service_fixtures import bank as bank
from tests.service_fixtures import bank_door as bank_door
from tests.service_fixtures import mortgages as mortgages
from tests.service_fixtures import submitted as submitted
from tests.service_fixtures import teller as teller

pytestmark = pytest.mark.django_db


@queueable()
def note(name):
    """Do nothing but run."""
    return name


@queueable()
def begin_more(name):
    """Begin another operation, and change a record."""
    note.enqueue(name=name)
    Account.objects.create(name=name)


@pytest.fixture
def told(event_bus):
    """Two events, one of which leaves at once."""

    class Told(PlatformEvent):
        """Tells."""

        api_name = "Told__e"
        text = Text("Text__c", length=20)

    class Shouted(Told):
        """Tells at once."""

        api_name = "Shouted__e"
        publish_behavior = PublishBehavior.IMMEDIATELY

    # An event that leaves at once needs its topic and schema, which migrations make.
    synchronise()
    return Told, Shouted


def cause_of(topic):
    return EventLogEntry.objects.filter(topic__name=topic).values_list("cause", flat=True).get()


def test_a_cause_holds_within_its_block_only():
    with causes.bind("operation:1"):
        with causes.bind("event:2"):
            assert causes.current() == "event:2"
        assert causes.current() == "operation:1"
    assert causes.current() == ""
    assert len("callback:01980000-0000-0000-0000-000000000000") <= causes.MAX_LENGTH
    assert len(f"event:{2**63 - 1}-{2**63 - 1}") <= causes.MAX_LENGTH


def test_what_an_operation_begins_and_changes_comes_from_it(jobs, event_bus):
    job = begin_more.enqueue(name="x")
    jobs.run_all()
    event_bus.relay()
    assert Job.objects.get(pk=job.pk).cause == ""
    assert Job.objects.get(function=note.declaration.name).cause == f"operation:{job.pk}"
    assert cause_of("/data/AccountChangeEvent") == f"operation:{job.pk}"


def test_what_is_published_comes_from_what_publishes_it(event_bus, told):
    event, at_once = told
    with causes.bind("operation:7"), transaction.atomic():
        Group.objects.create(name="one")
        event(text="a").publish()
        at_once(text="b").publish()
    event_bus.relay()
    assert cause_of("/event/Told__e") == cause_of("/event/Shouted__e") == "operation:7"


def test_what_a_subscriber_begins_comes_from_its_events(event_bus, told):
    event, _ = told
    external = ensure_external_credential("Acme", protocol="basic")
    ensure_named_credential("Acme", url="https://acme.example.org", external_credential=external)

    def handle(events):
        note.enqueue(name=events[0].payload["Text__c"])
        callouts.enqueue("Tell", http.Request(method="GET", url="callout:Acme/x"))

    with subscribed(handle, "Told__e", name="reader"):
        event(text="one").publish()
        event_bus.deliver()
        with correlation.bind("same"):
            for text in ("two", "three", "four"):
                event(text=text).publish()
        event_bus.deliver()
    first, *_, last = EventLogEntry.objects.order_by("replay_id").values_list("replay_id", flat=True)
    expected = [f"event:{first}", f"event:{first + 1}-{last}"]
    assert list(Job.objects.order_by("created_at", "pk").values_list("cause", flat=True)) == expected
    assert list(QueuedCallout.objects.order_by("pk").values_list("cause", flat=True)) == expected


def test_what_a_callback_begins_comes_from_it(submitted, approve, teller):
    sent = submitted(user=teller)
    sent.call_back(body=approve)
    receipt = CallbackReceipt.objects.get()
    assert receipt.job.cause == f"callback:{receipt.pk}"
    line = timeline.trace(str(receipt.pk))
    told = " ".join(curve.told for curve in draw(line.entries).curves)
    numbers = {entry.kind: number for number, entry in enumerate(line.entries, start=1)}
    assert f"{numbers['Invocation submitted']} → {numbers['Callback']}" in told


def test_a_time_line_draws_the_whole_chain(event_bus, jobs, told):
    """Operation → change → event's subscriber → operation."""
    with correlation.bind("chain"):
        begin_more.enqueue(name="x")
    jobs.run_all()
    with subscribed(lambda _events: note.enqueue(name="y"), "AccountChangeEvent", start="earliest"):
        event_bus.deliver()
    entries = timeline.trace("chain").entries
    by_lane = {}
    for number, entry in enumerate(entries, start=1):
        by_lane.setdefault(entry.lane, []).append(number)
    first, begun, after_event = by_lane[timeline.Lane.OPERATIONS]
    (change,) = by_lane[timeline.Lane.CHANGES]
    told_links = {curve.told for curve in draw(entries).curves}
    assert told_links == {f"{first} → {begun}", f"{first} → {change}", f"{change} → {after_event}"}


def test_an_event_of_the_transaction_of_a_change_is_linked_to_it(event_bus, told):
    event, _ = told
    with correlation.bind("together"), transaction.atomic():
        Account.objects.create(name="Acme")
        event(text="a").publish()
    event_bus.relay()
    entries = timeline.trace("together").entries
    change = next(entry for entry in entries if entry.lane is timeline.Lane.CHANGES)
    published = next(entry for entry in entries if entry.lane is timeline.Lane.EVENTS)
    assert published.causes == (change.id,)


def test_a_record_has_its_changes_even_those_without_a_correlation(event_bus):
    account = Account.objects.create(name="Acme")
    other = Account.objects.create(name="Other")
    event_bus.relay()
    for reference in (record_id_of(account), record_id_of(account)[:15]):
        line = timeline.trace(reference)
        assert [entry.kind for entry in line.entries] == ["Change event"], reference
    assert ChangedRecord.objects.count() == 2
    assert timeline.knows(record_id_of(other))


def test_a_call_from_outside_is_where_its_changes_come_from(client, event_bus):
    user = User.objects.create_user("integration")
    grants = [("endpoint", "post", "/v1/support-requests/*"), ("field", "edit", "Case.*")]
    grants += [("object", action, "Case") for action in ("create", "read", "edit")]
    assign(ensure_permission_set("Calls", "Calls", grants), user)
    token = issue_access_token(user)
    answer = client.post(
        "/services/apexrest/v1/support-requests/",
        {"externalReference": "R-1", "customerEmail": "a@example.org", "subject": "S"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", "X-Request-Id": "from-outside", "Idempotency-Key": '"k-1"'},
    )
    assert Case.objects.exists(), answer.content
    event_bus.relay()
    entry = IntegrationLogEntry.objects.get(direction="inbound")
    assert entry.idempotency_key == "k-1"
    assert cause_of("/data/CaseChangeEvent") == f"call:{entry.pk}"
    line = timeline.trace("from-outside")
    assert {curve.told for curve in draw(line.entries).curves} == {"1 → 2"}


def test_what_a_subscriber_sends_by_itself_comes_from_its_event(event_bus, told, bank_door, teller, callout_mock):
    event, _ = told
    callout_mock.get("callout:Acme_Bank/rates", json=[])

    def handle(_events):
        http.get("callout:Acme_Bank/rates", user=teller)

    with subscribed(handle, "Told__e", name="reader"), correlation.bind("sent"):
        event(text="one").publish()
        event_bus.deliver()
    published = EventLogEntry.objects.get()
    assert IntegrationLogEntry.objects.get().cause == f"event:{published.replay_id}"
    assert {curve.told for curve in draw(timeline.trace("sent").entries).curves} == {"1 → 2"}


def test_what_is_submitted_in_a_callback_or_an_event_comes_from_it(submitted, teller):
    with correlation.bind("asked"), causes.bind("event:17"):
        submitted(user=teller)
    invocation = Invocation.objects.get()
    assert invocation.cause == "event:17"
    begun = next(entry for entry in timeline.trace("asked").entries if entry.id == f"invocation:{invocation.pk}")
    assert begun.causes == ("event:17",)
    # What it sent comes from the invocation, which is nearer.
    sent = next(entry for entry in timeline.trace("asked").entries if entry.id.startswith("exchange:"))
    assert sent.causes == (begun.id,)
