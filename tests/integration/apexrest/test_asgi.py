"""Requests as an ASGI server hands them on, through Django and through the endpoints' own door."""

import json

import pytest
from django.core.asgi import get_asgi_application
from oauth2_provider.models import AccessToken

from apexrest.door import Door
from apexrest.models import EndpointLimits
from callouts.models import IntegrationLogEntry
from crm.models import Case
from isthmus.access.actions import create_api_client
from tests import asgi
from tests.asgi import scope_of, talk

# Without the wrapping transaction: the application may close connections at the end of a request.
pytestmark = pytest.mark.django_db(transaction=True)

REQUEST = {"externalReference": "WEB-1", "customerEmail": "ann@example.org", "subject": "x", "description": "y"}
PATH = "/services/apexrest/t/support-requests"


@pytest.fixture(params=["django", "door"])
def application(request):
    with asgi.application(request.param, Door) as found:
        yield found


def send(application, token, path, *chunks):
    """POST the chunks and return status and parsed body."""
    headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
    scope = scope_of("POST", path, [*headers, ("transfer-encoding", "chunked")])
    status, _, body = talk(application, scope, *chunks)
    return status, json.loads(body)


def test_a_chunked_body_is_read_to_its_end(application, api):
    text = json.dumps(REQUEST).encode()
    status, answer = send(application, api.token, "/services/apexrest/t/support-requests/", text[:10], text[10:])
    assert (status, answer["caseId"]) == (201, Case.objects.get().record_id)


def test_doubled_slashes_do_not_matter(api):
    text = json.dumps(REQUEST).encode()
    assert send(get_asgi_application(), api.token, "//services//apexrest/t/support-requests", text)[0] == 201


def test_a_chunked_body_has_a_limit_too(application, api, settings):
    settings.ISTHMUS_APEXREST_MAX_BODY_BYTES = 1000
    status, answer = send(application, api.token, PATH, *[b" " * 100] * 11)
    assert (status, answer[0]["errorCode"]) == (413, "EXCEEDED_MAX_SIZE_REQUEST")


def test_an_endpoint_may_take_more_than_others_do(application, api, settings):
    settings.ISTHMUS_APEXREST_MAX_BODY_BYTES = 1000
    EndpointLimits.objects.create(mapping="/t/support-requests/*", max_body_bytes=3000)
    text = json.dumps(REQUEST | {"description": "d" * 2000}).encode()
    assert send(application, api.token, PATH, text[:900], text[900:1500], text[1500:])[0] == 201
    text = json.dumps(REQUEST | {"description": "d" * 3000}).encode()
    assert send(application, api.token, PATH, text[:900], text[900:], b" ")[0] == 413


def test_half_a_request_has_no_effect(application, api):
    headers = [("authorization", f"Bearer {api.token}"), ("content-type", "application/json")]
    scope = scope_of("POST", "/services/apexrest/t/optional", headers)

    asgi.leave(application, scope, b" ")
    assert not IntegrationLogEntry.objects.exists()


def test_a_token_request_may_be_chunked(api, caller):
    client, secret = create_api_client("Node", caller)
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}".encode()
    headers = [("content-type", "application/x-www-form-urlencoded"), ("transfer-encoding", "chunked")]
    scope = scope_of("POST", "/services/oauth2/token", headers)
    status, _, body = talk(get_asgi_application(), scope, form[:9], form[9:])
    assert (status, json.loads(body)["token_type"]) == (200, "Bearer")
    assert AccessToken.objects.filter(application=client).exists()


@pytest.mark.parametrize(
    ("method", "path", "with_token", "status", "code"),
    [
        ("POST", PATH, False, 401, "INVALID_SESSION_ID"),
        ("GET", "/services/apexrest/nowhere", True, 404, "NOT_FOUND"),
        ("PUT", PATH, True, 405, "METHOD_NOT_ALLOWED"),
        ("POST", PATH, True, 400, "BodyUnreadable"),
        ("HEAD", "/services/apexrest/t/echo/a", True, 200, ""),
        ("GET", "/services/apexrest/t/echo/a", True, 200, ""),
        ("DELETE", "/services/apexrest/t/echo/a", True, 204, ""),
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
    assert answered["vary"].startswith("Accept")
    assert ("sforce-limit-info" in answered) == with_token
    assert (method == "HEAD" or status == 204) == (body == b"")
    if status == 405:
        assert answered["allow"] == "GET, POST"
    if status >= 400:
        (error,) = json.loads(body)
        assert error["errorCode"] == ("JSON_PARSER_ERROR" if code == "BodyUnreadable" else code)


def test_the_door_leaves_what_must_be_redirected_to_django(settings):
    opens = Door().opens
    plain = scope_of("GET", PATH, [])
    assert opens(plain)
    settings.SECURE_SSL_REDIRECT = True
    assert not opens(plain)
    assert opens(scope_of("GET", PATH, [], scheme="https"))
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert opens(scope_of("GET", PATH, [("x-forwarded-proto", "https")]))
    assert not opens(scope_of("GET", PATH, [("x-forwarded-proto", "http")]))
