"""What works in a document is taken; what does not is listed with its place and reason."""

import json
from pathlib import Path

import pytest

from callouts.callbacks.addresses import find_callbacks
from callouts.external_services.description.analysis import analyse
from callouts.external_services.description.definitions import Hints, PageHint, RetryHint
from callouts.external_services.document.reading import read
from tests.integration.external_services.documents import SWAGGER

MORTGAGES = Path(__file__).parents[2] / "service_documents" / "acme_mortgages.json"
JSON_BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}


def analysed(paths, version="3.0.3", **more):
    return analyse(
        read(json.dumps({"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths, **more}))
    )


def only(analysis):
    [draft] = analysis.operations
    return draft


def test_the_mortgage_document_gives_one_asynchronous_operation():
    analysis = analyse(read(MORTGAGES.read_bytes()))
    draft = only(analysis)
    assert (analysis.skipped, analysis.problems) == ((), ())
    assert (draft.operation_id, draft.method, draft.path) == ("SubmitApplication", "POST", "/applications")
    assert [(found.name, found.location, found.place, list(found.methods)) for found in draft.callbacks] == [
        ("applicationOutcomeApproved", "body", "/callbackUrlForOutcomes/approved", ["POST"]),
        ("applicationOutcomeRejected", "body", "/callbackUrlForOutcomes/rejected", ["POST"]),
        ("applicationError", "query", "callbackUrlForErrorCases", ["POST"]),
    ]
    [parameter] = draft.callbacks[2].methods["POST"].parameters
    assert (parameter.name, parameter.location, parameter.required) == ("applicationNumber", "header", False)
    assert {status: answer.content_types for status, answer in draft.definition.answers.items()} == {
        "201": ("application/json",)
    }


def test_what_works_is_taken_and_what_does_not_is_listed():
    analysis = analysed(
        {
            "/good": {"get": {"operationId": "good"}},
            "/dangling": {"get": {"operationId": "dangling", "parameters": [{"$ref": "#/components/parameters/None"}]}},
            "/remote": {"post": {"operationId": "remote", "requestBody": {"$ref": "https://x.example/b.yaml#/Body"}}},
            "/loop": {"post": {"operationId": "loop", "requestBody": {"$ref": "#/components/requestBodies/A"}}},
            "/upload": {"post": {"operationId": "upload", "requestBody": {"content": {"multipart/form-data": {}}}}},
            "/noname": {"get": {"parameters": [{"in": "query"}]}},
            "/text": {"get": "soon"},
            "nopath": {"get": {}},
            "/item": {"$ref": "#/paths/~1nowhere"},
            "/trace": {"trace": {}},
        },
        components={
            "requestBodies": {
                "A": {"$ref": "#/components/requestBodies/B"},
                "B": {"$ref": "#/components/requestBodies/A"},
            }
        },
    )
    assert [draft.operation_id for draft in analysis.operations] == ["good", "dangling", "upload", "get_noname"]
    assert {(found.operation, found.pointer, found.reason) for found in analysis.problems} == {
        ("dangling", "/paths/~1dangling/get/parameters/0", "there is nothing at #/components/parameters/None"),
        (
            "get_noname",
            "/paths/~1noname/get/parameters/0",
            "a parameter needs a name, and a place that is path, query, header or cookie; it is left out",
        ),
    }
    assert {(found.operation, found.pointer, found.reason) for found in analysis.skipped} == {
        (
            "remote",
            "/paths/~1remote/post/requestBody",
            "it refers to another document (https://x.example/b.yaml#/Body), which is not there",
        ),
        ("loop", "/paths/~1loop/post/requestBody", "it refers to itself"),
        ("GET /text", "/paths/~1text/get", "this is no operation"),
        ("nopath", "/paths/nopath", "a path starts with a slash"),
        ("/item", "/paths/~1item", "there is nothing at #/paths/~1nowhere"),
        ("TRACE /trace", "/paths/~1trace/trace", "TRACE is never sent"),
    }


def test_problems_are_told_with_their_lines():
    document = """openapi: 3.0.3
paths:
  /a:
    get:
      operationId: a
      parameters:
        - in: query
  /b:
    trace: {}
"""
    analysis = analyse(read(document))
    assert [(found.pointer, found.line) for found in analysis.problems] == [("/paths/~1a/get/parameters/0", 7)]
    assert [(found.pointer, found.line) for found in analysis.skipped] == [("/paths/~1b/trace", 9)]


def test_a_broken_schema_takes_any_value_and_is_listed():
    def body(name):
        schema = {"$ref": f"#/components/schemas/{name}"}
        return {"operationId": f"use{name}", "requestBody": {"content": {"application/json": {"schema": schema}}}}

    analysis = analysed(
        {f"/{name}": {"post": body(name)} for name in ("Bad", "Round", "Fine")},
        components={
            "schemas": {
                "Bad": {"type": "array", "items": {"$ref": "#/components/schemas/Missing"}},
                "Round": {"properties": {"next": {"$ref": "#/components/schemas/Round"}}},
                "Fine": {
                    "properties": {"$ref": {"type": "string"}, "example": {"$ref": "#/components/schemas/Gone"}},
                    "example": {"$ref": "#/not/a/reference"},
                    "enum": [{"$ref": "x"}],
                    "default": {"$ref": "y"},
                },
            }
        },
    )
    assert [draft.operation_id for draft in analysis.operations] == ["useBad", "useRound", "useFine"]
    assert analysis.skipped == ()
    assert [(found.pointer, found.reason) for found in analysis.problems] == [
        ("/components/schemas/Bad/items", "there is nothing at #/components/schemas/Missing; any value is taken here"),
        (
            "/components/schemas/Fine/properties/example",
            "there is nothing at #/components/schemas/Gone; any value is taken here",
        ),
    ]


def test_operations_without_an_id_or_with_one_that_is_taken_get_one_from_their_path():
    analysis = analysed(
        {
            "/pets/{petId}": {"get": {"operationId": "same"}, "delete": {"operationId": "same"}, "put": {}},
        }
    )
    assert [draft.operation_id for draft in analysis.operations] == [
        "same",
        "put_pets_by_pet_id",
        "delete_pets_by_pet_id",
    ]
    assert "'delete_pets_by_pet_id'" in next(found.reason for found in analysis.problems if "twice" in found.reason)


def test_a_path_parameter_that_is_not_declared_takes_any_text():
    analysis = analysed({"/pets/{petId}": {"get": {}}})
    [parameter] = only(analysis).definition.parameters
    assert (parameter.name, parameter.location, parameter.required, parameter.schema) == ("petId", "path", True, None)
    assert [found.reason for found in analysis.problems] == [
        "the path parameter 'petId' is not declared; it takes any text"
    ]


def test_parameters_of_the_operation_replace_those_of_its_path():
    path_item = {
        "parameters": [
            {"name": "a", "in": "query", "description": "path"},
            {"name": "b", "in": "query", "style": "pipeDelimited", "explode": False},
            {"name": "Authorization", "in": "header"},
        ],
        "get": {"parameters": [{"name": "a", "in": "query", "description": "operation", "required": True}]},
    }
    found = only(analysed({"/x": path_item})).definition.parameters
    assert [(one.name, one.description, one.required, one.style, one.explode) for one in found] == [
        ("a", "operation", True, "form", True),
        ("b", "", False, "pipeDelimited", False),
    ]


def test_python_names_of_parameters_are_unique_and_leave_the_callers_words_alone():
    parameters = [
        {"name": "id", "in": "query"}, {"name": "id", "in": "header"}, {"name": "user", "in": "query"},
        {"name": "X-Request-ID", "in": "header"}, {"name": "class", "in": "query"}, {"name": "☃", "in": "query"},
    ]  # fmt: skip
    found = only(analysed({"/x": {"get": {"parameters": parameters}}})).definition.parameters
    assert [one.python_name for one in found] == ["id", "header_id", "user_", "x_request_id", "class_", "parameter"]


@pytest.mark.parametrize(
    ("content", "kind", "sent"),
    [
        (["text/plain", "application/json"], "json", "application/json"),
        (["application/xml", "application/vnd.api+json"], "json", "application/vnd.api+json"),
        (["multipart/form-data", "application/x-www-form-urlencoded"], "form", "application/x-www-form-urlencoded"),
        (["text/plain", "application/xml"], "xml", "application/xml"),
        (["image/png", "multipart/mixed"], "multipart", "multipart/mixed"),
        (["image/png", "text/csv"], "text", "text/csv"),
        (["image/png"], "binary", "image/png"),
        (["*/*"], "json", "*/*"),
    ],
)
def test_the_content_type_that_is_written_best_is_chosen(content, kind, sent):
    body = only(analysed({"/x": {"post": {"requestBody": {"content": {one: {} for one in content}}}}})).definition.body
    assert (body.kind, body.content_types[0]) == (kind, sent)


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        (None, ""),
        ([{"url": "/"}], ""),
        ([{"url": "/v2/"}], "/v2"),
        ([{"url": "https://api.example.com/v3"}], "/v3"),
        ([{"url": "https://{host}/{base}", "variables": {"host": {"default": "h"}, "base": {"default": "v4"}}}], "/v4"),
        ([{"url": "v5"}], "/v5"),
        ([], ""),
    ],
)
def test_the_path_of_the_server(servers, path):
    more = {} if servers is None else {"servers": servers}
    assert only(analysed({"/x": {"get": {}}}, **more)).definition.server_path == path


def test_the_nearest_server_counts():
    item = {"servers": [{"url": "/path"}], "get": {"servers": [{"url": "/operation"}]}, "put": {}}
    found = analysed({"/x": item}, servers=[{"url": "/document"}]).operations
    assert [draft.definition.server_path for draft in found] == ["/operation", "/path"]


def with_callbacks(callbacks, **more):
    operation = {"operationId": "op", "requestBody": JSON_BODY, "callbacks": callbacks, **more}
    return analysed({"/x/{there}": {"post": operation}})


BROKEN_BODY = {"content": {"application/json": {"schema": {"$ref": "#/none"}}}}
CALLED = {"post": {"requestBody": JSON_BODY, "responses": {"200": {"description": ""}}}}


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ({"{$request.query.a}": {}}, "no method"),
        ({"{$request.query.a}": {"$ref": "#/components/pathItems/None"}}, "there is nothing at"),
        ({"$ref": "#/components/callbacks/None"}, "there is nothing at"),
        ({"{$request.query.a}": {"post": {"requestBody": {"$ref": "#/components/requestBodies/None"}}}}, "nothing at"),
        ("soon", "this is no callback"),
    ],
)  # fmt: skip
def test_a_callback_that_cannot_be_received_is_a_problem_and_the_operation_stays(callback, reason):
    analysis = with_callbacks({"done": callback, "good": {"{$request.query.good}": CALLED}})
    assert [found.name for found in only(analysis).callbacks] == ["good"]
    assert any(reason in found.reason and found.operation == "op" for found in analysis.problems)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{$response.body#/url}", "read from the answer"),
        ("http://{$request.query.host}/", "a text before the expression"),
        ("https://fixed.example/hook", "no expression reads"),
        ("{$request.nothing}", "no runtime expression"),
        ("{$request.path.elsewhere}", "the path has no parameter 'elsewhere'"),
    ],
)
def test_an_address_that_has_no_place_is_told_to_the_caller(expression, reason):
    analysis = with_callbacks({"done": {expression: CALLED}})
    [callback] = only(analysis).callbacks
    assert (callback.name, callback.location, callback.expression) == ("done", "none", expression)
    assert not only(analysis).is_asynchronous
    assert reason in analysis.problems[-1].reason
    assert "told to the caller" in analysis.problems[-1].reason


