"""Who may do what: denied unless a permission set grants it."""

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject

from crm.models import Contact
from isthmus.access import policy
from isthmus.access.actions import assign, ensure_permission_set, grant, revoke, unassign
from isthmus.access.errors import (
    PermissionRefused,
    SystemUserTaken,
    UnknownGrantAction,
    UnknownGrantKind,
    UnknownGrantTarget,
)
from isthmus.access.models import Grant, PermissionSet

pytestmark = pytest.mark.django_db

User = get_user_model()


@pytest.fixture
def user(db):
    return User.objects.create_user("ida")


def fresh(user):
    return User.objects.get(pk=user.pk)


def test_nothing_is_allowed_that_is_not_granted(user):
    assert not policy.is_granted(user, "object", "read", "Contact")
    with pytest.raises(PermissionRefused) as refused:
        policy.require(user, "object", "read", "Contact")
    assert refused.value.as_body() == {
        "message": "ida lacks the grant object.read on Contact. "
        "An administrator can give it in Set-up, Permission sets.",
        "errorCode": "INSUFFICIENT_ACCESS",
    }
    assert refused.value.status == 403


def test_a_grant_allows_its_action_what_that_implies_and_no_more(user):
    assign(ensure_permission_set("Desk", "Desk", [("object", "edit", "Contact")]), user)
    allowed = [
        action
        for action in ("create", "read", "edit", "delete")
        if policy.is_granted(user, "object", action, "Contact")
    ]
    assert allowed == ["read", "edit"]
    assert not policy.is_granted(user, "object", "read", "Account")


@pytest.mark.parametrize(
    ("target", "covered"),
    [("*", ["Contact.Email", "Lead.Email"]), ("Contact.*", ["Contact.Email"]), ("Contact.Email", ["Contact.Email"])],
)
def test_a_star_covers_everything_or_everything_of_an_owner(user, target, covered):
    assign(ensure_permission_set("Desk", "Desk", [("field", "read", target)]), user)
    asked = ["Contact.Email", "Lead.Email"]
    assert [name for name in asked if policy.is_granted(user, "field", "read", name)] == covered


def test_several_permission_sets_add_up(user):
    assign(ensure_permission_set("One", "One", [("object", "read", "Contact")]), user)
    assign(ensure_permission_set("Two", "Two", [("object", "read", "Lead")]), user)
    assert policy.is_granted(user, "object", "read", "Contact")
    assert policy.is_granted(user, "object", "read", "Lead")


def test_superusers_have_everything_inactive_and_anonymous_users_nothing(user):
    assign(ensure_permission_set("All", "All", [("object", "read", "*")]), user)
    user.is_active = False
    root = User.objects.create_superuser("root")
    assert policy.is_granted(root, "object", "delete", "Contact")
    root.is_active = False
    for nobody in (user, root, AnonymousUser(), None):
        assert not policy.is_granted(nobody, "object", "read", "Contact")
        with pytest.raises(PermissionRefused):
            policy.require(nobody, "object", "read", "Contact")


def test_a_question_that_makes_no_sense_is_an_error(user):
    with pytest.raises(UnknownGrantKind):
        policy.is_granted(user, "objects", "read", "Contact")
    with pytest.raises(UnknownGrantAction):
        policy.is_granted(user, "object", "smell", "Contact")


def test_grants_are_read_once_for_a_user_object(user, django_assert_num_queries):
    lazy = SimpleLazyObject(lambda: user)
    with django_assert_num_queries(1):
        for target in ("Contact", "Lead", "Case"):
            assert not policy.is_granted(lazy, "object", "read", target)
    permission_set = ensure_permission_set("Desk", "Desk", [("object", "read", "Contact")])
    assign(permission_set, user)
    assert policy.is_granted(user, "object", "read", "Contact")
    unassign(permission_set, user)
    assert not policy.is_granted(user, "object", "read", "Contact")


