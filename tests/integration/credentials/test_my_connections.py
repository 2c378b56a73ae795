"""One's own connections as a file, as JSON and on the command line: everybody's own, and nobody else's."""

import csv
import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.models import IdentityProvider, StoredToken
from isthmus import clock
from isthmus.access.actions import assign, ensure_permission_set, issue_access_token

pytestmark = pytest.mark.django_db

ADDRESS = "/api/console/my-connections"


@pytest.fixture
def principal(db):
    external = create_external_credential(
        "Acme",
        protocol="oauth_authorization_code",
        identity_provider=IdentityProvider.objects.create(
            name="Login", issuer="https://login.example", client_id="web", client_secret="web-secret"
        ),
    )
    create_named_credential("Acme_Api", url="https://acme.example", external_credential=external)
    return create_principal(external, "Each", kind="per_user")


@pytest.fixture
def caller(principal):
    """Return a function that makes somebody who may use the principal."""
    permissions = ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)])

    def make(name):
        user = User.objects.create_user(name)
        assign(permissions, user)
        return user

    return make


def browser_of(user):
    client = Client()
    client.force_login(user)
    return client


def printed(*arguments):
    out = io.StringIO()
    call_command("listing", "my-connections", *arguments, stdout=out)
    return out.getvalue()


def exported(client):
    answer = client.get("/my-connections/?format=csv")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="my-connections-')
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_json_the_file_and_the_command_tell_what_is_ones_own(caller, principal, moving_clock):
    ada, bob = caller("ada"), caller("bob")
    now = clock.now()
    StoredToken.objects.create(
        principal=principal, user=ada, access_token="the-token", connected_at=now, obtained_at=now
    )
    for user, state in ((ada, "Connected"), (bob, "Not connected")):
        browser = browser_of(user)
        assert 'href="?format=csv" download>' in browser.get("/my-connections/").content.decode()
        [row] = browser.get(ADDRESS).json()["rows"]
        assert (row["system"], row["principal"], row["state"]) == ("Acme_Api", "Acme.Each", state)
        assert "the-token" not in json.dumps(row)
        assert [json.loads(line) for line in printed("--user", user.username, "--json").splitlines()] == [row]
        [cells] = exported(browser)
        assert cells == {name: value or "" for name, value in row.items()}
        assert [cells] == list(csv.DictReader(io.StringIO(printed("--user", user.username, "--csv"))))


def test_whoever_may_use_nothing_has_an_empty_list(principal):
    browser = browser_of(User.objects.create_user("nobody"))
    assert browser.get(ADDRESS).json()["rows"] == []
    assert exported(browser) == []


def test_programs_read_the_list_of_whom_they_act_for(caller):
    headers = {"Authorization": f"Bearer {issue_access_token(caller('ada'))}"}
    assert len(Client().get(ADDRESS, headers=headers).json()["rows"]) == 1


def test_nobody_reads_a_list_without_saying_who_they_are(caller):
    assert Client().get(ADDRESS).status_code == 401
    with pytest.raises(CommandError, match="--user"):
        printed("--json")
    with pytest.raises(CommandError, match="There is no user 'eve'"):
        printed("--user", "eve")