def test_a_callback_with_several_addresses_and_methods():
    item = {"post": CALLED["post"], "put": CALLED["post"]}
    analysis = with_callbacks({"done": {"{$request.query.a}": item, "{$request.body#/b}": CALLED}})
    assert [(found.key or found.name, found.location, found.place, list(found.methods)) for found in
            only(analysis).callbacks] == [
        ("done", "query", "a", ["PUT", "POST"]), ("done_2", "body", "/b", ["POST"])
    ]  # fmt: skip
    assert {found.python_name for found in only(analysis).callbacks} == {"done"}


def test_a_document_says_which_callbacks_are_repeated():
    callbacks = {
        "progress": {"x-isthmus-repeats": True, "{$request.query.a}": CALLED},
        "done": {"{$request.query.b}": CALLED},
    }
    assert [found.repeats for found in only(with_callbacks(callbacks)).callbacks] == [True, False]


def test_a_body_address_needs_a_body_with_fields():
    operation = {"get": {"operationId": "op", "callbacks": {"done": {"{$request.body#/url}": CALLED}}}}
    analysis = analysed({"/x": operation})
    assert [found.location for found in only(analysis).callbacks] == ["none"]
    assert "which the operation does not send" in analysis.problems[0].reason


def test_callbacks_at_one_place_differ_by_what_is_appended():
    analysis = with_callbacks(
        {
            "yes": {"{$request.query.url}/yes": CALLED},
            "no": {"{$request.query.url}/no/{$request.body#/id}": CALLED},
            "again": {"{$request.query.url}/yes": CALLED},
        }
    )
    found = only(analysis).callbacks
    assert [one.suffix for one in found] == ["/yes", "/no/{$request.body#/id}", "/yes"]
    assert [one.name for one in find_callbacks(found, "yes", "/yes")] == ["yes", "again"]
    assert [one.name for one in find_callbacks(found, "yes", "/no/7")] == ["no"]
    assert find_callbacks(found, "yes", "/maybe") == []


