"""`manage.py cdc`: what is captured, telling what records hold, comparing records with their events."""

import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from crm.models import Account, Contact
from events.testing import subscribed
from events.verification import verify
from isthmus.objects.capture.triggers.switching import switch
from isthmus.objects.models import RawChange
from isthmus.objects.registry import get_object

pytestmark = pytest.mark.django_db

CONTACTS = "/data/ContactChangeEvent"


@pytest.fixture
def cdc(event_bus, capsys):
    """Run the command and return the lines that it printed."""

    def run(*arguments):
        capsys.readouterr()
        call_command("cdc", *arguments)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def unheard(*names):
    """Make contacts of which no event tells."""
    made = [Contact.objects.create(last_name=name) for name in names]
    unhear()
    return made


def unhear():
    """Lose what the triggers noted. Not all rows at once: that is how a database is emptied."""
    RawChange.objects.filter(pk__gt=0).delete()


# --- backfill ---------------------------------------------------------------------------------------------------------
def test_backfill_tells_what_every_live_record_holds(cdc, event_bus, seen):
    first, second, gone = unheard("A", "B", "C")
    gone.delete()
    unhear()
    with subscribed(seen, CONTACTS, one_correlation=False):
        lines = cdc("backfill", "Contact", "--chunk-size", "2")
        event_bus.deliver()
    assert lines == [
        {"object": "Contact", "up_to": second.pk},
        {"object": "Contact", "up_to": gone.pk},
        {"object": "Contact", "done": True},
    ]
    [events] = seen.calls
    headers = [event.payload["ChangeEventHeader"] for event in events]
    assert [header["changeType"] for header in headers] == ["SNAPSHOT", "SNAPSHOT"]
    assert [header["recordIds"] for header in headers] == [[first.record_id], [second.record_id]]
    assert {header["changeOrigin"] for header in headers} == {"backfill"}
    assert [event.payload["LastName"] for event in events] == ["A", "B"]
    assert all("Phone" not in event.payload for event in events)


def test_backfill_goes_on_where_it_ended(cdc, event_bus):
    first, second = unheard("A", "B")
    cdc("backfill", "Contact", "--after", str(first.pk))
    event_bus.relay()
    [payload] = event_bus.published(CONTACTS)
    assert payload["ChangeEventHeader"]["recordIds"] == [second.record_id]


def test_what_is_not_captured_cannot_be_backfilled(cdc):
    switch(get_object("Contact"), is_on=False)
    with pytest.raises(CommandError, match="not captured"):
        cdc("backfill", "Contact")
    with pytest.raises(CommandError, match="at least 1"):
        cdc("backfill", "Account", "--chunk-size", "0")
    with pytest.raises(CommandError, match="INVALID_TYPE"):
        cdc("backfill", "Nothing")


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_under_way_is_told_before_or_after_the_snapshot_and_never_undone_by_it(event_bus):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    [contact] = unheard("Old")
    is_changed, may_commit = threading.Event(), threading.Event()

    def change():
        try:
            with transaction.atomic():
                Contact.objects.filter(pk=contact.pk).update(last_name="New")
                is_changed.set()
                may_commit.wait(20)
        finally:
            connections.close_all()

    writer = threading.Thread(target=change)
    teller = threading.Thread(target=lambda: (call_command("cdc", "backfill", "Contact"), connections.close_all()))
    writer.start()
    is_changed.wait(20)
    teller.start()
    # The backfill waits for the row; it must not tell of the old name after the new one.
    teller.join(0.5)
    assert teller.is_alive()
    may_commit.set()
    writer.join(20)
    teller.join(20)
    event_bus.relay()
    told = [payload["LastName"] for payload in event_bus.published(CONTACTS)]
    assert told[-1] == "New"


