"""Who a request is, by its access token; and what everything that goes wrong is answered with."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404
from django.urls import path
from oauth2_provider.models import AccessToken
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import APIView

import isthmus.urls
from isthmus.access.actions import create_api_client, issue_access_token, revoke_client_tokens
from isthmus.access.errors import PermissionRefused, RunAsUserRefused
from isthmus.access.models import ApiClient
from isthmus.access.policy import system_user
from isthmus.access.tokens import issue
from isthmus.errors import IsthmusError


class Broken(IsthmusError):
    """The other side is on fire."""

    status = 503
    code = "SERVER_UNAVAILABLE"


FAILURES = {
    "domain": PermissionRefused("x lacks y", fields=["Email"]),
    "unavailable": Broken(),
    "denied": PermissionDenied(),
    "missing": Http404(),
    "parse": exceptions.ParseError("Unexpected character"),
    "media": exceptions.UnsupportedMediaType("text/plain"),
    "throttled": exceptions.Throttled(wait=1.2),
    "fields": exceptions.ValidationError({"lines": [{"count": ["Too many."]}, {}], "name": ["Missing."]}),
    "large": RequestDataTooBig(),
    "bug": RuntimeError("secret detail"),
}


class Echo(APIView):
    def get(self, request):
        return Response({"user": request.user.get_username()})


class Failing(APIView):
    def get(self, request, which):
        raise FAILURES[which]


urlpatterns = [path("echo", Echo.as_view()), path("fail/<str:which>", Failing.as_view()), *isthmus.urls.urlpatterns]

INVALID_SESSION = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.fixture(autouse=True)
def _routes(settings):
    settings.ROOT_URLCONF = __name__


@pytest.fixture
def token(integration_user):
    return issue_access_token(integration_user)


def get(http, text, address="/echo", scheme="Bearer"):
    return http.get(address, headers={"Authorization": f"{scheme} {text}"})


@pytest.mark.django_db
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "OAuth", "OAUTH"])
def test_both_schemes_are_accepted_in_any_case(http, token, scheme):
    answer = get(http, token, scheme=scheme)
    assert (answer.status_code, answer.json()) == (200, {"user": "integration"})
    assert answer["Content-Type"].replace(" ", "") == "application/json;charset=UTF-8"


@pytest.mark.django_db
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer nonsense", "Basic eDp5", "Bearer é\x00"])
def test_without_a_good_token_the_answer_is_always_the_same(http, token, header):
    answer = http.get("/echo", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, INVALID_SESSION)
    assert answer["WWW-Authenticate"] == 'Bearer realm="Isthmus"'


@pytest.mark.django_db
def test_a_token_ends_after_its_time(http, integration_user, moving_clock):
    text = issue_access_token(integration_user)
    moving_clock.move(timedelta(seconds=7199))
    assert get(http, text).status_code == 200
    moving_clock.move(timedelta(seconds=1))
    assert get(http, text).json() == INVALID_SESSION


@pytest.mark.django_db
def test_a_deactivated_user_is_out_at_once(http, token, integration_user):
    User.objects.update(is_active=False)
    assert get(http, token).status_code == 401


@pytest.mark.django_db
def test_a_token_for_another_resource_is_refused(http, token, settings):
    AccessToken.objects.update(resource=["https://elsewhere.example.org"])
    assert get(http, token).status_code == 401
    AccessToken.objects.update(resource=[settings.BASE_URL])
    assert get(http, token).status_code == 200


@pytest.mark.django_db
def test_revoked_tokens_are_out_at_once(http, integration_user):
    client, _ = create_api_client("Warehouse", integration_user)
    text, stored = issue(integration_user)
    AccessToken.objects.filter(pk=stored.pk).update(application=client)
    assert get(http, text).status_code == 200
    assert revoke_client_tokens(client) == 1
    assert get(http, text).status_code == 401


@pytest.mark.django_db
def test_the_last_use_of_a_client_is_written_now_and_then(
    http, integration_user, moving_clock, django_assert_num_queries
):
    client, _ = create_api_client("Warehouse", integration_user)
    text, stored = issue(integration_user)
    AccessToken.objects.filter(pk=stored.pk).update(application=client)

    with django_assert_num_queries(3):
        get(http, text)
    first = moving_clock.now()
    moving_clock.move(timedelta(seconds=59))
    with django_assert_num_queries(2):
        get(http, text)
    assert ApiClient.objects.get().last_used_at == first
    moving_clock.move(timedelta(seconds=1))
    get(http, text)
    assert ApiClient.objects.get().last_used_at == moving_clock.now()


@pytest.mark.django_db
def test_nobody_gets_a_token_to_act_as_an_inactive_user_or_the_platform(integration_user):
    integration_user.is_active = False
    with pytest.raises(RunAsUserRefused, match="not active"):
        issue_access_token(integration_user)
    with pytest.raises(RunAsUserRefused, match="automated-process is the platform itself"):
        issue_access_token(system_user())
    with pytest.raises(RunAsUserRefused, match="automated-process is the platform itself"):
        create_api_client("Sneaky", system_user())
    assert not AccessToken.objects.exists()
    assert not ApiClient.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("which", "status", "element"),
    [
        ("domain", 403, {"message": "x lacks y", "errorCode": "INSUFFICIENT_ACCESS", "fields": ["Email"]}),
        ("unavailable", 503, {"message": "The other side is on fire.", "errorCode": "SERVER_UNAVAILABLE"}),
        ("missing", 404, {"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}),
        ("parse", 400, {"message": "Unexpected character", "errorCode": "JSON_PARSER_ERROR"}),
        (
            "media",
            415,
            {"message": 'Unsupported media type "text/plain" in request.', "errorCode": "UNSUPPORTED_MEDIA_TYPE"},
        ),
        (
            "fields",
            400,
            {
                "message": "lines[0].count: Too many.; name: Missing.",
                "errorCode": "FIELD_INTEGRITY_EXCEPTION",
                "fields": ["lines[0].count", "name"],
            },
        ),
        (
            "large",
            413,
            {
                "message": "The request body is larger than this server takes.",
                "errorCode": "EXCEEDED_MAX_SIZE_REQUEST",
            },
        ),
    ],
)
def test_every_error_is_one_element_of_a_list(http, token, which, status, element):
    answer = get(http, token, f"/fail/{which}")
    assert (answer.status_code, answer.json()) == (status, [element])


@pytest.mark.django_db
def test_refusals_of_the_framework_have_codes_too(http, token):
    denied = get(http, token, "/fail/denied")
    assert (denied.status_code, denied.json()[0]["errorCode"]) == (403, "INSUFFICIENT_ACCESS")
    throttled = get(http, token, "/fail/throttled")
    assert (throttled.status_code, throttled.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert throttled["Retry-After"] == "2"


@pytest.mark.django_db
def test_a_method_that_is_not_there_is_named(http, token):
    answer = http.post("/echo", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 405
    assert answer["Allow"] == "GET, HEAD, OPTIONS"
    assert answer.json() == [
        {"message": "HTTP Method 'POST' not allowed. Allowed are GET", "errorCode": "METHOD_NOT_ALLOWED"}
    ]


@pytest.mark.django_db
def test_a_bug_leaves_the_house_only_as_a_correlation_id(http, token, caplog):
    answer = http.get("/fail/bug", headers={"Authorization": f"Bearer {token}", "X-Request-Id": "abc-1"})
    assert (answer.status_code, answer.json()) == (
        500,
        [
            {
                "message": "An unexpected error occurred. Give this id to support: abc-1",
                "errorCode": "UNKNOWN_EXCEPTION",
            }
        ],
    )
    record = next(record for record in caplog.records if "api.failed" in str(record.msg))
    assert record.msg["exc_info"] is FAILURES["bug"]