def test_openapi_3_1_documents():
    body = {
        "content": {"application/json": {"schema": {"type": ["object", "null"], "properties": {"n": {"const": 1}}}}}
    }
    analysis = analysed({"/x": {"post": {"requestBody": body}}}, version="3.1.0", webhooks={"w": {"post": {}}})
    assert only(analysis).definition.body.schema == "/paths/~1x/post/requestBody/content/application~1json/schema"


@pytest.mark.parametrize("paths", [None, [], "x"])
def test_paths_that_are_no_mapping(paths):
    analysis = analysed(paths)
    assert analysis.operations == ()
    assert [found.pointer for found in analysis.problems] == ["/paths"]


def test_openapi_2_0_documents():
    analysis = analyse(read(json.dumps(SWAGGER)))
    assert (analysis.skipped, analysis.problems) == ((), ())
    listing, adding, photo = (draft.definition for draft in analysis.operations)
    assert [(one.name, one.style, one.explode, one.schema) for one in listing.parameters] == [
        ("page", "form", False, "/parameters/Page"),
        ("tags", "pipeDelimited", False, "/paths/~1pets/get/parameters/0"),
        ("ids", "form", True, "/paths/~1pets/get/parameters/1"),
    ]
    assert listing.server_path == "/v1"
    assert listing.answers["200"].content_types == ("application/json", "application/xml")
    assert [(one.name, one.schema) for one in listing.answers["200"].headers] == [
        ("X-Left", "/paths/~1pets/get/responses/200/headers/X-Left")
    ]
    assert (adding.body.kind, adding.body.required, adding.body.schema) == (
        "json", True, "/paths/~1pets/post/parameters/0/schema"
    )  # fmt: skip
    [media] = photo.body.media
    assert (media.kind, media.has_all_fields) == ("multipart", True)
    assert [(one.name, one.is_file, one.required) for one in media.fields] == [
        ("file", True, True), ("title", False, False)
    ]  # fmt: skip


