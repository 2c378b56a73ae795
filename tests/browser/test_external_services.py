"""Trying an operation in a real browser: form, preview, call, and what came of it."""

import json

import pytest
from playwright.sync_api import expect

from callouts.external_services.actions import register
from callouts.external_services.models import ExternalService, Invocation
from credentials.actions import create_external_credential, create_named_credential, create_principal
from isthmus.access import actions as access
from tests import console_samples as samples
from tests.fault_server import Answer, FaultServer
from tests.service_fixtures import BANK_DOCUMENT

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def outside():
    with FaultServer() as server:
        server.answers["/applications"] = lambda _: Answer(
            201, b'{"applicationNumber": "A-1"}', {"Content-Type": "application/json"}
        )
        yield server


@pytest.fixture
def operator(transactional_db, outside):
    external = create_external_credential("Open_Door", protocol="no_authentication")
    principal = create_principal(external, "Anybody", kind="anonymous")
    door = create_named_credential(
        "Bank", url=outside.url(), external_credential=external, principal=principal, allow_internal_addresses=True
    )
    register("Bank", BANK_DOCUMENT.read_bytes(), named_credential=door, label="The bank")
    user = samples.user_with("operate", name="olga")
    grants = [("principal", "use", "Open_Door.Anybody"), ("external_service", "call", "*")]
    access.assign(access.ensure_permission_set("Tryers", "Tryers", grants=grants), user)
    return user


def test_an_operation_is_found_previewed_and_called(new_tab, operator, outside):
    tab = new_tab()
    tab.sign_in(operator)
    tab.open("/external-services/")
    page = tab.page
    page.get_by_role("link", name="The bank").click()
    page.get_by_role("link", name="submit_application()").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("submit_application")
    form = page.locator("#try")
    form.get_by_label("applicant").fill('{"name": "Ada"}')
    form.get_by_label("requestedAmount").fill("250000")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="What would leave")).to_be_visible()
    expect(page.locator("#curl")).to_contain_text("curl --request POST")
    expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
    assert outside.requests == []
    # What was entered is still there.
    page.get_by_role("button", name="Send to Bank").click()
    expect(page.get_by_role("heading", name="Answered 201")).to_be_visible()
    assert json.loads(outside.requests[0].body)["requestedAmount"] == 250_000
    page.get_by_role("link", name="The invocation").click()
    page.get_by_text("Simulate a callback").click()
    page.get_by_role("button", name="Simulate", exact=True).click()
    expect(page.get_by_text("The outside would have been told 200")).to_be_visible()
    assert Invocation.objects.get().state == "Completed"


def test_a_version_that_breaks_calls_is_seen_and_activated(new_tab, operator):
    register("Bank", BANK_DOCUMENT.read_text().replace("operationId: GetApplication", "operationId: ReadApplication"))
    tab = new_tab(width=390)
    tab.sign_in(operator)
    tab.open("/external-services/services/Bank/")
    page = tab.page
    page.get_by_role("link", name="See what would change").click()
    expect(page.get_by_text("1 breaking")).to_be_visible()
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text("Version 2 is active.")).to_be_visible()
    assert ExternalService.objects.get().active_version.number == 2
