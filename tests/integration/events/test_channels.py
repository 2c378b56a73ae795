"""Custom channels: members, filters, further fields."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import override_settings
from django.urls import reverse

from crm.models import Account, Contact
from events import actions, retention, topics
from events.actions.channels import remove_member, save_channel, save_member
from events.calling import current_delivery
from events.errors import InvalidFilter, InvalidResumePoint, UnknownTopic
from events.logs import Retention, get_event_log
from events.models import Channel, ChannelMember, Subscription, Topic
from events.testing import subscribed
from isthmus import clock

pytestmark = pytest.mark.django_db

CHANNEL = "/data/Partner__chn"
CONTACTS, ACCOUNTS = "/data/ContactChangeEvent", "/data/AccountChangeEvent"


@pytest.fixture
def channel(event_bus):
    return save_channel(Channel(name="Partner__chn", label="For our partner"))


def add(channel, topic, **given):
    return save_member(ChannelMember(channel=channel, topic=Topic.objects.get(name=topic), **given))


def told(seen):
    return [
        (event.payload["ChangeEventHeader"]["entityName"], event.payload["ChangeEventHeader"]["changeType"])
        for call in seen.calls
        for event in call
    ]


def test_a_channel_carries_the_events_of_its_members_and_of_no_other(event_bus, channel, seen):
    add(channel, CONTACTS)
    add(channel, ACCOUNTS)
    with subscribed(seen, CHANNEL, one_correlation=False), subscribed(lambda events: None, "/data/LeadChangeEvent"):
        Contact.objects.create(last_name="A")
        Account.objects.create(name="B")
        event_bus.deliver()
    assert told(seen) == [("Contact", "CREATE"), ("Account", "CREATE")]
    assert [event.topic for event in seen.calls[0]] == [CONTACTS, ACCOUNTS]


def test_a_filter_looks_at_the_record_where_the_change_does_not_tell(event_bus, channel, seen):
    add(channel, CONTACTS, filter_expression="LastName LIKE 'L%' AND ChangeEventHeader.changeType != 'CREATE'")
    with subscribed(seen, CHANNEL):
        wanted = Contact.objects.create(last_name="Lovelace")
        other = Contact.objects.create(last_name="Babbage")
        event_bus.deliver()
        assert seen.calls == []
        for contact in (wanted, other):
            contact.phone = "1"
            contact.save()
        event_bus.deliver()
        [event] = seen.calls[0]
        assert event.payload["ChangeEventHeader"]["recordIds"] == [wanted.record_id]
        # What the filter looks at comes along; the list of changes is what it was.
        assert event.payload["LastName"] == "Lovelace"
        assert "LastName" not in event.payload["ChangeEventHeader"]["changedFields"]
        row = Subscription.objects.get(topic__name=CHANNEL)
        assert row.cursor == get_event_log().latest(CHANNEL)


def test_updates_and_deletions_get_further_fields_a_record_at_a_time(event_bus, channel, seen):
    add(channel, CONTACTS, enriched_fields=["LastName", "Email"])
    contacts = [Contact.objects.create(last_name=name, email=f"{name}@example.org") for name in ("a", "b")]
    event_bus.deliver()
    with subscribed(seen, CHANNEL):
        Contact.objects.filter(pk__in=[contact.pk for contact in contacts]).update(phone="1")
        event_bus.deliver()
        [first, second] = seen.calls[0]
        assert first.replay_id == second.replay_id
        assert [event.payload["LastName"] for event in (first, second)] == ["a", "b"]
        assert [event.payload["ChangeEventHeader"]["recordIds"] for event in (first, second)] == [
            [contact.record_id] for contact in contacts
        ]
        contacts[0].delete()
        event_bus.deliver()
        [deletion] = seen.calls[1]
        assert deletion.payload["ChangeEventHeader"]["changeType"] == "DELETE"
        assert deletion.payload["Email"] == "a@example.org"


def test_what_an_update_tells_itself_is_not_replaced_by_what_holds_now(event_bus, channel, seen):
    add(channel, CONTACTS, enriched_fields=["LastName"])
    contact = Contact.objects.create(last_name="Old")
    event_bus.deliver()
    with subscribed(seen, CHANNEL):
        for name in ("New", "Newer"):
            contact.last_name = name
            contact.save()
            event_bus.relay()
        event_bus.deliver()
        assert [event.payload["LastName"] for call in seen.calls for event in call] == ["New", "Newer"]


def test_a_record_that_is_gone_has_null_in_further_fields(event_bus, channel, seen):
    add(channel, CONTACTS, enriched_fields=["LastName"])
    contact = Contact.objects.create(last_name="A")
    event_bus.deliver()
    with subscribed(seen, CHANNEL):
        contact.phone = "1"
        contact.save()
        contact.delete()
        contact.purge()
        event_bus.deliver()
        assert {event.payload["LastName"] for call in seen.calls for event in call} == {None}


def test_a_resume_point_is_the_last_of_what_was_told_apart(event_bus, channel):
    add(channel, CONTACTS, enriched_fields=["LastName"])
    contacts = [Contact.objects.create(last_name=name) for name in "ab"]
    event_bus.deliver()
    refusals = []

    def handle(events):
        try:
            current_delivery().resume_after(events[0])
        except InvalidResumePoint as refused:
            refusals.append(refused.message)
        current_delivery().resume_after(events[1])

    with subscribed(handle, CHANNEL):
        Contact.objects.filter(pk__in=[contact.pk for contact in contacts]).update(phone="1")
        event_bus.deliver()
    assert refusals == ["A resume point is the last of the events into which one was told apart."]


def test_platform_events_are_chosen_by_what_was_published(event_bus, counted, seen):
    actions.synchronise(event_bus.log)
    channel = save_channel(Channel(name="Numbers__chn", label="Numbers", kind="event"))
    add(channel, "/event/Counted__e", filter_expression="Number__c >= 2")
    with subscribed(seen, "/event/Numbers__chn", one_correlation=False):
        for number in (1, 2, 3):
            counted(number=number).publish()
        event_bus.deliver()
    assert seen.numbers() == [2, 3]


def test_a_gap_event_passes_every_filter(event_bus, channel, seen):
    add(channel, CONTACTS, filter_expression="LastName = 'Nobody'")
    with subscribed(seen, CHANNEL):
        Contact.objects.create(last_name="A", description="x" * 5_000)
        with override_settings(ISTHMUS_EVENTS_MAX_EVENT_BYTES=1_024):
            event_bus.deliver()
    assert told(seen) == [("Contact", "GAP_CREATE")]


def test_a_channel_that_carries_nothing_yet_owes_its_readers_nothing(event_bus, seen):
    Contact.objects.create(last_name="Before")
    event_bus.deliver()
    with subscribed(seen, CHANNEL):
        event_bus.log.trim(CONTACTS, Retention(before=clock.now() + timedelta(hours=1)), limit=10)
        channel = save_channel(Channel(name="Partner__chn", label="Later"))
        add(channel, CONTACTS)
        Contact.objects.create(last_name="After")
        event_bus.deliver()
        assert [event.payload["LastName"] for call in seen.calls for event in call] == ["After"]


def test_what_was_trimmed_before_a_topic_became_a_member_is_nobodys_loss(event_bus, channel, seen):
    add(channel, ACCOUNTS)
    Contact.objects.create(last_name="Before")
    event_bus.deliver()
    with subscribed(seen, CHANNEL, start="earliest"):
        event_bus.log.trim(CONTACTS, Retention(before=clock.now() + timedelta(hours=1)), limit=10)
        add(channel, CONTACTS)
        Account.objects.create(name="B")
        event_bus.deliver()
    assert told(seen) == [("Account", "CREATE")]


def test_a_paused_reader_of_a_channel_keeps_its_members_events(event_bus, channel, moving_clock, seen):
    add(channel, CONTACTS)
    with subscribed(seen, CHANNEL):
        Contact.objects.create(last_name="A")
        event_bus.relay()
        moving_clock.move(timedelta(days=30))
        assert retention.trim(event_bus.log) == 0
        assert Subscription.objects.with_lag().get(topic__name=CHANNEL).lag == 1
        event_bus.deliver()
        assert retention.trim(event_bus.log) == 1


def test_a_member_that_was_removed_is_carried_no_longer(event_bus, channel, seen):
    member = add(channel, CONTACTS)
    with subscribed(seen, CHANNEL):
        remove_member(member)
        Contact.objects.create(last_name="A")
        event_bus.deliver()
    assert seen.calls == []


def test_a_channel_that_nobody_made_is_unknown(event_bus):
    with pytest.raises(UnknownTopic):
        event_bus.log.read("/data/Nowhere__chn", after=0, limit=1)
    assert event_bus.log.latest_of(["/data/Nowhere__chn", CONTACTS]).keys() == {CONTACTS}


@pytest.mark.parametrize(
    ("topic", "given", "complaint"),
    [
        (CONTACTS, {"filter_expression": "Nope = 1"}, "no field 'Nope'"),
        (CONTACTS, {"enriched_fields": ["Nope"]}, "no field Nope"),
        (CONTACTS, {"enriched_fields": [f"F{number}" for number in range(11)]}, "At most 10"),
        ("/event/Counted__e", {}, "carries change events only"),
        ("/data/GoneChangeEvent", {}, "Nothing is published"),
    ],
)
def test_a_member_that_makes_no_sense_is_refused(event_bus, counted, channel, topic, given, complaint):
    topics.ensure([topic])
    with pytest.raises(InvalidFilter, match=complaint), transaction.atomic():
        add(channel, topic, **given)


def test_platform_events_get_no_further_fields(event_bus, counted):
    actions.synchronise(event_bus.log)
    channel = save_channel(Channel(name="Numbers__chn", label="Numbers", kind="event"))
    with pytest.raises(InvalidFilter, match="Only change events"), transaction.atomic():
        add(channel, "/event/Counted__e", enriched_fields=["Number__c"])


def form(channel_kind, topic, **given):
    return {
        "name": "Shop__chn",
        "label": "Shop",
        "kind": channel_kind,
        "members-TOTAL_FORMS": "1",
        "members-INITIAL_FORMS": "0",
        "members-0-topic": str(Topic.objects.get(name=topic).pk),
        **{f"members-0-{name}": value for name, value in given.items()},
    }


def test_an_administrator_makes_a_channel(event_bus, admin_client):
    data = form("data", CONTACTS, filter_expression="LastName != null", enriched_fields="Email, Phone")
    answer = admin_client.post(reverse("admin:events_channel_add"), data)
    assert answer.status_code == 302
    member = ChannelMember.objects.get()
    assert (member.channel.topic.name, member.topic.name) == ("/data/Shop__chn", CONTACTS)
    assert member.enriched_fields == ["Email", "Phone"]
    page = admin_client.get(reverse("admin:events_channel_change", args=[member.channel.pk])).content.decode()
    assert "Email, Phone" in page


@pytest.mark.parametrize(
    ("kind", "given", "complaint"),
    [
        ("data", {"filter_expression": "LastName = "}, "ends too early"),
        ("event", {}, "carries platform events only"),
        ("data", {"enriched_fields": "Nope"}, "no field Nope"),
    ],
)
def test_the_form_tells_what_is_wrong(event_bus, admin_client, kind, given, complaint):
    answer = admin_client.post(reverse("admin:events_channel_add"), form(kind, CONTACTS, **given))
    assert answer.status_code == 200
    assert complaint in answer.content.decode()
    assert not Channel.objects.exists()


def test_a_user_needs_to_be_granted_the_channel(event_bus, channel, seen):
    add(channel, CONTACTS)
    get_user_model().objects.create_user("partner")
    with subscribed(seen, CHANNEL, run_as="partner"):
        Contact.objects.create(last_name="A")
        event_bus.deliver(raise_errors=False)
        assert "PermissionRefused" in Subscription.objects.get(topic__name=CHANNEL).last_error
    assert seen.calls == []
