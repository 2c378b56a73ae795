"""A person connects at an identity provider that others wrote; what can go wrong on the way does no harm."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from callouts import http
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.errors import NotConnected, PrincipalAccessRefused, TokenEndpointRefused
from credentials.models import (
    AuthorizationRequest,
    ClientAuthentication,
    ConnectionState,
    IdentityProvider,
    NamedCredential,
    PrincipalStatus,
    StoredToken,
)
from events.models import OutboxEvent
from isthmus import clock
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.audit.models import AuditEntry
from tests.fault_server import FaultServer
from tests.integration.credentials.oauth_fixtures import oidc, signing_pair

__all__ = ["oidc", "signing_pair"]
pytestmark = pytest.mark.django_db(transaction=True)

CALLBACK = "/services/authcallback/Acme"


@pytest.fixture
def api():
    with FaultServer() as server:
        yield server


@pytest.fixture
def provider(oidc):
    return IdentityProvider.objects.create(
        name="Login",
        issuer=oidc.issuer,
        client_id="web",
        client_secret="web-secret",
        client_authentication=ClientAuthentication.HEADER,
        allow_internal_addresses=True,
    )


@pytest.fixture
def principal(provider, api):
    """A per-user principal behind `callout:Acme_Api`."""
    external = create_external_credential(
        "Acme",
        protocol="oauth_authorization_code",
        settings={"scope": "openid offline_access api", "authorize_parameters": "prompt=consent"},
        identity_provider=provider,
    )
    made = create_principal(external, "Each", kind="per_user")
    create_named_credential(
        "Acme_Api", url=api.url("/echo"), external_credential=external, allow_internal_addresses=True
    )
    return made


@pytest.fixture
def ada(principal):
    user = User.objects.create_user("ada", password="ada")
    assign(ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)]), user)
    return user


@pytest.fixture
def browser(ada):
    client = Client()
    client.force_login(ada)
    return client


def depart(browser, principal, **data):
    answer = browser.post(reverse("credentials:connect", args=[principal.pk]), data)
    assert answer.status_code == 302
    return answer["Location"]


def come_back(browser, location):
    answer = browser.get(urlsplit(location).path + "?" + urlsplit(location).query, follow=True)
    return [str(message) for message in answer.context["messages"]]


def connect(browser, principal, oidc, **data):
    return come_back(browser, oidc.consent(depart(browser, principal, **data)))


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# --- the way there and back -------------------------------------------------------------------------------------------
def test_a_person_connects_and_calls_as_themselves(browser, principal, oidc, ada, api):
    assert connect(browser, principal, oidc) == ["Acme.Each is connected."]
    http.get("callout:Acme_Api", user=ada)
    known = oidc.introspect(api.requests[-1].headers["authorization"].removeprefix("Bearer "))
    assert (known["active"], known["sub"], known["client_id"]) == (True, "ada", "web")
    token = StoredToken.objects.get()
    assert (token.user, token.state, token.connected_by) == (ada, ConnectionState.CONNECTED, ada)


def test_the_request_has_pkce_with_s256_a_state_and_the_exact_redirect_address(browser, principal, oidc, settings):
    asked = query_of(depart(browser, principal))
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 43
    assert asked["redirect_uri"] == f"{settings.BASE_URL}{CALLBACK}"
    assert asked["prompt"] == "consent"
    request = AuthorizationRequest.objects.get()
    assert asked["state"] not in str(vars(request))


def test_two_people_have_identities_of_their_own(browser, principal, oidc, ada, api):
    connect(browser, principal, oidc)
    grace = User.objects.create_user("grace")
    assign(ensure_permission_set("Callers", "Callers"), grace)
    with pytest.raises(NotConnected):
        http.get("callout:Acme_Api", user=grace)
    other = Client()
    other.force_login(grace)
    come_back(other, oidc.consent(depart(other, principal), login="grace"))
    seen = []
    for user in (ada, grace):
        http.get("callout:Acme_Api", user=user)
        seen.append(oidc.introspect(api.requests[-1].headers["authorization"].removeprefix("Bearer "))["sub"])
    assert seen == ["ada", "grace"]


def test_a_named_principal_is_connected_once_by_an_administrator(principal, oidc, ada, browser):
    shared = create_principal(principal.external_credential, "Shared")
    answer = browser.post(reverse("credentials:connect", args=[shared.pk]), follow=True)
    assert "lacks the permission" in str(next(iter(answer.context["messages"])))
    ada.user_permissions.add(Permission.objects.get(codename="change_principal"))
    assert connect(browser, shared, oidc) == ["Acme.Shared is connected."]
    shared.refresh_from_db()
    assert shared.status == PrincipalStatus.AUTHENTICATED
    assert StoredToken.objects.get().user is None


def test_switching_the_kind_of_principal_changes_no_calling_code(browser, principal, oidc, ada, api):
    def sub():
        http.get("callout:Acme_Api", user=ada)
        authorization = api.requests[-1].headers.get("authorization", "")
        return oidc.introspect(authorization.removeprefix("Bearer ")).get("sub") if authorization else None

    connect(browser, principal, oidc)
    assert sub() == "ada"
    named = NamedCredential.objects.get()
    ada.user_permissions.add(Permission.objects.get(codename="change_principal"))
    shared = create_principal(principal.external_credential, "Shared")
    come_back(browser, oidc.consent(depart(browser, shared), login="robot"))
    assign(ensure_permission_set("Shared", "Shared", [("principal", "use", shared.target)]), ada)
    named.principal = shared
    named.save()
    assert sub() == "robot"
    open_door = create_external_credential("Open", protocol="no_authentication")
    anybody = create_principal(open_door, "Anybody", kind="anonymous")
    assign(ensure_permission_set("Open", "Open", [("principal", "use", anybody.target)]), ada)
    named.external_credential, named.principal = open_door, anybody
    named.save()
    assert sub() is None


# --- what must not work -----------------------------------------------------------------------------------------------
@pytest.fixture
def assert_refused(browser, principal):
    """A function that asserts: a callback with this query is refused, and nothing is connected."""

    def look(location, sentence, client=browser):
        assert any(sentence in told for told in come_back(client, location))
        assert not StoredToken.objects.exclude(access_token=None).exists()

    return look


def test_a_made_up_state_is_refused(assert_refused):
    assert_refused(f"{CALLBACK}?code=x&state=made-up", "not one that we gave out")


def test_a_missing_state_is_refused(assert_refused):
    assert_refused(f"{CALLBACK}?code=x", "not one that we gave out")


def test_an_answer_brought_by_another_browser_is_refused_and_used_up(assert_refused, browser, principal, oidc, ada):
    location = oidc.consent(depart(browser, principal))
    other = Client()
    other.force_login(ada)
    assert_refused(location, "another browser", client=other)
    assert_refused(location, "used already")


def test_an_answer_to_another_user_is_refused(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    mallory = User.objects.create_user("mallory")
    browser.force_login(mallory)
    assert_refused(location, "another browser or by another user")


def test_a_code_is_taken_once(browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    assert come_back(browser, location) == ["Acme.Each is connected."]
    kept = StoredToken.objects.get().access_token.reveal()
    assert come_back(browser, location) == ["The connection was begun in another browser or by another user."]
    assert StoredToken.objects.get().access_token.reveal() == kept


def test_an_answer_that_comes_too_late_is_refused(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    AuthorizationRequest.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    assert_refused(location, "too long")


def test_a_mix_up_of_issuers_is_refused(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    assert "iss=" in location
    assert_refused(
        location.replace(f"iss=http%3A%2F%2F127.0.0.1%3A{oidc.port}", "iss=https%3A%2F%2Fevil.example"), "issuer"
    )


def test_an_issuer_that_promised_to_say_its_name_must_say_it(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    parts = query_of(location)
    assert "iss" in parts
    assert_refused(f"{CALLBACK}?code={parts['code']}&state={parts['state']}", "issuer")


def test_an_answer_at_another_credentials_address_is_refused(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    assert_refused(location.replace(CALLBACK, "/services/authcallback/Other"), "another credential")


def test_a_refusal_is_told_in_our_words(assert_refused, browser, principal, oidc):
    assert_refused(oidc.consent(depart(browser, principal), refuse=True), "Consent was refused")
    assert AuditEntry.objects.filter(action="credentials.connected", outcome="failed").exists()


def test_a_wrong_code_is_refused_by_the_server_and_told(assert_refused, browser, principal, oidc):
    location = oidc.consent(depart(browser, principal))
    code = query_of(location)["code"]
    assert_refused(location.replace(code, "canary"), "invalid_grant")


def test_a_failed_connection_leaves_the_one_before_it(browser, principal, oidc):
    connect(browser, principal, oidc)
    kept = StoredToken.objects.get().access_token.reveal()
    come_back(browser, oidc.consent(depart(browser, principal), refuse=True))
    assert StoredToken.objects.get().access_token.reveal() == kept


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/ok\n//evil"]
)
def test_the_way_back_stays_on_this_site(browser, principal, oidc, elsewhere):
    location = oidc.consent(depart(browser, principal, return_to=elsewhere))
    answer = browser.get(urlsplit(location).path + "?" + urlsplit(location).query)
    assert answer["Location"] == reverse("credentials:my_connections")


def test_the_way_back_may_be_a_page_of_ours(browser, principal, oidc):
    location = oidc.consent(depart(browser, principal, return_to="/admin/?x=1"))
    answer = browser.get(urlsplit(location).path + "?" + urlsplit(location).query)
    assert answer["Location"] == "/admin/?x=1"


def test_without_the_grant_there_is_nothing_to_connect(browser, principal, oidc, ada):
    ada.permission_set_assignments.all().delete()
    answer = browser.post(reverse("credentials:connect", args=[principal.pk]), follow=True)
    assert "principal.use" in str(next(iter(answer.context["messages"])))
    assert not AuthorizationRequest.objects.exists()
    with pytest.raises(PrincipalAccessRefused):
        http.get("callout:Acme_Api", user=User.objects.get(pk=ada.pk))


# --- the life of the grant --------------------------------------------------------------------------------------------
def expire():
    StoredToken.objects.update(expires_at=clock.now() - timedelta(seconds=1))


def test_a_refresh_rotates_and_keeps_the_one_before(browser, principal, oidc, ada):
    connect(browser, principal, oidc)
    first = StoredToken.objects.get().refresh_token.reveal()
    expire()
    http.get("callout:Acme_Api", user=ada)
    row = StoredToken.objects.get()
    assert row.refresh_token.reveal() != first
    assert row.previous_refresh_token.reveal() == first
    assert (row.state, row.in_doubt_since) == (ConnectionState.CONNECTED, None)


def test_a_grant_whose_tokens_were_replayed_is_over_and_says_so_once(browser, principal, oidc, ada, api):
    connect(browser, principal, oidc)
    stolen = StoredToken.objects.get().refresh_token.reveal()
    expire()
    http.get("callout:Acme_Api", user=ada)
    # A thief uses the token that was rotated away: the server ends the whole family.
    replay = {"grant_type": "refresh_token", "refresh_token": stolen}
    assert requests.post(f"{oidc.issuer}/token", data=replay, auth=("web", "web-secret"), timeout=10).status_code == 400  # noqa: TID251 - a caller from outside
    calls = len(api.requests)
    for _ in range(3):
        expire()
        with pytest.raises(TokenEndpointRefused):
            http.get("callout:Acme_Api", user=ada)
    assert len(api.requests) == calls
    row = StoredToken.objects.get()
    assert row.state == ConnectionState.FAILED
    assert "Connect again" in row.failure_reason
    (event,) = OutboxEvent.objects.filter(topic__name="/event/Credential_Connection_Failed__e")
    assert event.payload["Principal__c"] == "Acme.Each"
    assert event.payload["Username__c"] == "ada"
    page = browser.get(reverse("credentials:my_connections")).content.decode()
    assert "Connect again" in page
    assert connect(browser, principal, oidc) == ["Acme.Each is connected."]
    http.get("callout:Acme_Api", user=ada)
    assert StoredToken.objects.get().state == ConnectionState.CONNECTED


def test_disconnecting_revokes_at_the_server_and_forgets(browser, principal, oidc, ada):
    connect(browser, principal, oidc)
    row = StoredToken.objects.get()
    refresh, access = row.refresh_token.reveal(), row.access_token.reveal()
    answer = browser.post(reverse("credentials:disconnect", args=[principal.pk]), follow=True)
    assert [str(told) for told in answer.context["messages"]] == [
        "Acme.Each is disconnected, here and at the identity provider."
    ]
    assert not StoredToken.objects.exists()
    assert oidc.introspect(refresh) == {"active": False}
    assert oidc.introspect(access) == {"active": False}
    with pytest.raises(NotConnected):
        http.get("callout:Acme_Api", user=ada)


def test_a_revocation_that_fails_is_told_and_forgotten_here_all_the_same(browser, principal, oidc, provider):
    connect(browser, principal, oidc)
    IdentityProvider.objects.update(revocation_endpoint="http://127.0.0.1:9/revoke")
    answer = browser.post(reverse("credentials:disconnect", args=[principal.pk]), follow=True)
    assert "not revoked there" in str(next(iter(answer.context["messages"])))
    assert not StoredToken.objects.exists()


# --- the page ---------------------------------------------------------------------------------------------------------
def test_my_connections_lists_what_i_may_use_and_nothing_else(browser, principal, oidc):
    other = create_external_credential(
        "Other", protocol="oauth_authorization_code", identity_provider=IdentityProvider.objects.get()
    )
    create_principal(other, "Each", kind="per_user")
    page = browser.get(reverse("credentials:my_connections")).content.decode()
    assert "Acme.Each" in page
    assert "Not connected" in page
    assert "Other.Each" not in page


def test_my_connections_without_any_says_what_they_would_be(db):
    client = Client()
    client.force_login(User.objects.create_user("nobody"))
    assert "Nothing to connect" in client.get(reverse("credentials:my_connections")).content.decode()
