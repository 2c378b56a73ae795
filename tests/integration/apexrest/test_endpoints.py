"""Custom endpoints over HTTP: who may call what, what comes in, what goes out."""

import pytest

from apexrest.execution import ORIGIN
from crm.models import Case
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.identity import user_id
from isthmus.objects.testing import recorded_changes

pytestmark = pytest.mark.django_db

CREATE = "/t/support-requests/"
REQUEST = {
    "externalReference": "WEB-1",
    "customerEmail": "ann@example.org",
    "subject": "No power",
    "description": "Since noon.",
}


def error(answer):
    (element,) = answer.json()
    return answer.status_code, element["errorCode"], element["message"], element.get("fields")


# --- the work -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CREATE, "/t/support-requests"])
@pytest.mark.parametrize("body", [REQUEST, {"requestBody": REQUEST}])
def test_the_first_time_creates_and_the_second_updates(api, caller, path, body):
    first = api.post(path, body)
    case = Case.objects.get()
    assert first.status_code == 201
    assert first["Content-Type"] == "application/json;charset=UTF-8"
    assert first["Location"] == f"/services/apexrest/t/support-requests/{case.record_id}"
    assert first.json() == {"caseId": case.record_id, "status": "New", "message": "Case created."}
    assert (case.subject, case.supplied_email, case.external_reference) == ("No power", "ann@example.org", "WEB-1")
    assert case.created_by == caller

    second = api.post(path, {**REQUEST, "subject": "Still no power"})
    assert second.status_code == 200
    assert second.json()["caseId"] == case.record_id
    case.refresh_from_db()
    assert case.subject == "Still no power"
    assert Case.objects.count() == 1


def test_the_change_says_who_and_through_which_door(api, caller):
    with recorded_changes() as recorder:
        api.post(CREATE, REQUEST)
    assert {(change.user_id, change.origin) for change in recorder.changes} == {(user_id(caller), ORIGIN)}
    assert {change.correlation_id for change in recorder.changes} != {""}


def test_the_wildcard_names_what_is_meant(api):
    case_id = api.post(CREATE, REQUEST).json()["caseId"]
    assert api.get(f"/t/support-requests/{case_id}").json()["message"] == "No power"
    assert error(api.get("/t/support-requests/500000000000000AAA"))[:2] == (404, "NOT_FOUND")


def test_the_context_holds_the_rest_of_the_request(api):
    answer = api.get("//t//echo/a/b/?x=1&x=2&format=csv", X_Thing="thing", Accept="text/csv")
    assert answer.status_code == 200
    assert answer["X-Echo"] == "yes"
    assert answer.json() == {
        "method": "GET",
        "path": "/t/echo/a/b",
        "mapping": "/t/echo/*",
        "wildcard": "a/b",
        "query": {"x": "2", "format": "csv"},
        "queryLists": {"x": ["1", "2"], "format": ["csv"]},
        "user": "integration",
        "authorization": None,
        "thing": "thing",
    }


def test_no_return_value_is_204_without_a_body(api):
    answer = api.send("DELETE", "/t/echo/1")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer


def test_head_is_get_without_the_body(api):
    answer = api.send("HEAD", "/t/echo/1")
    assert (answer.status_code, answer.content, answer["X-Echo"]) == (200, b"", "yes")


def test_a_method_without_parameters_reads_any_body_itself(api):
    answer = api.send("PUT", "/t/echo/1", b"<x/>", content_type="application/xml")
    assert answer.json() == {"body": "<x/>", "type": "application/xml"}


def test_several_parameters_are_keys_of_the_body(api):
    body = {"when": "2026-01-01T12:00:00+02:00"}
    answer = api.send("PATCH", "/t/echo/1", body, content_type="application/json; charset=utf-8")
    assert answer.json() == {"when": "2026-01-01T10:00:00.000+0000", "count": 1}


@pytest.mark.parametrize("body", [b"", b"  \n", b"null", b'{"count": null}'])
def test_an_optional_body_may_be_empty(api, body):
    assert api.post("/t/optional", body).json() == {"count": None}
    assert api.post("/t/optional", b"7").json() == {"count": 7}


# --- refusals -------------------------------------------------------------------------------------------------------


def test_everything_wrong_is_one_element(api):
    answer = api.post(CREATE, {"externalReference": 7, "subject": "x", "description": None, "color": "red"})
    assert error(answer) == (
        400,
        "JSON_PARSER_ERROR",
        (
            "externalReference must be a text, not a whole number; description must be a text, not null; "
            "color is not known here; customerEmail is missing"
        ),
        ["externalReference", "description", "color", "customerEmail"],
    )
    assert not Case.objects.exists()


