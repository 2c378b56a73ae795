"""The roles that come with the platform, and the grants that stand for set-up pages."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from isthmus.access import policy, shipped_sets
from isthmus.access.actions import assign, ensure_permission_set, grant, revoke
from isthmus.access.models import Grant, PermissionSet
from isthmus.access.policy import system_user
from isthmus.access.setting_up import sets_up

pytestmark = pytest.mark.django_db
NAMES = ["Console_Administrator", "Console_Operator", "Console_Viewer"]


def shipped():
    return sorted(PermissionSet.objects.filter(name__in=NAMES).values_list("name", flat=True))


@pytest.fixture
def administrator():
    user = User.objects.create_user("ada")
    assign(PermissionSet.objects.get(name="Console_Administrator"), user)
    return user


def test_they_are_there_after_a_migration():
    assert shipped() == NAMES
    viewer = PermissionSet.objects.get(name="Console_Viewer")
    assert list(viewer.grants.values_list("kind", "action", "target")) == [("console", "view", "*")]


def test_making_them_again_changes_nothing():
    before = list(Grant.objects.order_by("pk").values())
    call_command("migrate", verbosity=0)
    shipped_sets.make_missing()
    assert list(Grant.objects.order_by("pk").values()) == before


def test_what_an_operator_changed_stays():
    viewer = PermissionSet.objects.get(name="Console_Viewer")
    revoke(viewer, "console", "view", "*")
    grant(viewer, "object", "read", "Account")
    PermissionSet.objects.filter(pk=viewer.pk).update(label="Onlookers")
    shipped_sets.make_missing()
    viewer.refresh_from_db()
    assert viewer.label == "Onlookers"
    assert [str(given) for given in viewer.grants.all()] == ["object.read Account"]


def test_what_an_operator_deleted_stays_deleted():
    PermissionSet.objects.filter(name="Console_Viewer").delete()
    shipped_sets.make_missing()
    assert shipped() == NAMES[:2]


def test_a_set_of_that_name_that_was_there_before_is_left_alone():
    PermissionSet.objects.filter(name="Console_Viewer").delete()
    shipped_sets.ShippedPermissionSet.objects.all().delete()
    ensure_permission_set("Console_Viewer", "Mine", [("console", "operate", "*")])
    shipped_sets.make_missing()
    mine = PermissionSet.objects.get(name="Console_Viewer")
    assert (mine.label, [str(given) for given in mine.grants.all()]) == ("Mine", ["console.operate *"])


def test_set_up_is_granted_app_by_app_and_looking_is_less_than_changing():
    user = User.objects.create_user("eve")
    assert not sets_up(user)
    assign(ensure_permission_set("Looks", "Looks", [("setup", "view", "credentials")]), user)
    assert sets_up(user)
    assert user.has_perm("credentials.view_namedcredential")
    assert not user.has_perm("credentials.change_namedcredential")
    assert not user.has_perm("access.view_permissionset")
    assert user.has_module_perms("credentials")
    assert not user.has_module_perms("access")


def test_records_are_no_part_of_set_up(administrator):
    assert administrator.has_perm("jobs.add_schedule")
    assert not administrator.has_perm("crm.view_account")
    assert not administrator.has_perm("mortgage.view_mortgagerequest")
    assert not administrator.has_perm("credentials.smell_namedcredential")
    assert not administrator.has_perm("credentials.view_nothing")


def test_whoever_is_inactive_sets_nothing_up(administrator):
    administrator.is_active = False
    assert not sets_up(administrator)


def test_an_administrator_makes_users_and_hands_out_permission_sets(client, administrator):
    client.force_login(administrator)
    form = {"username": "new-one", "password1": "a-long-password-17", "password2": "a-long-password-17", "usable_password": "true"}  # fmt: skip # noqa: E501
    answer = client.post(reverse("admin:auth_user_add"), form)
    assert answer.status_code == 302
    assert User.objects.filter(username="new-one").exists()


@pytest.mark.parametrize("page", ["change", "delete"])
def test_an_administrator_does_not_touch_who_has_everything(client, administrator, page):
    client.force_login(administrator)
    for untouchable in (User.objects.create_superuser("root", password="x"), system_user()):
        address = reverse(f"admin:auth_user_{page}", args=[untouchable.pk])
        answer = client.post(address, {"username": "taken", "post": "yes"})
        assert answer.status_code == 403
        untouchable.refresh_from_db()
        assert untouchable.get_username() != "taken"
    password = reverse("admin:auth_user_password_change", args=[untouchable.pk])
    assert client.post(password, {"password1": "y" * 12, "password2": "y" * 12}).status_code == 403


def test_an_administrator_makes_nobody_a_superuser(client, administrator):
    client.force_login(administrator)
    other = User.objects.create_user("other")
    address = reverse("admin:auth_user_change", args=[other.pk])
    client.post(address, {"username": "other", "is_active": "on", "is_superuser": "on", "user_permissions": ["1"],
                          "date_joined_0": "2026-01-01", "date_joined_1": "12:00:00",
                          "permission_set_assignments-TOTAL_FORMS": "0", "permission_set_assignments-INITIAL_FORMS": "0"})  # fmt: skip # noqa: E501
    other.refresh_from_db()
    assert not other.is_superuser
    assert not other.user_permissions.exists()
    changelist = client.post(
        reverse("admin:auth_user_changelist"),
        {"action": "delete_selected", "_selected_action": [other.pk], "post": "yes"},
    )
    assert User.objects.filter(pk=other.pk).exists(), changelist.status_code
    assert not policy.has_everything(other)


def test_administrators_by_role_need_two_steps_where_administrators_do(client, administrator, settings, monkeypatch):
    monkeypatch.setattr(settings, "ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS", True)
    client.force_login(administrator)
    assert client.get("/").headers.get("Location", "").startswith("/account/two-step/")
