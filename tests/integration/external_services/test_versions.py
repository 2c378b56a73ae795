"""Registering again: what differs, what breaks whom, and switching there and back."""

import copy
import json

import pytest

from callouts.external_services import external_service
from callouts.external_services.actions import activate, register
from callouts.external_services.errors import UnknownOperation, UnknownVersion
from callouts.external_services.models import ExternalService
from isthmus.audit.models import AuditEntry

pytestmark = pytest.mark.django_db

PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "kind": {"type": "string", "enum": ["cat", "dog"]},
        "owner": {"$ref": "#/components/schemas/Owner"},
    },
}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Pets", "version": "1"},
    "paths": {
        "/pets": {
            "get": {
                "operationId": "listPets",
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
                "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array",
                    "items": {"$ref": "#/components/schemas/Pet"}}}}}},
            },
            "post": {
                "operationId": "addPet",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                "responses": {"201": {"description": ""}},
            },
        },
        "/owners": {"get": {"operationId": "listOwners", "responses": {"200": {"description": ""}}}},
    },
    "components": {"schemas": {"Pet": PET, "Owner": {"type": "object", "properties": {"name": {"type": "string"}}}}},
}  # fmt: skip


def changed(change):
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return json.dumps(document)


def differences(change, **more):
    register("Pets", json.dumps(DOCUMENT))
    report = register("Pets", changed(change), **more)
    return report, {
        (operation.name, found.where, found.what): found.is_breaking
        for operation in report.changes
        for found in operation.differences
    }


def pet(document):
    return document["components"]["schemas"]["Pet"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: pet(d)["properties"].update(nick={"type": "string"}), {
            ("list_pets", "answer 200 /-/nick", "it is new"): False,
            ("add_pet", "body /nick", "it is new"): False,
        }),
        (lambda d: pet(d)["required"].append("kind"), {("add_pet", "body /kind", "it is required now"): True}),
        (lambda d: pet(d)["required"].clear(), {("list_pets", "answer 200 /-/name", "it may be missing now"): True}),
        (lambda d: pet(d)["properties"].pop("kind"), {
            ("list_pets", "answer 200 /-/kind", "it is gone"): True,
            ("add_pet", "body /kind", "it is gone"): True,
        }),
        (lambda d: pet(d)["properties"]["kind"]["enum"].append("fox"), {
            ("list_pets", "answer 200 /-/kind", 'the value "fox" is new'): False,
            ("add_pet", "body /kind", 'the value "fox" is new'): False,
        }),
        (lambda d: pet(d)["properties"]["kind"]["enum"].pop(), {
            ("list_pets", "answer 200 /-/kind", 'the value "dog" is gone'): False,
            ("add_pet", "body /kind", 'the value "dog" is gone'): True,
        }),
        (lambda d: pet(d)["properties"]["name"].update(maxLength=10),
            {("add_pet", "body /name", "maxLength was 20 and is 10"): True}),
        (lambda d: pet(d)["properties"]["name"].update(maxLength=30),
            {("add_pet", "body /name", "maxLength was 20 and is 30"): False}),
        (lambda d: d["components"]["schemas"]["Owner"]["properties"]["name"].update(type="integer"), {
            ("list_pets", "answer 200 /-/owner/name", "its type was string and is integer"): True,
            ("add_pet", "body /owner/name", "its type was string and is integer"): True,
        }),
        (lambda d: d["paths"]["/pets"]["get"]["parameters"].append({"name": "q", "in": "query", "required": True}),
            {("list_pets", "parameter q", "it is new, and required"): True}),
        (lambda d: d["paths"]["/pets"]["get"]["parameters"].clear(),
            {("list_pets", "parameter limit", "it is no longer taken in the query"): True}),
        (lambda d: d["paths"]["/pets"]["post"]["requestBody"].update(required=True),
            {("add_pet", "body", "it is required now"): True}),
        (lambda d: d["paths"].update({"/animals": d["paths"].pop("/pets")}), {
            ("list_pets", "address", "GET /pets became GET /animals"): False,
            ("add_pet", "address", "POST /pets became POST /animals"): False,
        }),
        (lambda d: d["paths"]["/owners"]["get"]["responses"].update({"404": {"description": ""}}),
            {("list_owners", "answer 404", "it is new"): False}),
        (lambda d: d["info"].update(title="Animals"), {}),
    ],
)  # fmt: skip
def test_what_differs(change, expected):
    report, found = differences(change)
    assert found == expected
    assert report.is_active is not any(expected.values())
    assert ExternalService.objects.get().active_version.number == (2 if report.is_active else 1)


def test_operations_come_and_go():
    def change(document):
        document["paths"]["/new"] = {"get": {"operationId": "fresh"}}
        del document["paths"]["/owners"]

    report, _ = differences(change)
    assert [(found.name, found.kind, found.is_breaking) for found in report.changes] == [
        ("fresh", "added", False),
        ("list_owners", "removed", True),
    ]
    assert ExternalService.objects.get().versions.get(number=2).changes == [one.as_json() for one in report.changes]


def test_who_uses_what_changed_is_told(mortgages, submitted):
    submitted()
    document = json.loads(ExternalService.objects.get().active_version.sources.get().text)
    document["paths"]["/applications"]["post"]["operationId"] = "Another"
    report = register("AcmeMortgages", json.dumps(document))
    kinds = {(use.kind, use.count) for use in report.uses["submit_application"]}
    assert {("invocation", 1), ("call", 1)} <= kinds
    code = [use.where for use in report.uses["submit_application"] if use.kind == "code"]
    assert any(where.startswith("examples/mortgage/actions/applications.py:") for where in code)


def test_the_old_version_runs_until_it_is_switched_and_again_after_that(bank_door, callout_mock, admin_user):
    register("Pets", json.dumps(DOCUMENT), named_credential=bank_door)
    report = register("Pets", changed(lambda d: d["paths"].pop("/owners")))
    assert (report.version, report.is_active) == (2, False)
    callout_mock.get("callout:Acme_Bank/owners", status=200)
    pets, service = external_service("Pets"), ExternalService.objects.get()
    pets.list_owners()
    activate(service, 2, user=admin_user)
    with pytest.raises(UnknownOperation):
        pets.list_owners()
    external_service("Pets", version=1).list_owners()
    activate(service, 1, user=admin_user)
    pets.list_owners()
    assert list(
        AuditEntry.objects.filter(action="external_service.activated").order_by("sequence").values_list(
            "actor", "target", "details"
        )
    ) == [("admin", "Pets", {"version": 2, "before": 1}), ("admin", "Pets", {"version": 1, "before": 2})]  # fmt: skip
    for call in (lambda: activate(service, 7), lambda: external_service("Pets", version=7)):
        with pytest.raises(UnknownVersion):
            call()


def test_a_version_that_waits_is_activated_by_registering_it_again():
    register("Pets", json.dumps(DOCUMENT))
    waiting = changed(lambda d: d["paths"].pop("/owners"))
    assert not register("Pets", waiting).is_active
    again = register("Pets", waiting, activation="always")
    assert (again.version, again.is_changed) == (2, False)
    assert ExternalService.objects.get().active_version.number == 2


def test_never_means_never():
    report, _ = differences(lambda d: d["info"].update(title="x"), activation="never")
    assert not report.is_active
