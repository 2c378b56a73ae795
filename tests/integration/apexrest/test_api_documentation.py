"""The OpenAPI documents and their pages; our own document as an external service; schemathesis against it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apexrest import http_get, http_post, rest_resource
from apexrest.documentation.documents import document_of, versions
from callouts.external_services import external_service
from callouts.external_services.actions import register
from credentials.actions import create_external_credential, create_named_credential, create_principal
from isthmus.access.actions import create_api_client, issue_access_token

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(db):
    client = Client()
    client.force_login(User.objects.create_user("reader"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_there_is_a_document_for_each_version(samples):
    assert versions() == ["v2", "v1", "unversioned"]
    assert list(document_of("v2")["paths"]) == ["/v2/orders", "/v2/orders/{wildcard}"]
    assert list(document_of("v1")["paths"])[:2] == ["/v1/orders", "/v1/orders/{wildcard}"]
    assert document_of("v3") is None


def test_methods_whose_names_end_alike_stay_apart(samples, reader):
    @rest_resource("/v9/things/*")
    class Things:
        @http_get(statuses={404: "No such thing."})
        def thing(self) -> str:
            """Read a thing."""
            return "thing"

        @http_post
        def thing_item(self, name: str) -> str:
            """Add an item to a thing."""
            return name

    operations = [one for path in document_of("v9")["paths"].values() for one in path.values()]
    ids = [one["operationId"].rpartition(".")[2] for one in operations]
    assert len(set(ids)) == len(ids) == 4
    page = reader.get("/docs/v9/").content.decode()
    assert (page.count("Read a thing."), page.count("Add an item to a thing.")) == (1, 1)
    assert "Only reads" in page
    assert "Not tried yet" in page


def test_a_document_says_what_is_taken_and_given(samples):
    document = document_of("v1")
    assert document["openapi"] == "3.1.0"
    create, read = document["paths"]["/v1/orders"]["post"], document["paths"]["/v1/orders"]["get"]
    assert (create["operationId"], create["summary"]) == (
        "OrdersOne_create",
        "Take an order and say what was understood.",
    )
    assert create["deprecated"] is True
    assert "Use /v2/orders/* instead." in create["description"]
    schema = create["requestBody"]["content"]["application/json"]["schema"]
    assert schema["anyOf"][0] == {"$ref": "#/components/schemas/Order"}
    order = document["components"]["schemas"]["Order"]
    assert order["required"] == ["lines", "number"]
    assert order["additionalProperties"] is False
    assert order["properties"]["channel"] == {"enum": ["web", "shop"]}
    assert order["properties"]["due"] == {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
    assert document["components"]["schemas"]["OrderAnswer"]["required"] == [
        "channel", "due", "lines", "notes", "number", "urgent",
    ]  # fmt: skip
    assert create["requestBody"]["content"]["application/json"]["example"]["lines"] == [
        {"sku": "text", "quantity": 1, "price": 19.99}
    ]
    assert [(one["name"], one["in"]) for one in read["parameters"]] == [
        ("status", "query"), ("limit", "query"), ("open", "query"),
    ]  # fmt: skip
    assert set(create["responses"]) == {
        "200", "300", "400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "500", "503",
    }  # fmt: skip
    assert document_of("v2")["paths"]["/v2/orders"]["post"]["parameters"][0]["required"] is True


def test_the_example_of_a_document_is_taken(api, samples):
    for version in versions():
        for path, methods in document_of(version)["paths"].items():
            for method, operation in methods.items():
                if "requestBody" not in operation or path.startswith(("/hooks", "/t/narrow", "/t/trouble")):
                    continue
                example = operation["requestBody"]["content"]["application/json"]["example"]
                key = {"Idempotency-Key": f"{method}{path}".replace("{", "").replace("}", "")}
                answer = api.send(method.upper(), re.sub("{.*}", "x", path), example, **key)
                assert answer.status_code < 300, (path, example, answer.content)


def test_the_page_is_for_who_signed_in_and_the_document_for_programs_too(samples, reader, caller, client, settings):
    assert client.get("/docs/").status_code == 302
    assert client.get("/docs/v1/")["Location"] == "/sign-in/?next=/docs/v1/"
    assert client.get("/docs/openapi/v1.json").status_code == 401
    assert reader.get("/docs/")["Location"] == "/docs/v2/"
    text = reader.get("/docs/v1/").content.decode()
    for told in (
        "OrdersOne",
        "Take an order",
        "Deprecated",
        "Not tried yet",
        "curl -X POST",
        "lines",
        "list of object",
    ):
        assert told in text, told
    assert reader.get("/docs/v9/").status_code == 404
    token = {"Authorization": f"Bearer {issue_access_token(caller)}"}
    assert client.get("/docs/openapi/v1.json", headers=token).json()["info"]["version"] == "v1"
    assert client.get("/docs/openapi/v9.json", headers=token).status_code == 404
    settings.ISTHMUS_APEXREST_PUBLIC_DOCUMENTATION = True
    assert client.get("/docs/v1/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_our_own_document_is_an_external_service_by_which_we_call_ourselves(live_server, settings, samples, caller):
    settings.BASE_URL = live_server.url
    client, secret = create_api_client("Ourselves", caller)
    external = create_external_credential(
        "Ourselves",
        protocol="oauth_client_credentials",
        settings={"token_url": f"{live_server.url}/services/oauth2/token", "client_authentication": "body"},
    )
    create_principal(external, "Robot", secrets={"client_id": client.client_id, "client_secret": secret})
    door = create_named_credential(
        "Own_Api",
        url=f"{live_server.url}/services/apexrest",
        external_credential=external,
        allow_internal_addresses=True,
    )
    register("OwnApi", json.dumps(document_of("v1")), named_credential=door)
    ours = external_service("OwnApi")
    order = {"number": "A-1", "lines": [{"sku": "x", "quantity": 2}]}
    made = ours.orders_one_create(body=order)
    assert (made.status, made.body["lines"]) == (200, [{"sku": "x", "quantity": 2, "price": 0}])
    assert ours.orders_one_read(status=["new"], limit=3).body["status"] == ["new"]
    assert ours.orders_one_read_item(wildcard="7").body["wildcard"] == "7"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_schemathesis_finds_no_failure_and_nothing_undocumented(live_server, samples, caller, version, tmp_path):
    document = {**document_of(version), "servers": [{"url": f"{live_server.url}/services/apexrest"}]}
    file = tmp_path / f"{version}.json"
    file.write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("st")),
        "run",
        str(file),
        "--url",
        f"{live_server.url}/services/apexrest",
        "--header",
        f"Authorization: Bearer {issue_access_token(caller)}",
        # What is right by its types may still be refused: by a rule of the data, or a key that came before.
        "--exclude-checks",
        "positive_data_acceptance",
        "--max-examples",
        "25",
        "--seed",
        "1",
        "--no-color",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-6_000:] + ran.stderr[-2_000:]