def test_missing_fields_are_named_in_salesforces_words(api):
    assert error(api.post(CREATE, {"requestBody": {"subject": "x"}})) == (
        400,
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [externalReference, customerEmail, description]",
        ["externalReference", "customerEmail", "description"],
    )
    assert not Case.objects.exists()


def test_the_write_doors_refusal_is_the_answer(api):
    status, code, _, fields = error(api.post(CREATE, {**REQUEST, "subject": "x" * 256}))
    assert (status, code, fields) == (400, "STRING_TOO_LONG", ["Subject"])
    assert not Case.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code", "message"),
    [
        (b"", "application/json", 400, "JSON_PARSER_ERROR", "The request body is empty; "),
        (b"{", "application/json", 400, "JSON_PARSER_ERROR", "Expecting property name"),
        (b"[1]", "application/json", 400, "JSON_PARSER_ERROR", "The request body must be an object, not an array"),
        (b'{"subject": 1, "subject": 2}', "application/json", 400, "JSON_PARSER_ERROR", 'The key "subject" appears'),
        (
            b"[" * 51 + b"]" * 51,
            "application/json",
            400,
            "JSON_PARSER_ERROR",
            "The request body is nested more",
        ),
        (b"a=1", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE", "The Content-Type is"),
        (b"{}", "application/json; charset=latin-1", 415, "UNSUPPORTED_MEDIA_TYPE", "The Content-Type is"),
    ],
)
def test_a_body_that_cannot_be_taken_says_why(api, body, content_type, status, code, message):
    found_status, found_code, found_message, _ = error(api.post(CREATE, body, content_type=content_type))
    assert (found_status, found_code) == (status, code)
    assert found_message.startswith(message)
    assert not Case.objects.exists()


def test_a_body_that_is_too_large_is_413(api, settings):
    settings.ISTHMUS_APEXREST_MAX_BODY_BYTES = 50
    assert error(api.post(CREATE, REQUEST))[:2] == (413, "EXCEEDED_MAX_SIZE_REQUEST")
    assert not Case.objects.exists()
    assert api.post("/t/optional", b" " * 49 + b"7").status_code == 200


def test_a_depth_limit_can_be_chosen(api, settings):
    settings.ISTHMUS_APEXREST_MAX_DEPTH = 1
    assert "more than 1 levels" in error(api.post(CREATE, {"requestBody": REQUEST}))[2]
    assert api.post(CREATE, REQUEST).status_code == 201


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "", "/t%0Asupport-requests"])
def test_an_address_that_nobody_has_is_404(api, path):
    answer = api.get(path or "/")
    assert error(answer) == (404, "NOT_FOUND", "Could not find a match for URL", None)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_a_method_that_the_class_lacks_is_405(api, method):
    answer = api.send(method, CREATE)
    assert error(answer)[:3] == (
        405,
        "METHOD_NOT_ALLOWED",
        f"HTTP Method '{method}' not allowed. Allowed are GET,POST",
    )
    assert answer["Allow"] == "GET, POST"


def test_without_a_token_nothing_is_told(nobody):
    for path in (CREATE, "/v1/nothing"):
        answer = nobody.post(path, REQUEST)
        assert error(answer)[:3] == (401, "INVALID_SESSION_ID", "Session expired or invalid")
    assert not Case.objects.exists()


def test_the_refusal_names_the_grant_that_is_missing(stranger):
    assert error(stranger.post(CREATE, REQUEST)) == (
        403,
        "INSUFFICIENT_ACCESS",
        (
            "stranger lacks the grant endpoint.post on /t/support-requests/*. "
            "An administrator can give it in Set-up, Permission sets."
        ),
        None,
    )
    assert not Case.objects.exists()


def test_the_endpoints_grant_does_not_replace_the_objects(stranger, django_user_model):
    user = django_user_model.objects.get(username="stranger")
    grants = [("endpoint", "post", "/t/support-requests/*")]
    assign(ensure_permission_set("Only_The_Door", "Only the door", grants), user)
    status, code, message, _ = error(stranger.post(CREATE, REQUEST))
    assert (status, code) == (403, "INSUFFICIENT_ACCESS")
    assert "object.create on Case" in message
    assert not Case.objects.exists()
