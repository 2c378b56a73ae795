"""The pages of named credentials: tests of a connection, who can use it, and why somebody cannot."""

import io
import json

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from callouts.models import IntegrationLogEntry
from credentials import actions
from credentials.explain import explain, who_can_use
from credentials.models import NamedCredential, Principal
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.audit.models import AuditEntry
from tests.fault_server import FaultServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    with FaultServer() as running:
        yield running


@pytest.fixture
def named(api):
    external = actions.create_external_credential(
        "Key", protocol="custom_headers", settings={"headers": "X-Plain: {ApiKey}"}
    )
    actions.create_principal(external, "Main", secrets={"ApiKey": "canary-secret"})
    return actions.create_named_credential(
        "Warehouse", url=api.url(""), external_credential=external, allow_internal_addresses=True
    )


@pytest.fixture
def operator(named):
    user = User.objects.create_user("olga")
    assign(
        ensure_permission_set("Operators", "Operators", [("console", "view", "*"), ("principal", "use", "Key.Main")]),
        user,
    )
    user.user_permissions.add(Permission.objects.get(codename="change_namedcredential"))
    return user


@pytest.fixture
def page(operator):
    client = Client()
    client.force_login(operator)
    return client


URL = "/named-credentials/Warehouse/"


def test_a_test_of_the_connection_uses_the_stored_secret_and_shows_it_masked(page, api, named):
    html = page.post(URL, {"method": "GET", "path": "/json", "as_user": ""}).content.decode()
    assert api.requests[-1].headers["x-plain"] == "canary-secret"
    assert "The system answered 200" in html
    assert "X-Plain" in html
    assert "canary-secret" not in html
    entry = IntegrationLogEntry.objects.get()
    assert (entry.operation, entry.user.username) == ("Test connection", "olga")
    assert "canary-secret" not in str(vars(entry))
    assert AuditEntry.objects.filter(action="credentials.connection_tested", target="Warehouse").exists()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/unauthorized", "does not accept who we say we are"),
        ("/not-found", "not at this path"),
        ("/../x", "climb out"),
    ],
)
def test_a_failed_test_says_what_to_do(page, named, path, told):
    html = page.post(URL, {"method": "GET", "path": path}).content.decode()
    assert told in html
    assert AuditEntry.objects.filter(action="credentials.connection_tested", outcome="failed").exists()


def test_a_system_that_is_not_there_is_told(page, named):
    NamedCredential.objects.update(url="http://127.0.0.1:9")
    html = page.post(URL, {"method": "HEAD", "path": ""}).content.decode()
    assert "Check host and port" in html


def test_a_method_that_changes_something_is_not_offered(page, api, named):
    page.post(URL, {"method": "DELETE", "path": "/json"})
    assert api.requests == []


def test_testing_takes_the_right_to_change(page, api, operator):
    operator.user_permissions.clear()
    assert page.get(URL).status_code == 200
    assert "Test the connection" not in page.get(URL).content.decode()
    assert page.post(URL, {"method": "GET", "path": "/json"}).status_code == 403
    assert api.requests == []


def test_without_the_console_there_is_no_page(named):
    client = Client()
    client.force_login(User.objects.create_user("nobody"))
    assert client.get(URL).status_code == 403
    assert client.get(reverse("named_credentials:list")).status_code == 403


def test_the_list_starts_the_task_when_it_is_empty(db):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert "Connect your first system" in client.get(reverse("named_credentials:list")).content.decode()


def test_the_list_costs_the_same_for_one_and_for_many(page, named, django_assert_max_num_queries):
    for number in range(20):
        actions.create_named_credential(
            f"More_{number}", url="https://a.example", external_credential=named.external_credential
        )
    # The first request of a session notes that it is in use.
    page.get(URL)
    with django_assert_max_num_queries(14):
        assert page.get(reverse("named_credentials:list")).status_code == 200


# --- who, and why not -------------------------------------------------------------------------------------------------
def test_who_can_use_it_and_through_what(named, operator):
    root = User.objects.create_superuser("root")
    User.objects.create_user("nobody")
    User.objects.create_user("gone", is_active=False)
    found = {each.user: (each.principal, each.through) for each in who_can_use(named)}
    assert found[operator] == ("Key.Main", ["Operators"])
    assert found[root] == ("Key.Main", [])
    assert {user.username for user in found} - {"automated-process"} == {"olga", "root"}


def test_the_first_rule_that_does_not_hold_decides(named, operator):
    assert explain("Warehouse", operator).may
    assert explain("Nowhere", operator).decided_by.code == "NAMED_CREDENTIAL_NOT_FOUND"
    nobody = User.objects.create_user("nobody")
    refused = explain("Warehouse", nobody)
    assert not refused.may
    assert refused.decided_by.code == "INSUFFICIENT_ACCESS"
    assert "principal.use on Key.Main" in refused.decided_by.told
    actions.forget_secret(Principal.objects.get(), "ApiKey")
    assert explain("Warehouse", operator).decided_by.code == "PRINCIPAL_NOT_CONFIGURED"
    named.allow_internal_addresses = False
    actions.save_named_credential(named)
    assert explain("Warehouse", operator).decided_by.code == "INSECURE_ORIGIN"
    named.is_enabled = False
    actions.save_named_credential(named)
    assert explain("Warehouse", operator).decided_by.code == "NAMED_CREDENTIAL_DISABLED"


def test_the_explanation_and_the_callout_agree(named, operator):
    """Whatever is wrong, what explains says is what a callout ends with."""
    from callouts import http
    from isthmus.errors import IsthmusError

    nobody = User.objects.create_user("nobody")
    for user in (operator, nobody):
        for is_enabled in (True, False):
            NamedCredential.objects.update(is_enabled=is_enabled)
            explanation = explain("Warehouse", user)
            try:
                http.get("callout:Warehouse/json", user=user)
                code = ""
            except IsthmusError as error:
                code = error.code
            assert explanation.decided_by.code == code


def test_the_page_explains(page, operator):
    nobody = User.objects.create_user("nobody")
    html = page.get(URL, {"user": nobody.pk}).content.decode()
    assert "nobody lacks the grant principal.use on Key.Main" in html
    assert "through Operators" in html


def test_the_command_explains(named, operator):
    out = io.StringIO()
    call_command("credential", "explain", "olga", "Warehouse", "--json", stdout=out)
    assert json.loads(out.getvalue())["may"] is True
    User.objects.create_user("nobody")
    with pytest.raises(CommandError, match="cannot call through Warehouse"):
        call_command("credential", "explain", "nobody", "Warehouse", stdout=io.StringIO())
    out = io.StringIO()
    call_command("credential", "who", "Warehouse", stdout=out)
    assert "olga: Key.Main, Operators" in out.getvalue()
