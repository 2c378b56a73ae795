"""The set-up pages: grouped, and found."""

import pytest
from django.contrib.auth.models import User
from django.test import RequestFactory

from isthmus.access.actions import assign, ensure_permission_set
from isthmus.console import admin_shell

pytestmark = pytest.mark.django_db


def groups(user):
    request = RequestFactory().get("/admin/")
    request.user = user
    return {group["title"]: [item["title"] for item in group["items"]] for group in admin_shell.sidebar(request)}


def test_the_sidebar_has_the_groups_of_a_set_up_tree_and_each_model_once():
    found = groups(User.objects.create_superuser("root"))
    assert list(found) == ["", *admin_shell.GROUPS, "Mortgage desk (demo)"]
    assert found["Users"] == ["Users", "Groups", "Permission sets", "Permission set assignments"]
    assert found["Named credentials"][:2] == ["Named credentials", "External credentials"]
    links = [item["link"] for group in admin_shell.sidebar(_request_of("root")) for item in group["items"]]
    assert len(links) == len(set(links))


def _request_of(username):
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username=username)
    return request


def test_whoever_sets_up_one_app_sees_that_app_only():
    user = User.objects.create_user("eve")
    assign(ensure_permission_set("Events_Desk", "Events desk", [("setup", "manage", "events")]), user)
    assert list(groups(user)) == ["", "Events", "Monitoring"]


def test_the_pages_bring_the_quick_find_and_no_script_of_their_own(client):
    client.force_login(User.objects.create_superuser("root"))
    text = client.get("/admin/").content.decode()
    assert "data-quick-find" in text
    assert "console/quick_find.js" in text
    assert "nav-filter" not in text
