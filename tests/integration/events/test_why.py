"""Why did this not fire? Each thing that can keep a change from its subscriber is named, with what would cure it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings
from django.urls import reverse
from django.utils.http import urlencode

from crm.models import Account, Contact
from events import actions, retention
from events.actions.channels import save_channel, save_member
from events.logs import Retention, get_event_log
from events.models import ChangedRecord, Channel, ChannelMember, EventLogEntry, Subscription, Topic
from events.testing import subscribed
from events.why import Verdict, explain_event, explain_record
from isthmus import clock
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.objects.capture.triggers.switching import switch
from isthmus.objects.models import ObjectSharing
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.registry import get_object
from tests import console_samples as samples

pytestmark = pytest.mark.django_db

CONTACTS = "/data/ContactChangeEvent"


def nothing(_events):
    """Handle everything."""


def always_fails(_events):
    raise ValueError("cannot")


@pytest.fixture
def contact(event_bus):
    return Contact.objects.create(last_name="Lovelace", email="ada@example.org")


def answer(record, **given):
    return explain_record(get_object("Contact"), record.pk, **given)


def group(found, title):
    return next(one for one in found.groups if one.title == title)


def found_in(found, title, subject=""):
    return next(one for one in group(found, title).findings if subject in one.subject)


def test_an_object_that_is_not_captured_stops_everything(contact, event_bus):
    switch(get_object("Contact"), is_on=False)
    found = found_in(answer(contact), "The object")
    assert found.verdict is Verdict.STOPPED
    assert "an administrator decided so" in found.reason
    assert "Change tracking" in found.cure


def test_a_change_that_waits_for_the_relay_is_shown_with_its_fields_and_transaction(contact):
    found = found_in(answer(contact), "The change", "enter the event log")
    assert found.verdict is Verdict.HELD
    told = dict(found.values)
    assert told["change"] == "CREATE"
    assert {"LastName", "Email"} <= set(told["fields"].split(", "))
    assert len(told["transaction"]) == 36


def test_a_change_that_tells_the_outside_nothing_is_said_so(contact, event_bus):
    contact.delete()
    event_bus.relay()
    pk = contact.pk
    contact.purge()
    found = next(
        one for one in explain_record(get_object("Contact"), pk).groups[1].findings if "to tell" in one.subject
    )
    assert (found.verdict, dict(found.values).keys()) == (Verdict.STOPPED, {"transaction"})


def test_a_change_in_the_log_is_followed_and_another_can_be_chosen(contact, event_bus, moving_clock):
    event_bus.relay()
    moving_clock.move(timedelta(hours=1))
    contact.email = "other@example.org"
    contact.save()
    event_bus.relay()
    latest = answer(contact)
    told = dict(found_in(latest, "The change").values)
    assert "Email" in told["fields"]
    assert told["transaction"] == str(latest.chosen.transaction_key)
    assert [change.replay_id for change in latest.changes] == sorted(
        (change.replay_id for change in latest.changes), reverse=True
    )
    first = latest.changes[1]
    assert answer(contact, replay_id=first.replay_id).chosen == first
    assert answer(contact, until=latest.chosen.created_at - timedelta(microseconds=1)).chosen == first
    missing = answer(contact, until=first.created_at - timedelta(days=1))
    assert missing.chosen is None
    assert f"{latest.chosen.replay_id}, {first.replay_id}" in found_in(missing, "The change").reason


def test_what_retention_removed_is_said_so(contact, event_bus, moving_clock):
    event_bus.relay()
    # What somebody has not read yet is kept.
    Subscription.objects.all().delete()
    moving_clock.move(timedelta(hours=100))
    assert retention.trim(event_bus.log) > 0
    assert not ChangedRecord.objects.exists()
    found = found_in(answer(contact), "The change", "still kept")
    assert found.verdict is Verdict.STOPPED
    assert "72 hours" in found.reason


def test_a_record_that_never_changed_is_said_so(event_bus):
    found = explain_record(get_object("Contact"), 4711)
    assert found.chosen is None
    assert found.groups[1].verdict is Verdict.STOPPED
    assert "None of this record is kept" in found.groups[1].findings[0].reason


def test_an_overflow_may_be_about_any_record(event_bus):
    """More changes than are told singly become one event that names no record."""
    with override_settings(ISTHMUS_EVENTS_MAX_CHANGES_PER_TRANSACTION=1), transaction.atomic():
        Contact.objects.create(last_name="Told singly")
        contact = Contact.objects.create(last_name="Lovelace")
        event_bus.relay()
    assert "GAP_OVERFLOW" in found_in(answer(contact), "The change").reason


def test_nobody_who_reads_it_is_said_so(contact, event_bus):
    event_bus.relay()
    Subscription.objects.all().delete()
    found = found_in(answer(contact), "Subscriptions")
    assert found.verdict is Verdict.STOPPED
    assert "@subscriber" in found.cure


def test_a_subscription_that_handled_it_passes(contact, event_bus):
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest"):
        event_bus.deliver()
        assert group(answer(contact), "reader").verdict is Verdict.PASSED


def test_a_filter_tells_the_values_that_decided(contact, event_bus):
    written = "LastName = 'Babbage' AND Email LIKE '%example.org'"
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", filter=written):
        event_bus.deliver()
        found = found_in(answer(contact), "reader", "filter")
        assert found.verdict is Verdict.STOPPED
        assert found.values == (("LastName", "Lovelace"), ("Email", "ada@example.org"))
        assert written in found.reason
        assert group(answer(contact), "reader").verdict is Verdict.STOPPED


def test_a_filter_in_code_is_asked_and_writes_nothing(contact, event_bus):
    def choosy(_event):
        Account.objects.create(name="written by a filter")
        return False

    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", filter=choosy):
        event_bus.relay()
        assert found_in(answer(contact), "reader", "filter").verdict is Verdict.STOPPED
        assert "choosy" in found_in(answer(contact), "reader", "filter").reason
    assert not Account.objects.exists()


def test_a_filter_that_fails_is_the_answer(contact, event_bus):
    def broken(event):
        return event.payload["no such field"]

    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", filter=broken):
        event_bus.relay()
        assert "KeyError" in found_in(answer(contact), "reader", "filter").reason


@pytest.mark.parametrize(
    ("state", "verdict", "words"),
    [
        ("paused", Verdict.HELD, "somebody paused it"),
        ("stopped", Verdict.STOPPED, "it stopped before it"),
        ("retrying", Verdict.HELD, "it fails, and tries again"),
        ("running", Verdict.HELD, "it is behind"),
    ],
)
def test_where_a_subscription_is_is_told_with_replay_ids(contact, event_bus, state, verdict, words):
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest"):
        event_bus.relay()
        Subscription.objects.filter(name="reader").update(state=state, last_error="because")
        found = found_in(answer(contact), "reader", "handle")
        assert found.verdict is verdict
        assert words in found.reason
        assert f"this one is {answer(contact).chosen.replay_id}" in found.reason
        assert found.where.url == reverse("events:subscription", args=[Subscription.objects.get(name="reader").pk])


def test_an_event_that_is_parked_is_told_with_its_error(contact, event_bus):
    with subscribed(always_fails, "ContactChangeEvent", name="reader", start="earliest"):
        event_bus.deliver(raise_errors=False)
        for _ in range(4):
            Subscription.objects.filter(name="reader").update(next_attempt_at=clock.now())
            event_bus.deliver(raise_errors=False)
        found = found_in(answer(contact), "reader", "handle")
        assert found.verdict is Verdict.STOPPED
        assert "ValueError: cannot" in found.reason
        assert "is parked" in found.reason


def test_a_subscription_that_began_later_is_told_so(contact, event_bus):
    event_bus.relay()
    with subscribed(nothing, "ContactChangeEvent", name="late"):
        event_bus.deliver()
        found = found_in(answer(contact), "late", "handle")
    assert found.verdict is Verdict.STOPPED
    assert "after the event" in found.reason
    assert "Rewind" in found.cure


def test_a_function_that_is_gone_is_told_so(contact, event_bus):
    with subscribed(nothing, "ContactChangeEvent", name="gone", start="earliest"):
        event_bus.relay()
    assert "declares no subscriber" in found_in(answer(contact), "gone", "function").reason


def test_who_reads_without_a_grant_is_told_which_one(contact, event_bus):
    user = User.objects.create_user("reader-user")
    ObjectSharing.objects.create(object_name="Contact", default="private")
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", run_as="reader-user"):
        event_bus.relay()
        found = answer(contact)
        may = found_in(found, "reader", "subscribe")
        assert may.verdict is Verdict.HELD
        assert "event.subscribe on ContactChangeEvent" in may.cure
        assert may.where.url.startswith(reverse("console:why"))
        hidden = found_in(found, "reader", "hidden")
        assert "Email" in hidden.reason
        assert "LastName" not in hidden.reason
        assert "Not by a query" in found_in(found, "reader", "find the record").reason

        grants = [("event", "subscribe", "ContactChangeEvent"), ("object", "read", "Contact"), ("field", "read", "Contact.*")]  # noqa: E501 # fmt: skip
        assign(ensure_permission_set("Reads", "Reads", grants), user)
        found = answer(contact)
        assert found_in(found, "reader", "subscribe").verdict is Verdict.PASSED
        assert not [one for one in group(found, "reader").findings if "hidden" in one.subject]
        assert "is private" in found_in(found, "reader", "find the record").reason


def test_a_user_who_is_not_there_is_told_so(contact, event_bus):
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", run_as="nobody-at-all"):
        event_bus.relay()
        assert found_in(answer(contact), "reader", "As whom").verdict is Verdict.HELD


def test_channels_tell_what_their_filters_saw_and_subscriptions_to_them_say_so(contact, event_bus):
    channel = save_channel(Channel(name="Partner__chn", label="For our partner"))
    save_channel(Channel(name="Other__chn", label="Another"))
    save_member(
        ChannelMember(channel=channel, topic=Topic.objects.get(name=CONTACTS), filter_expression="LastName = 'Babbage'")
    )
    with subscribed(nothing, "/data/Partner__chn", name="partner", start="earliest"):
        event_bus.deliver()
        found = answer(contact)
        channels = group(found, "Channels")
        assert not channels.decides
        assert channels.findings[0].verdict is Verdict.STOPPED
        assert channels.findings[0].values == (("LastName", "Lovelace"),)
        assert "Other__chn" in channels.findings[1].reason
        assert "leaves the event out" in found_in(found, "partner", "channel").reason
        contact.last_name = "Babbage"
        contact.save()
        event_bus.deliver()
        found = answer(contact)
        assert group(found, "Channels").findings[0].verdict is Verdict.PASSED
        assert group(found, "partner").verdict is Verdict.PASSED


def test_a_subscription_to_something_else_is_told_what_it_reads(contact, event_bus):
    with subscribed(nothing, "AccountChangeEvent", name="accounts", start="earliest"):
        event_bus.relay()
        row = Subscription.objects.get(name="accounts")
        found = answer(contact, subscription_id=row.pk)
        assert found.groups[-1].title == "accounts" or group(found, "accounts")
        assert "does not carry" in found_in(found, "accounts").reason


def test_a_platform_event_is_explained_by_its_replay_id(event_bus):
    entry = samples.make_event(7)
    row = samples.make_subscription(name="reader", cursor=9, state="running")
    groups = explain_event(entry)
    assert [one.title for one in groups] == ["reader"]
    assert "declares no subscriber" in groups[0].findings[0].reason
    assert groups[0].url == reverse("events:subscription", args=[row.pk])


def test_an_event_that_the_log_lost_is_told_so(event_bus):
    entry = samples.make_event(7)
    EventLogEntry.objects.filter(pk=7).delete()
    assert explain_event(entry)[0].verdict is Verdict.STOPPED


# --- the page ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def watcher(client, db):
    client.force_login(samples.user_with("view"))
    return client


def ask(client, **given):
    page = client.get(f"/why/?{urlencode(given)}")
    assert page.status_code == 200
    return page.content.decode()


def test_the_page_says_first_what_decided(watcher, contact, event_bus):
    with subscribed(nothing, "ContactChangeEvent", name="reader", start="earliest", filter="LastName = 'Babbage'"):
        event_bus.deliver()
        page = ask(watcher, record=record_id_of(contact))
        assert "0 of 1 subscription handled it." in page or "subscriptions handled it." in page
        assert "LastName = &#x27;Babbage&#x27;" in page
        assert "Lovelace" in page
    assert "of this record is kept" in ask(watcher, record="003000000004711")


def test_the_page_takes_both_spellings_and_refuses_what_is_no_record(watcher, contact, event_bus):
    event_bus.relay()
    assert "CREATE, as replay id" in ask(watcher, record=record_id_of(contact)[:15])
    assert "no id of a record" in ask(watcher, record="nonsense")
    assert "No event has the replay id 4711" in ask(watcher, event=4711)
    assert "Give the id of a record" in watcher.get("/why/").content.decode()


def test_links_to_the_set_up_are_for_those_who_set_up(watcher, client, contact, event_bus):
    event_bus.relay()
    address = reverse("admin:objects_changetracking_changelist")
    assert address not in ask(watcher, record=record_id_of(contact))
    client.force_login(User.objects.create_superuser("root", password="x"))
    assert address in ask(client, record=record_id_of(contact))


def test_every_page_of_the_thing_leads_here(watcher, contact, event_bus):
    event_bus.relay()
    record = record_id_of(contact)
    entry = EventLogEntry.objects.get(topic__name=CONTACTS)
    assert f'href="/why/?record={record}"' in watcher.get(f"/timeline/{record}").content.decode()
    assert f'href="/why/?event={entry.pk}"' in watcher.get(f"/events/log/{entry.pk}/").content.decode()
    assert f'href="/why/?event={entry.pk}"' in watcher.get(f"/timeline/{entry.event_uuid}").content.decode()
    row = samples.make_subscription()
    assert f'href="/why/?subscription={row.pk}"' in watcher.get(f"/events/subscriptions/{row.pk}/").content.decode()
    reader = User.objects.get(username="user-view")
    assign(ensure_permission_set("Sees", "Sees", [("object", "read", "Contact")]), reader)
    assert f'href="/why/?record={record}"' in watcher.get(f"/explorer/Contact/{record}/").content.decode()
    assert 'href="/access/why/"' in watcher.get("/why/").content.decode()
    assert 'href="/why/"' in watcher.get("/access/why/").content.decode()


def test_the_page_costs_the_same_whatever_the_record_went_through(
    watcher, contact, event_bus, django_assert_max_num_queries
):
    def cost():
        with django_assert_max_num_queries(60) as captured:
            ask(watcher, record=record_id_of(contact))
        return len(captured)

    event_bus.relay()
    ask(watcher, record=record_id_of(contact))
    few = cost()
    for number in range(10):
        contact.last_name = f"Name {number}"
        contact.save()
        event_bus.relay()
        samples.make_subscription(name=f"reader-{number}", topic=Topic.objects.get(name=CONTACTS))
    assert cost() == few


def test_changes_are_noted_once_however_often_they_are_moved(contact, event_bus):
    event_bus.relay()
    assert ChangedRecord.objects.filter(record_pk=contact.pk).count() == 1
    actions.synchronise(get_event_log())
    get_event_log().trim(CONTACTS, Retention(before=clock.now() + timedelta(hours=1)), limit=100)
    assert not ChangedRecord.objects.exists()
