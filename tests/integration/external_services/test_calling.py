"""Calling: arguments are checked before anything leaves, and written where the document says."""

import json
from datetime import date

import pytest

from callouts.errors import ConnectionLost, RepeatableInDoubt
from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.errors import (
    ArgumentsRefused,
    HandlerRefused,
    NotConnected,
    RepeatableUnexpectedAnswer,
    RequestRefused,
    ServiceFailed,
    ServiceInDoubt,
    UnexpectedAnswer,
    UnknownOperation,
)
from callouts.models import IntegrationLogEntry
from credentials.errors import PrincipalAccessRefused
from isthmus.access import actions as access
from isthmus.access.errors import PermissionRefused
from isthmus.errors import IsthmusError
from tests.service_handlers import Outcome

pytestmark = pytest.mark.django_db

PET = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "born": {"type": "string"}}}
ANSWER = {"200": {"description": "", "content": {"application/json": {}}}, "204": {"description": ""}}
PETS = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "servers": [{"url": "https://pets.example/v2"}],
    "paths": {
        "/pets/{petId}": {
            "parameters": [{"name": "petId", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getPet",
                "parameters": [
                    {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "user", "in": "query"},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "integer"}},
                ],
                "responses": {**ANSWER, "206": {"description": "", "content": {"text/csv": {}}}},
            },
            "put": {
                "operationId": "putPet",
                "parameters": [{"name": "idempotency-key", "in": "header", "required": True}],
                "requestBody": {"required": True, "content": {"application/json": {"schema": PET}}},
                "responses": ANSWER,
            },
        },
        "/form": {
            "post": {
                "operationId": "form",
                "requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": PET}}},
                "responses": ANSWER,
            }
        },
    },
}


@pytest.fixture
def pets(bank_door):
    register("Pets", json.dumps(PETS), named_credential=bank_door)
    return external_service("Pets")


def test_arguments_go_where_the_document_says(pets, callout_mock, teller):
    callout_mock.get(
        "callout:Acme_Bank/v2/pets/a%2Fb", json={"name": "Rex"}, headers={"X-Left": "3", "Set-Cookie": "s=1"}
    )
    answer = pets.get_pet(pet_id="a/b", tags=["x", "y z"], user_="me", parameters={"X-Trace": 7}, user=teller)
    assert (answer.status, answer.body, answer.invocation_id) == (200, {"name": "Rex"}, None)
    assert answer.headers == {"Content-Type": "application/json", "X-Left": "3"}
    [call] = callout_mock.calls
    assert call.url == "callout:Acme_Bank/v2/pets/a%2Fb?tags=x&tags=y%20z&user=me"
    assert (call.headers["X-Trace"], call.body) == ("7", b"")
    entry = IntegrationLogEntry.objects.get()
    assert (entry.operation, entry.user, entry.status_code) == ("Pets.getPet", teller, 200)


def test_the_documents_own_names_work_too(pets, callout_mock):
    callout_mock.get("callout:Acme_Bank/v2/pets/1", json={})
    assert pets.getPet(petId="1").status == 200
    assert pets.call("getPet", parameters={"petId": "1"}).status == 200


def test_the_servers_path_is_not_added_twice(pets, bank_door, callout_mock):
    bank_door.url = "https://pets.example/api/v2"
    bank_door.save()
    callout_mock.get("callout:Acme_Bank/pets/1", json={})
    assert pets.get_pet(pet_id="1").status == 200


@pytest.mark.parametrize(("path", "called"), [("/v3/", "/v3/pets/1"), ("v3", "/v3/pets/1"), ("/", "/pets/1")])
def test_another_path_in_place_of_the_servers(pets, callout_mock, path, called):
    register("Pets", json.dumps(PETS), server_path=path)
    callout_mock.get(f"callout:Acme_Bank{called}", json={})
    assert pets.get_pet(pet_id="1").status == 200
    register("Pets", json.dumps(PETS))
    assert pets.get_pet(pet_id="1").status == 200


def test_everything_that_is_wrong_is_told_at_once_and_nothing_leaves(pets, callout_mock):
    with pytest.raises(ArgumentsRefused) as refused:
        pets.get_pet(tags="x", x_trace="seven", nothing=1)
    assert {problem.pointer: problem.message for problem in refused.value.problems} == {
        "/nothing": "there is no such parameter; known are: pet_id, tags, user_, x_trace",
        "/petId": "it is required",
        "/tags": 'the value is not of type "array"',
        "/X-Trace": 'the value is not of type "integer"',
    }
    assert refused.value.fields == tuple(problem.pointer for problem in refused.value.problems)
    assert callout_mock.calls == []
    assert not IntegrationLogEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (None, ["/body"]),
        ({}, ["/body"]),
        ({"name": 5}, ["/body/name"]),
        ({"name": object()}, ["/body"]),
        ({"name": float("nan")}, ["/body"]),
    ],
)
def test_a_body_that_does_not_fit(pets, callout_mock, body, pointers):
    with pytest.raises(ArgumentsRefused) as refused:
        pets.put_pet(pet_id="1", body=body, reference="r")
    assert [problem.pointer for problem in refused.value.problems] == pointers
    assert callout_mock.calls == []


def test_dates_become_texts_and_the_callers_body_stays_as_it_is(pets, callout_mock):
    callout_mock.put("callout:Acme_Bank/v2/pets/1", status=204)
    body = {"name": "Rex", "born": date(2026, 1, 2)}
    answer = pets.put_pet(pet_id="1", body=body, reference="r")
    assert (answer.status, answer.body) == (204, None)
    assert callout_mock.calls[0].json() == {"name": "Rex", "born": "2026-01-02"}
    assert body == {"name": "Rex", "born": date(2026, 1, 2)}