# --- verify -----------------------------------------------------------------------------------------------------------
def test_records_that_are_what_their_events_tell_are_verified(cdc, event_bus):
    contact = Contact.objects.create(last_name="A", phone="1")
    contact.phone, contact.email = "", "a@example.org"
    contact.save()
    Contact.objects.create(last_name="B").delete()
    back = Contact.objects.create(last_name="C")
    back.delete()
    back.undelete()
    Contact.objects.create(last_name="D").save()
    event_bus.relay()
    [line] = cdc("verify", "Contact")
    assert line == {
        "object": "Contact",
        "equal": 3,
        "untold": 0,
        "undecided": 0,
        "differing": 0,
        "differences": [],
    }


def test_a_record_that_was_changed_past_the_triggers_is_found(cdc, event_bus, capsys):
    changed, lost, added = (Contact.objects.create(last_name=name) for name in "ABC")
    Account.objects.create(name="Acme")
    event_bus.relay()
    added.delete()
    event_bus.relay()
    Contact.objects.filter(pk=changed.pk).update(phone="1", last_name="Z")
    Contact.all_objects.filter(pk=lost.pk).update(is_deleted=True)
    Contact.all_objects.filter(pk=added.pk).update(is_deleted=False)
    # As if the triggers had slept.
    unhear()
    with pytest.raises(CommandError) as failed:
        cdc("verify", "Contact", "Account")
    assert failed.value.returncode == 2
    contacts, accounts = map(json.loads, capsys.readouterr().out.splitlines())
    assert contacts["differences"] == [
        {"record_id": changed.record_id, "fields": ["LastName", "Phone"]},
        {"record_id": lost.record_id, "fields": []},
        {"record_id": added.record_id, "fields": []},
    ]
    assert (accounts["equal"], accounts["differing"]) == (1, 0)


def test_of_a_record_whose_beginning_is_no_longer_kept_only_what_is_told_is_compared(cdc, event_bus):
    contact, _ = unheard("A", "B")
    Contact.objects.filter(pk=contact.pk).update(phone="2")
    event_bus.relay()
    [line] = cdc("verify", "Contact")
    assert (line["equal"], line["untold"], line["differing"]) == (1, 1, 0)
    cdc("backfill", "Contact")
    event_bus.relay()
    [line] = cdc("verify", "Contact")
    assert (line["equal"], line["untold"]) == (2, 0)


def test_what_waits_for_the_relay_is_not_held_against_a_record(event_bus):
    contact = Contact.objects.create(last_name="A")
    event_bus.relay()
    Contact.objects.filter(pk=contact.pk).update(last_name="B")
    found = verify(get_object("Contact"), event_bus.log, patience_seconds=0.3)
    assert (found.equal, found.undecided, found.differences) == (0, 1, [])
    event_bus.relay()
    assert verify(get_object("Contact"), event_bus.log, patience_seconds=0.3).equal == 1


def test_after_an_overflow_nothing_is_known_until_the_next_snapshot(cdc, event_bus, settings):
    settings.ISTHMUS_EVENTS_MAX_CHANGES_PER_TRANSACTION = 1
    with transaction.atomic():
        for name in "ABC":
            Contact.objects.create(last_name=name)
    event_bus.relay()
    [line] = cdc("verify", "Contact")
    assert (line["untold"], line["differing"]) == (3, 0)
    cdc("backfill", "Contact", "--chunk-size", "1")
    event_bus.relay()


# --- status -----------------------------------------------------------------------------------------------------------
def test_status_tells_of_each_object_what_waits_and_what_is_kept(cdc, event_bus):
    Contact.objects.create(last_name="A")
    event_bus.relay()
    Contact.objects.create(last_name="B")
    switch(get_object("Account"), is_on=False)
    lines = {line["object"]: line for line in cdc("status")}
    contact = lines["Contact"]
    assert contact["captured"] is True
    assert (contact["waiting_changes"], contact["kept_events"], contact["triggers_missing"]) == (1, 1, False)
    assert contact["oldest_waiting_since"]
    assert lines["Account"]["captured"] is False
    assert "User" not in lines
