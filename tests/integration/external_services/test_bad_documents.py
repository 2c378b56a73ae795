"""Documents that are broken, hostile or only odd: a clear error or a partial import, in bounded time."""

import json
import time
from contextlib import suppress

import pytest

from callouts.external_services import external_service
from callouts.external_services.actions import register
from callouts.external_services.errors import ArgumentsRefused, DocumentRefused, DocumentTooLarge, DocumentUnreadable
from callouts.external_services.models import ExternalService
from callouts.external_services.testing import external_service_mock as external_service_mock
from callouts.external_services.typed_client import module_for

pytestmark = pytest.mark.django_db


def document(paths=None, **more):
    return {"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths or {}, **more}


def taking(schema, **schemas):
    body = {"content": {"application/json": {"schema": schema}}}
    operation = {"operationId": "it", "requestBody": body, "responses": {"200": {"description": "", **body}}}
    return document({"/it": {"post": operation}}, components={"schemas": schemas})


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", DocumentUnreadable),
        ("\x00\x01\x02", DocumentUnreadable),
        ("openapi: 3.0.0\npaths: [unclosed", DocumentUnreadable),
        ("openapi: 3.0.0\n\tpaths: {}", DocumentUnreadable),
        ('{"openapi": "3.0.0", "paths": {', DocumentUnreadable),
        ("<html><body>Not found</body></html>", DocumentUnreadable),
        ("openapi: 3.0.0\n" + LAUGHS, DocumentTooLarge),
        ("openapi: 3.0.0\nx: &x [*x]", DocumentUnreadable),
        ("!!python/object/apply:os.system ['true']", DocumentUnreadable),
        ("[" * 100_000, DocumentRefused),
        ("a: " + "[" * 50_000, DocumentRefused),
        (json.dumps(document()), DocumentRefused),
        (json.dumps(document({"/x": {"get": "soon"}})), DocumentRefused),
        (json.dumps({"openapi": {"a": 1}, "paths": {}}), DocumentRefused),
    ],
)
def test_what_is_no_document_is_refused_with_a_code_and_leaves_nothing(text, error):
    began = time.monotonic()
    with pytest.raises(error) as refused:
        register("S", text)
    assert refused.value.code
    assert time.monotonic() - began < 10
    assert not ExternalService.objects.exists()


def test_a_hundred_megabytes_and_one_are_refused_before_they_are_read(settings):
    with pytest.raises(DocumentTooLarge, match="at most 104857600 are read"):
        register("S", b" " * (100 * 1024 * 1024 + 1))


