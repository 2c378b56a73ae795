"""Grants without a person, against an authorization server that others wrote."""

import pytest
from django.contrib.auth.models import User
from django.test import TestCase

from callouts import http
from credentials import certificate_actions
from credentials.actions import (
    create_external_credential,
    create_named_credential,
    create_principal,
    replace_secrets,
)
from credentials.errors import PrincipalNotConfigured, SettingsRefused, TokenEndpointRefused
from credentials.models import PrincipalStatus
from isthmus.access.actions import assign, ensure_permission_set
from tests.fault_server import FaultServer
from tests.integration.credentials.oauth_fixtures import oidc, signing_pair

__all__ = ["oidc", "signing_pair"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def api():
    with FaultServer() as server:
        yield server


@pytest.fixture
def certificate(signing_pair):
    return certificate_actions.import_pem(
        "Ours",
        certificate_pem=signing_pair.certificate_pem,
        private_key_pem=signing_pair.private_key_pem.reveal(),
    )


@pytest.fixture
def call(api, oidc):
    """Make a credential of a protocol, call the API with it, and return what the server knows of the token."""

    def make(protocol, settings, secrets=None, *, kind="named", user=None):
        settings = {"token_url": f"{oidc.issuer}/token", **settings}
        external = create_external_credential("Acme", protocol=protocol, settings=settings)
        principal = create_principal(external, "Main", kind=kind, secrets=secrets if kind == "named" else None)
        create_named_credential(
            "Acme_Api", url=api.url("/echo"), external_credential=external, allow_internal_addresses=True
        )
        if user is not None:
            assign(ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)]), user)
            if secrets:
                replace_secrets(principal, secrets, user=user)
        http.get("callout:Acme_Api", user=user)
        principal.refresh_from_db()
        return oidc.introspect(api.requests[-1].headers["authorization"].removeprefix("Bearer "))

    return make


def test_a_secret_with_every_kind_of_character_in_the_header(call):
    known = call(
        "oauth_client_credentials", {}, {"client_id": "machine", "client_secret": "machine secret: 50% of it/+"}
    )
    assert (known["active"], known["client_id"]) == (True, "machine")


def test_a_secret_in_the_body(call):
    known = call(
        "oauth_client_credentials",
        {"client_authentication": "body", "scope": "api"},
        {"client_id": "poster", "client_secret": "poster-secret"},
    )
    assert (known["active"], known["client_id"], known["scope"]) == (True, "poster", "api")


def test_a_signed_assertion_needs_no_secret(call, certificate, oidc):
    known = call(
        "oauth_client_credentials",
        {
            "client_authentication": "private_key_jwt",
            "certificate": "Ours",
            "assertion_audience": oidc.issuer,
            "key_id": "ours",
        },
        {"client_id": "signer"},
    )
    assert (known["active"], known["client_id"]) == (True, "signer")


def test_a_jwt_bearer_assertion_speaks_for_its_subject(call, certificate):
    known = call(
        "oauth_jwt_bearer",
        {"certificate": "Ours", "issuer": "bearer", "subject": "ada@example.org", "client_authentication": "secret"},
        {"client_secret": "bearer-secret"},
    )
    assert (known["active"], known["sub"]) == (True, "ada@example.org")


def test_at_a_per_user_principal_the_subject_is_the_user(call, certificate):
    grace = User.objects.create_user("grace", email="grace@example.org")
    known = call(
        "oauth_jwt_bearer",
        {"certificate": "Ours", "issuer": "bearer", "subject": "{email}", "client_authentication": "secret"},
        {"client_secret": "bearer-secret"},
        kind="per_user",
        user=grace,
    )
    assert known["sub"] == "grace@example.org"


def test_a_user_without_what_the_subject_needs_is_told(call, certificate):
    nameless = User.objects.create_user("nameless")
    with pytest.raises(PrincipalNotConfigured, match="email"):
        call(
            "oauth_jwt_bearer",
            {"certificate": "Ours", "issuer": "bearer", "subject": "{email}", "client_authentication": "secret"},
            {"client_secret": "bearer-secret"},
            kind="per_user",
            user=nameless,
        )