def test_security_answers_and_hints():
    answers = {
        "200": {
            "headers": {"X-RateLimit-Remaining": {"schema": {"type": "integer"}}},
            "content": {
                "application/json": {
                    "schema": {"properties": {"nextPageToken": {"type": "string"}, "items": {"type": "array"}}}
                }
            },
        },
        "429": {"headers": {"Retry-After": {}}},
    }
    operation = {
        "operationId": "op",
        "parameters": [{"name": "pageToken", "in": "query"}, {"name": "pageSize", "in": "query"}],
        "responses": answers,
        "security": [{"key": []}],
    }
    definition = only(analysed({"/x": {"get": operation}}, security=[{"other": []}])).definition
    assert definition.security == (("key",),)
    assert definition.hints == Hints(
        pages=PageHint(
            kind="token", parameter="pageToken", field="/nextPageToken", items="/items", size_parameter="pageSize"
        ),
        retry=RetryHint(statuses=("429",)),
        limit_headers=("X-RateLimit-Remaining",),
    )
    assert only(analysed({"/x": {"get": {}}}, security=[{"other": []}])).definition.security == (("other",),)


def test_retries_that_the_document_declares():
    declared = {
        "strategy": "backoff",
        "backoff": {"initialInterval": 500, "exponent": 2, "maxInterval": 60000, "maxElapsedTime": 4000},
        "statusCodes": ["5XX", 429],
    }
    found = only(analysed({"/x": {"get": {"x-speakeasy-retries": declared}}})).definition.hints.retry
    assert found == RetryHint(statuses=("5XX", "429"), seconds=(0.5, 1.0, 2.0))
