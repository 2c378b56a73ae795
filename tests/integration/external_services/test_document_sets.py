"""Sets of documents: references to others of the set are followed, and nothing else is fetched."""

import io
import json
import zipfile

import pytest
from django.core.management import call_command

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.document.bundling import Archive, Folder, bundled
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.reading import read
from callouts.external_services.errors import ArgumentsRefused, DocumentRefused, DocumentTooLarge, DocumentUnreadable
from callouts.external_services.models import ExternalService, ExternalServiceVersion
from tests.fault_server import FaultServer

MAIN = """
openapi: 3.0.3
info: {title: Set, version: '1'}
paths:
  /pets:
    $ref: paths/pets.yaml#/pets
"""
PETS = """
pets:
  post:
    operationId: addPet
    requestBody:
      content:
        application/json:
          schema: {$ref: '../schemas/pet.json'}
    responses:
      '201': {description: ''}
"""
PET = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parent": {"$ref": "#"}, "owner": {"$ref": "owner.json#/Owner"}},
}
OWNER = {"Owner": {"type": "object", "properties": {"pets": {"type": "array", "items": {"$ref": "pet.json"}}}}}
FILES = {
    "api/main.yaml": MAIN,
    "api/paths/pets.yaml": PETS,
    "api/schemas/pet.json": json.dumps(PET),
    "api/schemas/owner.json": json.dumps(OWNER),
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "secret.json").write_text('{"type": "string"}')
    return tmp_path


def refusals(body):
    with pytest.raises(ArgumentsRefused) as refused:
        external_service("Set").add_pet(body=body)
    return {problem.pointer for problem in refused.value.problems}


@pytest.mark.django_db
def test_a_folder_is_one_document(folder, bank_door):
    call_command(
        "external_service", "register", "Set", "--document", str(folder / "api/main.yaml"), "--named-credential",
        "Acme_Bank", stdout=io.StringIO(),
    )  # fmt: skip
    assert refusals({"parent": {"name": 1}, "owner": {"pets": [{"name": 2}]}}) == {
        "/body", "/body/parent/name", "/body/owner/pets/0/name"
    }  # fmt: skip
    version = ExternalServiceVersion.objects.get()
    assert {source.name for source in version.sources.all()} == {
        "", "paths/pets.yaml", "schemas/pet.json", "schemas/owner.json"
    }  # fmt: skip


@pytest.mark.django_db
def test_an_archive_is_one_document(bank_door):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    documents = Archive(held.getvalue())
    assert documents.name == "api/main.yaml"
    register("Set", documents.read(documents.name), documents=documents, named_credential=bank_door)
    assert refusals({"owner": {"pets": [{"name": 2}]}}) == {"/body", "/body/owner/pets/0/name"}


@pytest.mark.django_db
def test_documents_beside_one_behind_a_named_credential(bank_door, callout_mock):
    for name, text in FILES.items():
        callout_mock.get(f"callout:Acme_Bank/{name}", body=text)
    call_command(
        "external_service", "register", "Set", "--document", "callout:Acme_Bank/api/main.yaml", "--named-credential",
        "Acme_Bank", stdout=io.StringIO(),
    )  # fmt: skip
    assert [call.url for call in callout_mock.calls] == [f"callout:Acme_Bank/{name}" for name in FILES]


@pytest.mark.parametrize(
    "reference", ["../secret.json", "../../secret.json", "/etc/hostname", "schemas/../../secret.json"]
)
def test_what_lies_outside_of_the_folder_is_not_there(folder, reference):
    document = read(json.dumps({"openapi": "3.0.0", "paths": {}, "x": {"$ref": reference}}))
    assert bundled(document, Folder(folder / "api", "main.yaml"), DocumentLimits()).content["x"] == {"$ref": reference}


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder / "api" / "link.json").symlink_to(folder / "secret.json")
    document = read(json.dumps({"openapi": "3.0.0", "paths": {}, "x": {"$ref": "link.json"}}))
    assert bundled(document, Folder(folder / "api", "main.yaml"), DocumentLimits()).content["x"] == {
        "$ref": "link.json"
    }


@pytest.mark.django_db(transaction=True)
def test_an_address_elsewhere_is_never_fetched(bank_door, folder):
    with FaultServer() as server:
        remote = {"$ref": server.url("/schema.json")}
        operation = {"operationId": "a", "requestBody": {"content": {"application/json": {"schema": remote}}}}
        text = json.dumps({"openapi": "3.0.0", "info": {}, "paths": {"/a": {"post": operation}}})
        (folder / "remote.json").write_text(text)
        call_command(
            "external_service", "register", "Set", "--document", str(folder / "remote.json"), stdout=io.StringIO()
        )
        assert server.requests == []
    [problem] = ExternalServiceVersion.objects.get().problems
    assert "is not part of what was given; any value is taken here" in problem["reason"]


def test_problems_in_another_document_name_it_and_its_line(folder):
    (folder / "api/paths/pets.yaml").write_text(
        "pets:\n  post:\n    operationId: a\n    parameters:\n      - in: query\n"
    )
    from callouts.external_services.description.analysis import analyse

    document = bundled(read(MAIN), Folder(folder / "api", "main.yaml"), DocumentLimits())
    [problem] = analyse(document).problems
    assert (problem.pointer, problem.line) == ("paths/pets.yaml#/pets/post/parameters/0", 5)


def test_an_archive_that_is_none_or_too_large():
    with pytest.raises(DocumentUnreadable):
        Archive(b"no zip")
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(DocumentRefused, match="no OpenAPI document"):
        Archive(held.getvalue())
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(11):
            archive.writestr(f"{number}.json", b" " * 10 * 1024 * 1024)
    assert len(bomb.getvalue()) < 200_000
    with pytest.raises(DocumentTooLarge):
        Archive(bomb.getvalue())


@pytest.mark.django_db
def test_a_set_is_registered_again_without_a_new_version(folder):
    for _ in range(2):
        call_command(
            "external_service", "register", "Set", "--document", str(folder / "api/main.yaml"), stdout=io.StringIO()
        )
    assert ExternalService.objects.get().versions.count() == 1