def test_the_token_of_another_principal_is_exchanged(call, oidc):
    other = create_external_credential(
        "Inner", protocol="oauth_client_credentials", settings={"token_url": f"{oidc.issuer}/token"}
    )
    secrets = {"client_id": "machine", "client_secret": "machine secret: 50% of it/+"}
    create_principal(other, "Main", secrets=secrets)
    known = call("oauth_token_exchange", {"subject_principal": "Inner.Main", "audience": "warehouse"}, secrets)
    assert (known["active"], known["sub"]) == (True, "exchanged:machine")


def test_a_stored_token_that_the_server_does_not_know_is_refused(call):
    secrets = {"client_id": "machine", "client_secret": "machine secret: 50% of it/+", "subject_token": "canary"}
    with pytest.raises(TokenEndpointRefused, match="invalid_grant") as caught:
        call("oauth_token_exchange", {}, secrets)
    assert "canary" not in str(caught.value)


def test_an_expired_or_foreign_assertion_is_refused_and_told(call, certificate, moving_clock):
    """The clock of the tests stands in June: for the server the assertion is long over."""
    with pytest.raises(TokenEndpointRefused, match="invalid_grant"):
        call(
            "oauth_jwt_bearer",
            {"certificate": "Ours", "issuer": "bearer", "subject": "ada", "client_authentication": "secret"},
            {"client_secret": "bearer-secret"},
        )


def test_an_assertion_for_another_audience_is_refused(call, certificate):
    with pytest.raises(TokenEndpointRefused):
        call(
            "oauth_jwt_bearer",
            {
                "certificate": "Ours",
                "issuer": "bearer",
                "subject": "ada",
                "audience": "https://elsewhere.example",
                "client_authentication": "secret",
            },
            {"client_secret": "bearer-secret"},
        )


def test_a_wrong_secret_shows_as_the_principals_status(oidc, api):
    external = create_external_credential(
        "Acme", protocol="oauth_client_credentials", settings={"token_url": f"{oidc.issuer}/token"}
    )
    principal = create_principal(external, "Main", secrets={"client_id": "machine", "client_secret": "wrong-canary"})
    create_named_credential(
        "Acme_Api", url=api.url("/echo"), external_credential=external, allow_internal_addresses=True
    )
    with TestCase.captureOnCommitCallbacks(execute=True), pytest.raises(TokenEndpointRefused, match="invalid_client"):
        http.get("callout:Acme_Api")
    principal.refresh_from_db()
    assert principal.status == PrincipalStatus.FAILED
    assert "canary" not in principal.status_reason
    assert api.requests == []


@pytest.mark.parametrize(
    ("protocol", "settings", "field"),
    [
        ("oauth_client_credentials", {"client_authentication": "private_key_jwt"}, "certificate"),
        ("oauth_jwt_bearer", {"certificate": "Ours", "issuer": "i", "subject": "{password}"}, "subject"),
        ("oauth_jwt_bearer", {"certificate": "Ours", "issuer": "i", "subject": "{email.__class__}"}, "subject"),
        ("oauth_jwt_bearer", {"certificate": "Ours", "issuer": "i", "subject": "s", "claims": "[]"}, "claims"),
        ("oauth_jwt_bearer", {"certificate": "Ours", "issuer": "i", "subject": "s", "claims": '{"iss": 1}'}, "claims"),
        ("oauth_authorization_code", {}, "identity_provider"),
    ],
)
def test_settings_that_cannot_work_are_refused_where_they_are_made(protocol, settings, field):
    settings = settings if protocol == "oauth_authorization_code" else {"token_url": "https://a.example/t", **settings}
    with pytest.raises(SettingsRefused) as caught:
        create_external_credential("Acme", protocol=protocol, settings=settings)
    assert caught.value.fields == (field,)


def test_a_certificate_that_is_gone_is_named(call):
    with pytest.raises(PrincipalNotConfigured, match="Gone"):
        call(
            "oauth_client_credentials",
            {"client_authentication": "private_key_jwt", "certificate": "Gone"},
            {"client_id": "signer"},
        )
