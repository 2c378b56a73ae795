"""What documents tell beside shapes: pages, retries, limits, and how to sign in."""

import json

import pytest

from callouts.external_services import external_service
from callouts.external_services.actions import connect, register
from callouts.external_services.description.proposals import proposals, servers
from callouts.external_services.errors import CannotConnect, HandlerRefused, PagesUnknown, ServiceFailed
from callouts.external_services.models import ExternalService
from credentials.models import IdentityProvider, NamedCredential

pytestmark = pytest.mark.django_db

COUNTED = {"page": {"type": "integer"}, "offset": {"type": "integer"}}
URL = "callout:Acme_Bank/things"


def things(parameters=(), answer=None, headers=None, **operation):
    schema = answer or {"type": "array", "items": {}}
    success = {"description": "", "content": {"application/json": {"schema": schema}}, "headers": headers or {}}
    return json.dumps(
        {
            "openapi": "3.0.0",
            "paths": {
                "/things": {
                    "get": {
                        "operationId": "things",
                        "parameters": [
                            {"name": name, "in": "query", "schema": COUNTED.get(name, {"type": "string"})}
                            for name in parameters
                        ],
                        "responses": {"200": success, "503": {"description": "", "headers": {"Retry-After": {}}}},
                        **operation,
                    }
                }
            },
        }
    )  # fmt: skip


def pages(callout_mock, bank_door, document, answers, **arguments):
    register("S", document, named_credential=bank_door)
    for answer in answers:
        callout_mock.get(URL, **answer)
    found = [answer.body for answer in external_service("S").pages("things", **arguments)]
    return found, [call.url.partition("?")[2] for call in callout_mock.calls]


OBJECT = {"properties": {"next_page_token": {"type": "string"}, "items": {"type": "array"}}}


@pytest.mark.parametrize(
    ("document", "answers", "asked"),
    [
        (
            things(["page_token"], OBJECT),
            [{"json": {"items": [1], "next_page_token": "b"}}, {"json": {"items": [2], "next_page_token": ""}}],
            ["", "page_token=b"],
        ),
        (things(["page"]), [{"json": [1, 2]}, {"json": [3]}, {"json": []}], ["", "page=2", "page=3"]),
        (things(["offset"]), [{"json": [1, 2]}, {"json": [3]}, {"json": []}], ["", "offset=2", "offset=3"]),
        (
            things(["page", "q"], headers={"Link": {}}),
            [
                {
                    "json": [1],
                    "headers": {"Link": '<https://elsewhere.example/x?page=7&q=a>; rel="next", <x>; rel="last"'},
                },
                {"json": [2], "headers": {"Link": '<https://x.example/?page=1>; rel="first"'}},
            ],
            ["", "page=7&q=a"],
        ),
        (
            things(
                ["skip"],
                {"properties": {"nextLink": {}, "value": {}}},
                **{"x-ms-pageable": {"nextLinkName": "nextLink"}},
            ),
            [{"json": {"value": [1], "nextLink": "https://x.example/things?skip=abc"}}, {"json": {"value": []}}],
            ["", "skip=abc"],
        ),
    ],
)  # fmt: skip
def test_pages_are_turned_as_the_document_says(callout_mock, bank_door, document, answers, asked):
    found, queries = pages(callout_mock, bank_door, document, answers)
    assert (len(found), queries) == (len(answers), asked)


def test_pages_that_go_round_in_circles_end(callout_mock, bank_door):
    answers = [{"json": {"items": [1], "next_page_token": "again"}}]
    found, _ = pages(callout_mock, bank_door, things(["page_token"], OBJECT), answers)
    assert len(found) == 2
    assert len(list(external_service("S").pages("things", most=1))) == 1


def test_a_document_that_says_nothing_about_pages(bank_door):
    register("S", things(), named_credential=bank_door)
    with pytest.raises(PagesUnknown):
        list(external_service("S").pages("things"))


def test_retries_as_the_document_tells(callout_mock, bank_door):
    declared = {"strategy": "backoff", "backoff": {"initialInterval": 1, "maxElapsedTime": 4}, "statusCodes": ["5XX"]}
    register("S", things(**{"x-speakeasy-retries": declared}), named_credential=bank_door)
    service = external_service("S")
    for status in (503, 503, 200):
        callout_mock.get(URL, status=status, json=[], headers={"X": "y"})
    assert service.things(retry="document").status == 200
    assert len(callout_mock.calls) == 3
    callout_mock.get(URL, status=503)
    callout_mock.get(URL, status=503)
    with pytest.raises(ServiceFailed):
        [service.things() for _ in range(2)]
    assert len(callout_mock.calls) <= 5


def test_an_asynchronous_operation_is_repeated_by_its_reference_only(mortgages):
    from tests.service_handlers import Outcome

    with pytest.raises(HandlerRefused, match="by its reference"):
        mortgages.submit_application(body={}, callback=Outcome, retry="document")


