"""A person sets a system up, tests the connection, and sees why somebody cannot use it."""

import pytest
from django.contrib.auth.models import User

from credentials.models import ExternalCredential, NamedCredential, Principal
from isthmus.access.actions import assign, ensure_permission_set
from tests import console_samples as samples
from tests.fault_server import FaultServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def system():
    with FaultServer() as server:
        yield server


def test_from_nothing_to_a_tested_connection(new_tab, system):
    tab = new_tab()
    tab.sign_in(User.objects.create_superuser("root", password=samples.PASSWORD))
    tab.open("/named-credentials/")
    page = tab.page
    page.get_by_role("link", name="New external credential").click()
    page.get_by_label("Name", exact=False).first.fill("Warehouse_Key")
    page.get_by_label("Protocol").select_option("custom_headers")
    page.get_by_label("Headers").fill("X-Api-Key: {ApiKey}")
    assert not page.get_by_label("Token URL").first.is_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    assert ExternalCredential.objects.get().settings["headers"] == "X-Api-Key: {ApiKey}"
    tab.open("/admin/credentials/principal/add/")
    page.get_by_label("External credential").select_option(label="Warehouse_Key")
    page.get_by_label("Name", exact=False).first.fill("Main")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_label("ApiKey").fill("typed-once")
    page.get_by_role("button", name="Save", exact=True).click()
    assert Principal.objects.get().secrets.get().value.matches("typed-once")
    tab.open("/admin/credentials/namedcredential/add/")
    page.locator("#id_name").fill("Warehouse")
    page.locator("#id_url").fill(system.url(""))
    page.locator("#id_external_credential").select_option(label="Warehouse_Key")
    page.locator("#id_allow_internal_addresses").check(force=True)
    page.get_by_role("button", name="Save", exact=True).click()
    assert NamedCredential.objects.get().allow_internal_addresses
    tab.open("/named-credentials/Warehouse/")
    page.get_by_label("Path").fill("/json")
    page.get_by_role("button", name="Test connection").click()
    page.get_by_text("The system answered 200").wait_for()
    assert system.requests[-1].headers["x-api-key"] == "typed-once"
    assert "typed-once" not in page.content()
    grace = User.objects.create_user("grace")
    tab.open(f"/named-credentials/Warehouse/?user={grace.pk}")
    assert page.get_by_text("grace lacks the grant").is_visible()
    assign(ensure_permission_set("Desk", "Desk", [("principal", "use", "Warehouse_Key.Main")]), grace)
    tab.open(f"/named-credentials/Warehouse/?user={grace.pk}")
    assert page.get_by_text("through Desk").first.is_visible()
    narrow = new_tab(width=390, color_scheme="dark")
    narrow.sign_in(User.objects.get(username="root"))
    for address in ("/named-credentials/", "/named-credentials/Warehouse/", "/my-connections/"):
        assert narrow.open(address).status == 200
        assert narrow.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address