def test_the_same_reference_gives_the_same_key_for_ever(pets, callout_mock):
    callout_mock.put("callout:Acme_Bank/v2/pets/1", status=204)
    for reference in ("order-1", "order-1", "order-2"):
        pets.put_pet(pet_id="1", body={"name": "Rex"}, reference=reference)
    keys = [call.headers["Idempotency-Key"] for call in callout_mock.calls]
    assert keys[0] == keys[1] == "859aafe4-f494-57e4-ac02-845cc99c2823"
    assert keys[2] == "923eb65b-f2d1-5307-9d66-7451fcbdc605"


def test_a_key_that_is_required_needs_a_reference(pets, callout_mock):
    with pytest.raises(ArgumentsRefused, match="give a reference"):
        pets.put_pet(pet_id="1", body={"name": "Rex"})
    callout_mock.put("callout:Acme_Bank/v2/pets/1", status=204)
    pets.put_pet(pet_id="1", body={"name": "Rex"}, idempotency_key="mine", reference="theirs")
    assert callout_mock.calls[0].headers["Idempotency-Key"] == "mine"


def test_a_form(pets, callout_mock):
    callout_mock.post("callout:Acme_Bank/v2/form", status=204)
    pets.form(body={"name": "Rex & Co", "born": "now"})
    assert callout_mock.calls[0].form() == {"name": "Rex & Co", "born": "now"}
    assert callout_mock.calls[0].headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, RequestRefused, False),
        (404, RequestRefused, False),
        (422, RequestRefused, False),
        (429, ServiceFailed, True),
        (500, ServiceFailed, True),
        (503, ServiceFailed, True),
    ],
)
def test_error_statuses_are_errors_with_the_answer(pets, callout_mock, status, kind, retryable):
    callout_mock.get("callout:Acme_Bank/v2/pets/1", status=status, json={"error": "why"}, headers={"Retry-After": "3"})
    with pytest.raises(kind) as failed:
        pets.get_pet(pet_id="1")
    assert (failed.value.response_status, failed.value.body) == (status, {"error": "why"})
    assert (failed.value.retryable, failed.value.headers["Retry-After"]) == (retryable, "3")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", "<h1>Maintenance</h1>"),
        ("application/json", "<h1>"),
        ("", "hello"),
        ("application/octet-stream", "x"),
    ],
)
def test_an_answer_that_the_document_does_not_know(pets, callout_mock, content_type, body):
    callout_mock.get("callout:Acme_Bank/v2/pets/1", body=body, headers={"Content-Type": content_type})
    with pytest.raises(UnexpectedAnswer, match="getPet answered 200"):
        pets.get_pet(pet_id="1")


def test_other_content_types_that_the_document_lists(pets, callout_mock):
    callout_mock.get("callout:Acme_Bank/v2/pets/1", status=206, body="a;b", headers={"Content-Type": "text/csv"})
    assert pets.get_pet(pet_id="1").body == "a;b"


def test_what_cannot_be_called(pets, callout_mock, mortgages):
    with pytest.raises(UnknownOperation, match="Pets has no operation 'nothing'"):
        pets.nothing()
    with pytest.raises(HandlerRefused, match="no callbacks"):
        pets.get_pet(pet_id="1", callback=Outcome)
    with pytest.raises(HandlerRefused, match="give it a handler"):
        mortgages.submit_application(body={})
    assert callout_mock.calls == []


def test_a_service_without_a_named_credential(callout_mock):
    register("Pets", json.dumps(PETS))
    with pytest.raises(NotConnected):
        external_service("Pets").get_pet(pet_id="1")


def test_who_may_not_use_the_principal_may_not_call(pets, callout_mock, django_user_model):
    stranger = django_user_model.objects.create_user("stranger")
    with pytest.raises(PermissionRefused, match=r"external_service.call on Pets.get_pet"):
        pets.get_pet(pet_id="1", user=stranger)
    access.assign(
        access.ensure_permission_set("Pets", "Pets", grants=[("external_service", "call", "Pets.get_pet")]), stranger
    )
    stranger = django_user_model.objects.get(username="stranger")
    with pytest.raises(PrincipalAccessRefused):
        pets.get_pet(pet_id="1", user=stranger)
    with pytest.raises(PermissionRefused, match=r"Pets.put_pet"):
        pets.put_pet(pet_id="1", body={}, user=stranger)
    assert callout_mock.calls == []


def test_errors_say_whether_the_same_call_again_is_safe(pets, callout_mock):
    """A call that writes is repeatable only with a key."""
    url = "callout:Acme_Bank/v2/form"
    callout_mock.post(url, error=ConnectionLost())
    callout_mock.post(url, status=500)
    callout_mock.post(url, status=503)
    callout_mock.post(url, body="<h1>", headers={"Content-Type": "text/html"})
    seen = []
    for _ in range(4):
        with pytest.raises(IsthmusError) as failed:
            pets.form(body={"name": "Rex"})
        seen.append((type(failed.value), failed.value.retryable))
    assert seen == [
        (ConnectionLost, False),
        (ServiceInDoubt, False),
        (ServiceFailed, True),
        (UnexpectedAnswer, False),
    ]
    url = "callout:Acme_Bank/v2/pets/1"
    callout_mock.put(url, error=ConnectionLost())
    callout_mock.put(url, status=500)
    callout_mock.put(url, body="<h1>", headers={"Content-Type": "text/html"})
    seen = []
    for _ in range(3):
        with pytest.raises(IsthmusError) as failed:
            pets.put_pet(pet_id="1", body={"name": "Rex"}, reference="r")
        seen.append((type(failed.value), failed.value.retryable))
    assert seen == [(RepeatableInDoubt, True), (ServiceFailed, True), (RepeatableUnexpectedAnswer, True)]