def test_ten_thousand_operations_register_in_seconds():
    paths = {
        f"/things/{number}/{{id}}": {
            "get": {"operationId": f"getThing{number}", "parameters": [{"$ref": "#/components/parameters/Page"}]},
            "post": {"operationId": f"addThing{number}", "requestBody": {"$ref": "#/components/requestBodies/Thing"}},
        }
        for number in range(5_000)
    }
    parts = {
        "parameters": {"Page": {"name": "page", "in": "query", "schema": {"type": "integer"}}},
        "requestBodies": {"Thing": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        "schemas": {f"S{number}": {"description": "x" * 1000} for number in range(8_000)},
    }
    text = json.dumps(document(paths, components=parts))
    assert len(text) > 9_000_000
    began = time.monotonic()
    report = register("S", text)
    assert time.monotonic() - began < 10
    assert len(report.operations) == 10_000


SELF = {"$ref": "#/components/schemas/Self"}


@pytest.mark.parametrize(
    "given",
    [
        taking(SELF, Self=SELF),
        taking(SELF, Self={"allOf": [SELF, {"type": "object", "properties": {"a": SELF}}]}),
        taking(SELF, Self={"anyOf": [SELF, {"type": "array", "items": SELF}]}),
        taking(
            {"$ref": "#/components/schemas/A"},
            A={"$ref": "#/components/schemas/B"},
            B={"$ref": "#/components/schemas/A"},
        ),
        taking({"$ref": "#/paths/~1it/post/requestBody/content/application~1json/schema"}),
        taking({"$ref": "#"}),
        taking({"$ref": "#/components"}),
        taking({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/Gone"}}}),
        taking({"type": ["string", 7], "properties": [], "required": "x", "enum": {}, "allOf": {}, "items": 3}),
        taking({"pattern": "(unclosed", "patternProperties": {"[": {}}, "type": "string"}),
        taking({"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"}),
        taking({"type": "integer", "multipleOf": 0, "maximum": "ten", "format": ["int32"]}),
        taking({"discriminator": {"propertyName": "kind"}, "oneOf": "several"}),
        taking({"discriminator": "kind", "oneOf": [SELF]}, Self={"type": "object"}),
    ],
)  # fmt: skip
def test_odd_schemas_are_taken_as_far_as_they_go(bank_door, external_service_mock, given):
    register("S", json.dumps(given), named_credential=bank_door)
    external_service_mock("S")
    began = time.monotonic()
    for body in ({"a": {"a": {}}}, "x" * 60 + "!", 3, [[]]):
        with suppress(ArgumentsRefused):
            external_service("S").it(body=body)
    assert "class S(GeneratedClient):" in module_for(ExternalService.objects.get().active_version)
    assert time.monotonic() - began < 10


def test_examples_that_contradict_their_schemas_are_used_as_they_are(bank_door, external_service_mock):
    given = taking({"type": "object", "properties": {"n": {"type": "integer"}}})
    answer = given["paths"]["/it"]["post"]["responses"]["200"]["content"]["application/json"]
    answer["example"] = {"n": "seven"}
    register("S", json.dumps(given), named_credential=bank_door)
    external_service_mock("S")
    answered = external_service("S").it(body={"n": 7})
    assert answered.body == {"n": "seven"}
    assert [problem.pointer for problem in answered.problems] == ["/n"]


def test_operation_ids_that_occur_twice_and_names_that_collide(bank_door):
    paths = {
        f"/{number}": {"get": {"operationId": given}}
        for number, given in enumerate(["same", "same", "SAME", "x" * 300, 7, "", "../../etc", "__class__", "self"])
    }
    report = register("S", json.dumps(document(paths)), named_credential=bank_door)
    names = [operation.name for operation in report.operations]
    assert len(set(names)) == len(paths)
    assert all(name.isidentifier() and not name.startswith("_") for name in names)


@pytest.mark.parametrize(
    "more",
    [
        {"servers": "everywhere"}, {"servers": [{"url": 7}, None]}, {"servers": [{"url": "http://[broken"}]},
        {"components": []}, {"components": {"securitySchemes": {"a": None, "b": {"type": 7}}}}, {"security": "all"},
        {"info": None}, {"tags": 7}, {"x-odd": [[[]]]},
    ],
)  # fmt: skip
def test_odd_parts_of_a_document_cost_nothing_else(bank_door, more):
    paths = {"/a": {"get": {"operationId": "a", "tags": "x", "security": [7], "responses": [], "deprecated": "yes"}}}
    report = register("S", json.dumps({**document(paths), **more}), named_credential=bank_door)
    assert [operation.name for operation in report.operations] == ["a"]
    list(report.proposals)


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800", "\\u202e", "\U0001f600"])
def test_odd_characters_everywhere(bank_door, odd):
    """U+0000, which PostgreSQL's texts refuse, and half of a character, which no encoding has."""
    operation = {
        "operationId": "doODD", "summary": "ODD", "tags": ["ODD"],
        "parameters": [{"name": "aODD", "in": "query", "description": "ODD", "schema": {"enum": ["ODD"]}}],
        "responses": {"2ODD": {"description": "ODD"}},
        "callbacks": {"cODD": {"{$request.query.ODD}": {"post": {"responses": {}}}}},
    }  # fmt: skip
    text = json.dumps(
        {
            "openapi": "3.0.0",
            "info": {"title": "ODD"},
            "paths": {"/ODD": {"get": operation, "trace": {}}},
            "x-ODD": "ODD",
        }
    ).replace("ODD", odd)
    report = register("S", text, named_credential=bank_door)
    assert len(report.operations) == 1
    assert register("S", text).is_changed is False
    version = ExternalService.objects.get().active_version
    assert version.operations.get().contract.parameters
    assert "class S(GeneratedClient):" in module_for(version)
