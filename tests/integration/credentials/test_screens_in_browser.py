"""The set-up pages in a real browser: inputs follow the chosen protocol, and nothing breaks in the console."""

from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect, sync_playwright

from credentials.actions import create_external_credential, create_principal
from credentials.models import ExternalCredential, Principal, PrincipalSecret
from isthmus.vault.keyring import fingerprint
from tests.engines import chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def session_cookie(live_server):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}


@contextmanager
def browser_with(cookie):
    """A page of a signed-in browser.

    Nothing in the block touches the database: Playwright runs an event loop in this thread, and Django would open a
    connection of its own for it that nobody closes.
    """
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([cookie])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
    assert complaints == []


def test_the_settings_follow_the_chosen_protocol(live_server, session_cookie):
    with browser_with(session_cookie) as page:
        page.goto(live_server.url + reverse("admin:credentials_externalcredential_add"))
        token_url = page.locator("[name=setting__oauth_client_credentials__token_url]")
        expect(token_url).to_be_hidden()
        page.select_option("[name=protocol]", "oauth_client_credentials")
        expect(token_url).to_be_visible()
        page.fill("[name=name]", "Acme")
        token_url.fill("https://a.example/token")
        page.click("[name=_continue]")
        page.wait_for_url("**/change/")
        expect(token_url).to_be_visible()
        expect(token_url).to_have_value("https://a.example/token")
    assert ExternalCredential.objects.get().settings["token_url"] == "https://a.example/token"


def test_a_secret_is_typed_once_and_never_seen_again(live_server, session_cookie):
    principal = create_principal(create_external_credential("Bank", protocol="basic"), "Main")
    address = live_server.url + reverse("admin:credentials_principal_change", args=[principal.pk])
    with browser_with(session_cookie) as page:
        page.goto(address)
        for name in ("username", "password"):
            page.fill(f"[name=secret__{name}]", f"canary-{name}")
        page.click("[name=_continue]")
        expect(page.locator("body")).to_contain_text(fingerprint("canary-password"))
        expect(page.locator("[name=secret__password]")).to_have_value("")
        expect(page.locator("[name=secret__password]")).to_have_attribute("type", "password")
        assert "canary-" not in page.content()
        page.click("[name=_save]")
        page.wait_for_url("**/principal/")
    assert Principal.objects.get().status == "configured"
    assert PrincipalSecret.objects.get(name="password").value.reveal() == "canary-password"