# --- the automated process -------------------------------------------------------------------------------------------
def test_the_automated_process_may_do_everything_and_cannot_log_in(client):
    system = policy.system_user()
    assert system == policy.system_user()
    assert (system.get_username(), system.get_full_name()) == ("automated-process", "Automated Process")
    assert policy.is_granted(system, "object", "delete", "Contact")
    assert not system.has_usable_password()
    assert not system.is_staff
    answer = client.post("/sign-in/", {"username": "automated-process", "password": "!"})
    assert answer.status_code == 200
    assert client.get("/").status_code == 302


def test_a_person_who_takes_the_automated_process_name_gets_nothing_by_it():
    taken = User.objects.create_user("automated-process", password="my own")
    assert not policy.is_granted(taken, "object", "read", "Contact")
    with pytest.raises(SystemUserTaken):
        policy.system_user()


# --- Django's has_perm -----------------------------------------------------------------------------------------------
def test_has_perm_answers_from_grants(user):
    assign(ensure_permission_set("Desk", "Desk", [("object", "create", "Contact"), ("field", "read", "*")]), user)
    assert user.has_perm("object.create", "Contact")
    assert not user.has_perm("object.delete", "Contact")
    assert user.has_perm("field.read", "Contact.Email")
    assert not user.has_perm("nonsense.read", "Contact")
    assert [user.has_perm(f"crm.{verb}_contact") for verb in ("add", "view", "change", "delete")] == [
        True,
        True,
        False,
        False,
    ]
    assert not user.has_perm("crm.view_account")
    assert not user.has_perm("crm.smell_contact")
    assert user.has_module_perms("crm")
    assert not user.has_module_perms("callouts")
    assert user.has_perm("crm.view_contact", Contact(last_name="A"))
    assert not user.has_perm("crm.delete_contact", Contact(last_name="A"))


def test_has_perm_answers_the_same_in_async_code(user):
    assert not async_to_sync(user.ahas_perm)("object.read", "Contact")
    assert not async_to_sync(user.ahas_module_perms)("crm")
    assign(ensure_permission_set("Desk", "Desk", [("object", "read", "Contact")]), user)
    assert async_to_sync(user.ahas_perm)("object.read", "Contact")
    assert async_to_sync(user.ahas_perm)("crm.view_contact")
    assert async_to_sync(user.ahas_module_perms)("crm")


# --- actions ---------------------------------------------------------------------------------------------------------
def test_granting_twice_grants_once_and_revoking_takes_it_back(user):
    permission_set = PermissionSet.objects.create(name="Desk", label="Desk")
    first = grant(permission_set, "object", "read", "Contact")
    assert grant(permission_set, "object", "read", "Contact") == first
    assign(permission_set, user)
    assign(permission_set, user)
    assert policy.is_granted(user, "object", "read", "Contact")
    revoke(permission_set, "object", "read", "Contact")
    revoke(permission_set, "object", "read", "Contact")
    assert not policy.is_granted(fresh(user), "object", "read", "Contact")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (("objects", "read", "Contact"), UnknownGrantKind),
        (("object", "smell", "Contact"), UnknownGrantAction),
        (("object", "read", "Contacts"), UnknownGrantTarget),
        (("field", "read", "Contact.Smell"), UnknownGrantTarget),
        (("field", "read", "Contacts.*"), UnknownGrantTarget),
    ],
)
def test_what_makes_no_sense_is_not_granted(given, error):
    with pytest.raises(error):
        ensure_permission_set("Desk", "Desk", [("object", "read", "Contact"), given])
    assert not PermissionSet.objects.filter(name="Desk").exists()
    assert not Grant.objects.filter(kind__in=["object", "field"]).exists()


def test_ensuring_adds_what_is_missing_and_keeps_what_is_there():
    first = ensure_permission_set("Desk", "Desk", [("object", "read", "Contact")])
    again = ensure_permission_set("Desk", "The desk", [("object", "read", "Contact"), ("field", "read", "Contact.*")])
    assert first == again
    assert again.label == "The desk"
    assert list(again.grants.values_list("kind", "action", "target")) == [
        ("field", "read", "Contact.*"),
        ("object", "read", "Contact"),
    ]
