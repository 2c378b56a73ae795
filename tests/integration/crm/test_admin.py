"""The set-up screens of records and of permission sets."""

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.models import PermissionSet
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.testing import recorded_changes

pytestmark = pytest.mark.django_db

User = get_user_model()


@pytest.fixture
def root(client):
    user = User.objects.create_superuser("root", password="root")
    client.force_login(user)
    return user


@pytest.fixture
def records(db):
    account = Account.objects.create(name="Acme")
    contact = Contact.objects.create(last_name="Ann", account=account)
    opportunity = Opportunity.objects.create(name="Bridge", account=account, stage_name="Won", close_date="2026-01-01")
    return [
        account,
        contact,
        opportunity,
        Lead.objects.create(last_name="Cem", company="X"),
        Order.objects.create(opportunity=opportunity),
        Case.objects.create(account=account, contact=contact, subject="Broken"),
    ]


def screen(record, page, *args):
    return reverse(f"admin:crm_{record._meta.model_name}_{page}", args=args)


def test_every_object_has_its_list_its_form_and_its_search(client, root, records):
    for record in records:
        listed = client.get(screen(record, "changelist"), {"q": "x"})
        assert listed.status_code == 200
        assert client.get(screen(record, "add")).status_code == 200
        shown = client.get(screen(record, "change", record.pk))
        assert shown.status_code == 200
        assert record.record_id in shown.content.decode()


def test_what_is_made_on_a_screen_carries_its_user(client, root):
    form = {"name": "Acme", "number_of_employees": "", "annual_revenue": ""}
    with recorded_changes() as recorder:
        answer = client.post(screen(Account, "add"), form, follow=True)
    assert answer.status_code == 200
    made = Account.objects.get()
    assert (made.created_by, made.owner, made.external_reference) == (root, root, None)
    assert [(change.record_id, change.user_id) for change in recorder.changes] == [(made.record_id, record_id_of(root))]


def test_deleting_on_a_screen_goes_to_the_recycle_bin_and_back(client, root, records):
    account = records[0]
    client.post(screen(account, "delete", account.pk), {"post": "yes"})
    assert not Account.objects.exists()
    bin_page = client.get(screen(account, "changelist"), {"deleted": "yes"}).content.decode()
    assert "Acme" in bin_page
    assert "Acme" not in client.get(screen(account, "changelist")).content.decode()
    client.post(
        screen(account, "changelist") + "?deleted=yes",
        {"action": "undelete_selected", "_selected_action": [account.pk]},
    )
    assert Account.objects.get() == account
    assert Contact.objects.exists()


def test_screens_follow_permission_sets(client, records):
    desk = User.objects.create_user("desk", is_staff=True)
    assign(ensure_permission_set("Desk", "Desk", [("object", "edit", "Contact")]), desk)
    client.force_login(desk)
    contact = records[1]
    assert client.get(screen(contact, "changelist")).status_code == 200
    assert client.get(screen(contact, "change", contact.pk)).status_code == 200
    assert client.get(screen(contact, "add")).status_code == 403
    assert client.post(screen(contact, "delete", contact.pk), {"post": "yes"}).status_code == 403
    assert client.get(screen(records[0], "changelist")).status_code == 403
    assert Contact.objects.exists()


# --- permission sets -------------------------------------------------------------------------------------------------
def grant_form(*grants):
    form = {
        "label": "Desk",
        "name": "Desk",
        "description": "",
        "grants-TOTAL_FORMS": str(len(grants)),
        "grants-INITIAL_FORMS": "0",
        "assignments-TOTAL_FORMS": "0",
        "assignments-INITIAL_FORMS": "0",
    }
    for number, (kind, action, target) in enumerate(grants):
        form |= {f"grants-{number}-kind": kind, f"grants-{number}-action": action, f"grants-{number}-target": target}
    return form


def test_a_permission_set_is_made_with_its_grants(client, root):
    client.post(reverse("admin:access_permissionset_add"), grant_form(("field", "edit", "Contact.*")))
    made = PermissionSet.objects.get(name="Desk")
    assert list(made.grants.values_list("kind", "action", "target")) == [("field", "edit", "Contact.*")]
    for page, args in (("changelist", []), ("change", [made.pk])):
        assert client.get(reverse(f"admin:access_permissionset_{page}", args=args)).status_code == 200


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (("object", "create", "Contcat"), "there is no &#x27;Contcat&#x27;"),
        (("field", "create", "Contact.Email"), "have no action &#x27;create&#x27;"),
    ],
)
def test_a_grant_that_makes_no_sense_is_not_made(client, root, given, problem):
    answer = client.post(reverse("admin:access_permissionset_add"), grant_form(given))
    assert answer.status_code == 200
    assert problem in answer.content.decode()
    assert not PermissionSet.objects.filter(name="Desk").exists()


def test_users_are_given_permission_sets_on_their_screen(client, root):
    ensure_permission_set("Desk", "Desk")
    assert client.get(reverse("admin:auth_user_changelist")).status_code == 200
    assert client.get(reverse("admin:auth_user_add")).status_code == 200
    page = client.get(reverse("admin:auth_user_change", args=[root.pk])).content.decode()
    assert "permission_set_assignments-TOTAL_FORMS" in page
    assert client.get(reverse("admin:access_permissionsetassignment_changelist")).status_code == 200
    assert client.get(reverse("admin:auth_group_changelist")).status_code == 200
