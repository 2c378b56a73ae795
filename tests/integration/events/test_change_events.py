"""From a change of a record to its change event."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from crm.models import Account, Contact
from events.changes import object_schema
from events.models import EventSchema
from events.testing import subscribed
from isthmus import correlation
from isthmus.objects.capture import acting_as
from isthmus.objects.catalogue import unregister
from isthmus.objects.models import RawChange
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.registry import get_object, register

pytestmark = pytest.mark.django_db


class Undo(Exception):
    pass


def bodies(payloads):
    """Return type and body of each event, without what every change carries."""
    found = []
    for payload in payloads:
        body = {name: value for name, value in payload.items() if name != "ChangeEventHeader"}
        found.append((payload["ChangeEventHeader"]["changeType"], body))
    return found


def test_a_new_record_is_told_with_who_when_and_from_where(event_bus):
    user = get_user_model().objects.create_user("ada")
    with correlation.bind("abc"), acting_as(user, origin="com/salesforce/api/rest/60.0"):
        contact = Contact.objects.create(last_name="Lovelace", email="ada@example.org")
    event_bus.relay()
    [event] = event_bus.log.read("/data/ContactChangeEvent", after=0, limit=9)
    header = event.payload["ChangeEventHeader"]
    assert event.correlation_id == "abc"
    assert {
        "entityName": "Contact",
        "recordIds": [contact.record_id],
        "changeType": "CREATE",
        "changeOrigin": "com/salesforce/api/rest/60.0",
        "transactionKey": str(event.transaction_key),
        "sequenceNumber": 1,
        "commitUser": record_id_of(user),
        "changedFields": [],
        "nulledFields": [],
        "diffFields": [],
    }.items() <= header.items()
    assert event.payload["LastName"] == "Lovelace"
    assert event.payload["Email"] == "ada@example.org"
    assert "FirstName" not in event.payload
    assert not {"Id", "IsDeleted", "SystemModstamp"} & event.payload.keys()


def test_an_update_tells_what_changed_and_what_became_null(event_bus):
    contact = Contact.objects.create(last_name="Lovelace", email="ada@example.org", phone="1")
    event_bus.relay()
    contact.phone, contact.email = "2", ""
    contact.save()
    event_bus.relay()
    payload = event_bus.published("ContactChangeEvent")[-1]
    header = payload["ChangeEventHeader"]
    assert header["changeType"] == "UPDATE"
    assert (payload["Phone"], payload["Email"]) == ("2", None)
    assert {"Phone", "Email", "LastModifiedDate"} <= set(header["changedFields"])
    assert header["nulledFields"] == ["Email"]
    assert "LastName" not in payload


def told_after(event_bus, act):
    """Return type and changed fields of what one transaction on an existing contact tells."""
    contact = Contact.objects.create(last_name="Lovelace", phone="1", email="ada@example.org")
    event_bus.relay()
    with transaction.atomic():
        act(contact)
    event_bus.relay()
    payloads = event_bus.published("ContactChangeEvent")[1:]
    headers = [payload["ChangeEventHeader"] for payload in payloads]
    stamps = {"LastModifiedDate", "LastModifiedById"}
    return [
        (header["changeType"], {name: payload[name] for name in header["changedFields"] if name not in stamps})
        for header, payload in zip(headers, payloads, strict=True)
    ]


def test_what_changed_in_the_recycle_bin_is_told_when_the_record_comes_back_in_the_same_transaction(event_bus):
    def act(contact):
        contact.delete()
        Contact.all_objects.filter(pk=contact.pk).update(phone="2", email="")
        contact.refresh_from_db()
        contact.undelete()

    assert told_after(event_bus, act) == [("UPDATE", {"Phone": "2", "Email": None})]


def test_what_was_changed_before_it_went_and_after_it_came_back_is_told_too(event_bus):
    def act(contact):
        contact.phone = "2"
        contact.save()
        contact.delete()
        contact.undelete()
        contact.email = "new@example.org"
        contact.save()

    assert told_after(event_bus, act) == [("UPDATE", {"Phone": "2", "Email": "new@example.org"})]


def test_a_record_that_went_and_came_back_as_it_was_is_no_event(event_bus):
    def act(contact):
        contact.delete()
        contact.undelete()

    assert told_after(event_bus, act) == []


def test_a_row_that_was_removed_for_good_and_written_anew_is_an_update(event_bus):
    def act(contact):
        Contact.all_objects.filter(pk=contact.pk)._raw_delete("default")
        contact.phone = "2"
        Contact.objects.bulk_create([contact])

    assert told_after(event_bus, act) == [("UPDATE", {"Phone": "2"})]


def test_a_record_created_updated_and_deleted_in_one_transaction_is_no_event(event_bus):
    with transaction.atomic():
        contact = Contact.objects.create(last_name="Nobody")
        contact.phone = "1"
        contact.save()
        contact.delete()
    event_bus.relay()
    assert event_bus.published("ContactChangeEvent") == []
    assert RawChange.objects.count() == 0


def test_a_rolled_back_change_is_no_event(event_bus):
    def undone():
        with transaction.atomic():
            Contact.objects.create(last_name="Nobody")
            raise Undo

    with pytest.raises(Undo):
        undone()
    event_bus.relay()
    assert event_bus.published("ContactChangeEvent") == []


def test_changes_of_one_transaction_share_its_key_and_are_numbered_across_objects(event_bus):
    with transaction.atomic():
        account = Account.objects.create(name="Analytical Engines")
        Contact.objects.create(last_name="Lovelace", account=account)
        account.phone = "1"
        account.save()
    event_bus.relay()
    found = event_bus.log.read("/data/ChangeEvents", after=0, limit=9)
    assert [(event.topic, event.sequence_number) for event in found] == [
        ("/data/AccountChangeEvent", 1),
        ("/data/ContactChangeEvent", 2),
    ]
    assert len({event.transaction_key for event in found}) == 1
    assert found[0].payload["Phone"] == "1"
    assert found[1].payload["AccountId"] == account.record_id


def test_a_subscriber_of_the_union_gets_every_object_and_one_of_an_object_only_its_own(event_bus, seen):
    contacts = []
    with subscribed(seen, "ChangeEvents", name="all"), subscribed(contacts.extend, "ContactChangeEvent", name="some"):
        Account.objects.create(name="Analytical Engines")
        Contact.objects.create(last_name="Lovelace")
        event_bus.deliver()
    assert [event.topic for call in seen.calls for event in call] == [
        "/data/AccountChangeEvent",
        "/data/ContactChangeEvent",
    ]
    assert [event.topic for event in contacts] == ["/data/ContactChangeEvent"]


@pytest.mark.django_db(transaction=True)
def test_records_that_changed_alike_in_one_transaction_share_an_event(event_bus):
    contacts = Contact.objects.bulk_create([Contact(last_name=f"C{number}") for number in range(4)])
    event_bus.relay()
    Contact.objects.filter(pk__in=[contact.pk for contact in contacts[:3]]).update(phone="1")
    event_bus.relay()
    *_, payload = event_bus.published("ContactChangeEvent")
    assert payload["ChangeEventHeader"]["recordIds"] == [contact.record_id for contact in contacts[:3]]
    assert payload["Phone"] == "1"
    assert len(event_bus.published("ContactChangeEvent")) == 5


@pytest.mark.django_db(transaction=True)
def test_an_event_and_a_change_of_one_transaction_share_its_key(event_bus, counted):
    with transaction.atomic():
        counted(number=1).publish()
        Contact.objects.create(last_name="Lovelace")
    event_bus.relay()
    [event] = event_bus.log.read("/event/Counted__e", after=0, limit=9)
    [change] = event_bus.log.read("/data/ContactChangeEvent", after=0, limit=9)
    assert event.transaction_key == change.transaction_key


def test_changes_of_an_object_that_this_process_does_not_know_wait_for_one_that_does(event_bus):
    """Another process runs newer code already: nothing of it is lost, and nothing else is kept waiting."""
    contact = get_object("Contact")
    with transaction.atomic():
        Account.objects.create(name="Acme")
        Contact.objects.create(last_name="Lovelace")
    unregister(contact)
    try:
        event_bus.relay()
    finally:
        register(contact)
    assert len(event_bus.published("AccountChangeEvent")) == 1
    assert [row.object_name for row in RawChange.objects.all()] == ["Contact"]
    event_bus.relay()
    assert [payload["LastName"] for payload in event_bus.published("ContactChangeEvent")] == ["Lovelace"]
    assert RawChange.objects.count() == 0


def test_the_schema_of_an_object_has_the_header_and_its_fields(event_bus):
    schema = object_schema("Contact")
    fields = json.loads(schema.document)["fields"]
    names = [field["name"] for field in fields]
    assert names[0] == "ChangeEventHeader"
    assert {"LastName", "Email", "AccountId", "CreatedDate", "LastModifiedById"} <= set(names)
    assert not {"Id", "IsDeleted", "SystemModstamp"} & set(names)
    assert all(field["type"][0] == "null" and field["default"] is None for field in fields[1:])
    assert EventSchema.objects.get(pk=schema.schema_id).record_name == "ContactChangeEvent"
