"""Capture is switched on and off while everything runs, by code and on the set-up screen."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse

from crm.models import Account, Contact
from events.models import Topic
from isthmus.audit.models import AuditEntry
from isthmus.objects import catalogue
from isthmus.objects.capture.tracking import is_tracked
from isthmus.objects.capture.triggers import missing_triggers, synchronise_triggers
from isthmus.objects.capture.triggers.switching import as_declared, switch
from isthmus.objects.models import ChangeTracking
from isthmus.objects.registry import expose, get_object
from isthmus.objects.testing import recorded_changes

pytestmark = pytest.mark.django_db


def told():
    with recorded_changes() as recorder:
        Contact.objects.create(last_name="Lovelace")
        Account.objects.create(name="Acme")
    return [name for name, _, _ in recorder.told]


def test_capture_of_an_object_is_switched_off_and_on_again():
    contact = get_object("Contact")
    switch(contact, is_on=False)
    assert (told(), is_tracked(contact)) == (["Account"], False)
    # A migration leaves it as it was decided.
    synchronise_triggers("default")
    assert told() == ["Account"]
    assert missing_triggers("default") == []
    as_declared(contact)
    assert (told(), ChangeTracking.objects.count()) == (["Contact", "Account"], 0)
    entries = AuditEntry.objects.filter(action="objects.tracking_switched").order_by("sequence")
    assert [(entry.target, entry.details["is_on"]) for entry in entries] == [("Contact", False), ("Contact", True)]


def test_a_plain_model_is_captured_when_it_is_switched_on():
    team = expose(Group, api_name="Team__c", fields=["name"])
    try:
        assert not is_tracked(team)
        switch(team, is_on=True)
        assert Topic.objects.filter(name="/data/Team__ChangeEvent").exists()
        with recorded_changes() as recorder:
            group = Group.objects.create(name="First")
            Group.objects.filter(pk=group.pk).update(name="Second")
            group.delete()
        assert recorder.told == [
            ("Team__c", "CREATE", {"Name__c": "First"}),
            ("Team__c", "UPDATE", {"Name__c": "Second"}),
            ("Team__c", "DELETE", {}),
        ]
    finally:
        as_declared(team)
        catalogue.unregister(team)


def test_a_table_whose_triggers_are_gone_is_found():
    from isthmus.objects.capture.triggers import install_triggers
    from isthmus.objects.checks import check_triggers

    assert check_triggers(databases=["default"]) == []
    install_triggers(get_object("Contact"), "default", noting=False)
    [warning] = check_triggers(databases=["default"])
    assert (warning.id, "does not note changes of Contact" in warning.msg) == ("objects.W001", True)
    synchronise_triggers("default")
    assert check_triggers(databases=["default"]) == []


def test_capture_is_switched_on_the_set_up_screen(client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root"))
    answer = client.post(reverse("admin:objects_changetracking_add"), {"object_name": "Contact"})
    assert answer.status_code == 302
    assert told() == ["Account"]
    entry = ChangeTracking.objects.get()
    assert client.get(reverse("admin:objects_changetracking_changelist")).status_code == 200
    client.post(reverse("admin:objects_changetracking_change", args=[entry.pk]), {"is_on": "on"})
    assert told() == ["Contact", "Account"]
    client.post(reverse("admin:objects_changetracking_delete", args=[entry.pk]), {"post": "yes"})
    assert ChangeTracking.objects.count() == 0
