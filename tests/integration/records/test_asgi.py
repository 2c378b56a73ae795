"""Requests to the record API as an ASGI server hands them on, through Django and through the API's own door."""

import json

import pytest
from django.db import connections

from crm.models import Case
from isthmus.doors import behind_doors
from isthmus.objects.record_ids import record_id_of
from records.door import Door
from tests import asgi
from tests.asgi import scope_of, talk

# Without the wrapping transaction: the application may close connections at the end of a request.
pytestmark = pytest.mark.django_db(transaction=True)

CASES = "/services/data/v60.0/sobjects/Case"


@pytest.fixture(params=["django", "door"])
def application(request):
    with asgi.application(request.param, Door) as found:
        yield found


def send(application, token, method, path, *chunks, **headers):
    """Send the chunks and return status, headers and parsed body (`None` for none)."""
    given = [("authorization", f"Bearer {token}"), ("content-type", "application/json"), *headers.items()]
    scope = scope_of(method, path, [*given, ("transfer-encoding", "chunked")])
    status, answered, body = talk(application, scope, *chunks)
    return status, answered, json.loads(body) if body else None


def test_a_record_is_made_read_changed_and_deleted(application, api):
    text = json.dumps({"Subject": "No power", "External_Reference__c": "R 1/2"}).encode()
    status, headers, made = send(application, api.token, "POST", f"{CASES}/", text[:10], text[10:])
    case = Case.objects.get()
    assert (status, made["id"]) == (201, case.record_id)
    assert headers["location"] == f"{CASES}/{case.record_id}"
    assert case.created_by.username == "clerk"
    status, headers, found = send(application, api.token, "GET", f"{CASES}/{case.record_id}")
    assert (status, found["Subject"], headers["content-type"]) == (200, "No power", "application/json;charset=UTF-8")
    assert int(headers.get("content-length", 0)) >= 0
    path = f"{CASES}/External_Reference__c/R 1/2"
    assert send(application, api.token, "PATCH", path, b'{"Subject": "Power"}')[0] == 200
    assert send(application, api.token, "DELETE", f"{CASES}/{case.record_id}")[::2] == (204, None)
    assert not Case.objects.exists()


def test_a_chunked_body_has_a_limit_too(application, api, settings):
    settings.ISTHMUS_RECORDS_MAX_BODY_BYTES = 1000
    status, _, answer = send(application, api.token, "POST", CASES, *[b" " * 100] * 11)
    assert (status, answer[0]["errorCode"]) == (413, "EXCEEDED_MAX_SIZE_REQUEST")
    text = json.dumps({"Subject": "x"}).encode().rjust(1000)
    assert send(application, api.token, "POST", CASES, text)[0] == 201


def test_half_a_request_has_no_effect(application, api):
    scope = scope_of("POST", CASES, [("authorization", f"Bearer {api.token}")])

    asgi.leave(application, scope, b'{"Subject": "x"}')
    assert not Case.objects.exists()


@pytest.mark.parametrize(
    ("method", "path", "with_token", "status", "code"),
    [
        ("POST", CASES, False, 401, "INVALID_SESSION_ID"),
        ("GET", "/services/data/v60.0/nowhere", True, 404, "NOT_FOUND"),
        ("GET", "/services/data/v99.0/sobjects", True, 404, "NOT_FOUND"),
        ("PUT", CASES, True, 405, "METHOD_NOT_ALLOWED"),
        ("POST", CASES, True, 400, "JSON_PARSER_ERROR"),
        ("GET", "/services/data/v60.0", True, 200, ""),
        ("HEAD", "/services/data/v60.0/sobjects", True, 200, ""),
        ("GET", "/services/data/v60.0/sobjects", True, 200, ""),
    ],
)
def test_both_ways_answer_alike(application, api, method, path, with_token, status, code):
    headers = [("x-request-id", "find-me"), ("content-type", "application/json")]
    if with_token:
        headers.append(("authorization", f"Bearer {api.token}"))
    found, answered, body = talk(application, scope_of(method, path, headers))
    assert found == status
    assert answered["x-request-id"] == "find-me"
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["x-frame-options"] == "DENY"
    assert ("sforce-limit-info" in answered) == with_token
    if status >= 400:
        assert [error["errorCode"] for error in json.loads(body)] == [code]


def test_the_door_sends_no_body_with_head(api):
    door = Door()
    scope = scope_of("HEAD", "/services/data/v60.0/sobjects", [("authorization", f"Bearer {api.token}")])
    try:
        assert talk(door, scope)[::2] == (200, b"")
    finally:
        door.close()
        connections.close_all()


def test_doubled_slashes_come_through_the_door(api):
    seen = []

    async def django(scope, receive, send):
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    application = behind_doors(django)
    token = [("authorization", f"Bearer {api.token}")]
    for path in ("//services//data/v60.0/limits", "/services/data/v60.0//limits"):
        assert talk(application, scope_of("GET", path, token))[0] == 200
    # What has no version, and what is no address of the API, is Django's.
    for path in ("/services/data", "/services/data/", "/services/data/latest/limits", "//other//path"):
        assert talk(application, scope_of("GET", path, token))[0] == 299
    assert seen == ["/services/data", "/services/data/", "/services/data/latest/limits", "//other//path"]


def test_the_door_leaves_what_must_be_redirected_to_django(settings):
    opens = Door().opens
    plain = scope_of("GET", CASES, [])
    assert opens(plain)
    settings.SECURE_SSL_REDIRECT = True
    assert not opens(plain)
    assert opens(scope_of("GET", CASES, [], scheme="https"))
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert opens(scope_of("GET", CASES, [("x-forwarded-proto", "https")]))


def test_a_record_is_written_by_whoever_calls_in_turn(application, make_caller):
    grants = [("object", action, "Case") for action in ("create", "read")] + [("field", "edit", "Case.*")]
    users = [make_caller(name, grants) for name in ("ann", "bob")]
    for user, api in [*users, *users]:
        status, _, made = send(application, api.token, "POST", CASES, b'{"Subject": "x"}')
        assert status == 201
        case = Case.objects.get(pk=Case.objects.latest("pk").pk)
        assert (record_id_of(case), case.created_by) == (made["id"], user)
