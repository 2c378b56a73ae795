"""`manage.py external_service`: registers, checks, says what does not work."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from callouts.external_services.models import ExternalService
from callouts.models import IntegrationLogEntry
from credentials.models import NamedCredential
from tests.fault_server import FaultServer
from tests.service_fixtures import BANK_DOCUMENT, SEED_DOCUMENT

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command("external_service", *arguments, stdout=out)
    return out.getvalue()


def test_register(bank_door):
    told = json.loads(
        run("register", "Bank", "--document", str(BANK_DOCUMENT), "--named-credential", "Acme_Bank", "--json")
    )
    assert (told["service"], told["version"], told["changed"]) == ("Bank", 1, True)
    assert [operation["name"] for operation in told["operations"]] == ["submit_application", "get_application"]
    assert ExternalService.objects.get().named_credential == bank_door
    again = json.loads(run("register", "Bank", "--document", str(BANK_DOCUMENT), "--json"))
    assert (again["version"], again["changed"]) == (1, False)


def test_register_for_people():
    told = run("register", "AcmeMortgages", "--document", str(SEED_DOCUMENT))
    assert "AcmeMortgages version 1 (3.0.0): registered" in told
    assert "submit_application  POST /applications  answers by applicationOutcomeApproved, " in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Bank", "--document", "/nowhere.json"], "cannot be read: No such file"),
        (["Bank", "--document", str(BANK_DOCUMENT), "--named-credential", "Nobody"], "no named credential 'Nobody'"),
        (["1st", "--document", str(BANK_DOCUMENT)], "A letter, then letters"),
        (["Bank", "--document", __file__], "OPENAPI_DOCUMENT"),
    ],
)
def test_what_cannot_be_registered(arguments, told):
    with pytest.raises(CommandError, match=told):
        run("register", *arguments)
    assert not ExternalService.objects.exists()


def test_check_reads_and_stores_nothing(tmp_path):
    (tmp_path / "a.json").write_bytes(SEED_DOCUMENT.read_bytes())
    (tmp_path / "b.yaml").write_text("swagger: '1.2'\npaths: {}\n")
    broken = {"get": {"operationId": "x", "requestBody": {"$ref": "#/none"}}}
    (tmp_path / "c.yml").write_text(json.dumps({"openapi": "3.1.0", "paths": {"/x": broken, "/y": {"get": {}}}}))
    (tmp_path / "d.txt").write_text("not looked at")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of the documents"):
        call_command("external_service", "check", str(tmp_path), "--json", stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [set(line) for line in lines] == [
        {"file", "version", "operations", "callable", "skipped", "seconds", "error"}
    ] * 3
    assert [(line["version"], line["operations"], line["callable"]) for line in lines] == [
        ("3.0.0", 1, 1), (None, 0, 0), ("3.1.0", 2, 1)
    ]  # fmt: skip
    assert [line["error"] for line in lines[::2]] == [None, None]
    assert lines[1]["error"].startswith("UNSUPPORTED_OPENAPI_VERSION: ")
    [skipped] = lines[2]["skipped"]
    assert (skipped["operation"], skipped["pointer"]) == ("x", "/paths/~1x/get/requestBody")
    assert not ExternalService.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_address_is_fetched_through_the_egress_gate(bank_door):
    with FaultServer() as server:
        url = server.url("/json")
        with pytest.raises(CommandError, match="EGRESS_REFUSED"):
            run("register", "Bank", "--document", url)
        assert server.requests == []
        NamedCredential.objects.update(url=server.url())
        with pytest.raises(CommandError, match="UNSUPPORTED_OPENAPI_VERSION"):
            run("register", "Bank", "--document", url, "--named-credential", "Acme_Bank")
        assert [request.path for request in server.requests] == ["/json"]
    assert IntegrationLogEntry.objects.filter(operation="fetch a document").count() == 2


def test_a_document_behind_a_named_credential(bank_door, callout_mock):
    callout_mock.get("callout:Acme_Bank/openapi.yaml", body=BANK_DOCUMENT.read_bytes())
    run("register", "Bank", "--document", "callout:Acme_Bank/openapi.yaml")
    assert ExternalService.objects.get().active_version.document_format == "yaml"
    callout_mock.get("callout:Acme_Bank/gone", status=404)
    with pytest.raises(CommandError, match="answered 404"):
        run("register", "Bank", "--document", "callout:Acme_Bank/gone")


CHANGED = BANK_DOCUMENT.read_text().replace("operationId: GetApplication", "operationId: ReadApplication")


def test_the_life_of_a_service(bank_door, tmp_path):
    (tmp_path / "new.yaml").write_text(CHANGED)
    run("register", "Bank", "--document", str(BANK_DOCUMENT), "--named-credential", "Acme_Bank")
    told = run("register", "Bank", "--document", str(tmp_path / "new.yaml"))
    assert "Bank version 2 (3.0.3): registered, not active" in told
    assert "removed: get_application (breaking)" in told
    assert "switch with: manage.py external_service activate Bank 2" in told
    [line] = [json.loads(line) for line in run("list", "--json").splitlines()]
    assert (line["name"], line["version"], line["operations"], line["namedCredential"]) == ("Bank", 1, 2, "Acme_Bank")
    assert [change["kind"] for change in json.loads(run("diff", "Bank", "--json"))] == ["removed", "added"]
    assert run("activate", "Bank", "2") == "Bank version 2 is active.\n"
    shown = json.loads(run("show", "Bank", "--json"))
    assert (shown["activeVersion"], [one["number"] for one in shown["versions"]]) == (2, [1, 2])
    assert {one["name"] for one in shown["operations"]} == {"submit_application", "read_application"}
    assert "* version 2" in run("show", "Bank")
    assert "From version 2 to 1" in run("diff", "Bank", "2", "1")
    assert "class Bank(GeneratedClient):" in run("client", "Bank", "--version", "1")
    run("activate", "Bank", "1")
    assert "Bank  version 1  2 operations  Acme_Bank" in run("list")


def test_activating_in_any_case(bank_door, tmp_path):
    (tmp_path / "new.yaml").write_text(CHANGED)
    run("register", "Bank", "--document", str(BANK_DOCUMENT))
    told = json.loads(
        run("register", "Bank", "--document", str(tmp_path / "new.yaml"), "--activate", "always", "--json")
    )
    assert (told["version"], told["active"], told["changes"][0]["breaking"]) == (2, True, True)


def test_connect_says_what_is_left_to_do():
    run("register", "Bank", "--document", str(BANK_DOCUMENT))
    told = run("connect", "Bank", "--url", "https://bank.example")
    assert "Bank is reached through the named credential Bank." in told
    assert "Still to be entered in Set-up, Principals: client_id, client_secret." in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "Nobody"], "There is no external service 'Nobody'"),
        (["activate", "Bank", "9"], "UNKNOWN_EXTERNAL_SERVICE_VERSION"),
        (["diff", "Bank", "9"], "no version 9"),
        (["client", "Bank", "--version", "9"], "no version 9"),
        (["register", "Bank", "--document", str(BANK_DOCUMENT), "--folder", "/tmp"], "is not in /tmp"),
    ],
)
def test_what_cannot_be_done(arguments, told):
    run("register", "Bank", "--document", str(BANK_DOCUMENT))
    with pytest.raises(CommandError, match=told):
        run(*arguments)


def test_a_document_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BANK_DOCUMENT.read_bytes())))
    assert "Bank version 1" in run("register", "Bank", "--document", "-")