def test_an_asynchronous_operation_without_waiting(mortgages, callout_mock):
    callout_mock.post("callout:Acme_Bank/applications", status=201, json={"applicationNumber": "1"})
    answer = mortgages.submit_application(body={"applicant": {"name": "Ada"}}, callback=False)
    assert (answer.status, answer.invocation_id) == (201, None)
    assert "callbackUrlForOutcomes" not in callout_mock.calls[0].json()


FLOW = {"tokenUrl": "/token", "authorizationUrl": "https://login.example/auth", "scopes": {"a": "", "b": ""}}


@pytest.mark.parametrize(
    ("scheme", "protocol", "settings", "secrets"),
    [
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, "custom_headers", {"headers": "X-Key: {ApiKey}"},
         ("ApiKey",)),
        ({"type": "apiKey", "in": "query", "name": "key"}, "custom_headers", {"query": "key={ApiKey}"}, ("ApiKey",)),
        ({"type": "apiKey", "in": "cookie", "name": "s"}, "custom_headers", {"headers": "Cookie: s={ApiKey}"},
         ("ApiKey",)),
        ({"type": "http", "scheme": "Basic"}, "basic", {}, ("username", "password")),
        ({"type": "http", "scheme": "bearer"}, "custom_headers", {"headers": "Authorization: Bearer {Token}"},
         ("Token",)),
        ({"type": "oauth2", "flows": {"clientCredentials": FLOW}}, "oauth_client_credentials",
         {"token_url": "https://api.example/token", "scope": "a b"}, ("client_id", "client_secret")),
        ({"type": "oauth2", "flows": {"authorizationCode": FLOW}}, "oauth_authorization_code", {"scope": "a b"},
         ("client_id", "client_secret")),
        ({"type": "openIdConnect", "openIdConnectUrl": "https://id.example/.well-known/openid-configuration"},
         "oauth_authorization_code", {"scope": "openid"}, ("client_id", "client_secret")),
        ({"type": "mutualTLS"}, "no_authentication", {}, ()),
        ({"type": "oauth2", "flows": {"implicit": FLOW}}, "", {}, ()),
        ({"type": "http", "scheme": "hmac"}, "", {}, ()),
        ({"type": "carrier pigeon"}, "", {}, ()),
    ],
)  # fmt: skip
def test_a_credential_for_each_kind_of_scheme(scheme, protocol, settings, secrets):
    document = {
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.example"}],
        "paths": {"/x": {"get": {}}},
        "components": {"securitySchemes": {"it": scheme}},
    }
    report = register("S", json.dumps(document))
    [proposal] = report.proposals
    assert (proposal.protocol, dict(proposal.settings), proposal.secrets) == (protocol, settings, secrets)
    assert bool(proposal.note) is (protocol in {"", "no_authentication"})


def test_schemes_and_address_of_openapi_2_0():
    document = {
        "swagger": "2.0", "host": "api.example", "basePath": "/v1", "schemes": ["http"], "paths": {"/x": {"get": {}}},
        "securityDefinitions": {"a": {"type": "oauth2", "flow": "application", **FLOW}, "b": {"type": "basic"}},
    }  # fmt: skip
    register("S", json.dumps(document))
    version = ExternalService.objects.get().active_version
    assert servers(version) == ["http://api.example/v1"]
    assert [found.protocol for found in proposals(version)] == ["oauth_client_credentials", "basic"]


def test_connecting_makes_all_but_the_secrets(admin_user):
    document = {
        "openapi": "3.0.0",
        "servers": [{"url": "https://api.example/v1"}],
        "paths": {"/x": {"get": {"operationId": "x"}}},
        "security": [{"odd": []}, {"code": []}],
        "components": {
            "securitySchemes": {
                "another": {"type": "http", "scheme": "basic"},
                "code": {"type": "oauth2", "flows": {"authorizationCode": FLOW}},
                "odd": {"type": "?"},
            }
        },
    }
    register("S", json.dumps(document))
    service = ExternalService.objects.get()
    with pytest.raises(CannotConnect, match="it has: code, odd, another"):
        connect(service, scheme="none")
    with pytest.raises(CannotConnect, match="cannot be used"):
        connect(service, scheme="odd")
    made = connect(service, user=admin_user)
    assert made.secrets == ("client_id", "client_secret")
    credential = NamedCredential.objects.get()
    assert (credential.url, credential.external_credential.protocol) == (
        "https://api.example/v1", "oauth_authorization_code"
    )  # fmt: skip
    provider = IdentityProvider.objects.get()
    assert (provider.authorization_endpoint, provider.token_endpoint) == (
        "https://login.example/auth", "https://api.example/token"
    )  # fmt: skip
    with pytest.raises(CannotConnect, match="already"):
        connect(ExternalService.objects.get())
