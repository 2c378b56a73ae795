"""Setting up: what is refused changes nothing, and ensuring twice changes nothing."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from credentials import actions
from credentials.errors import CredentialInvalid, SecretRefused, SettingsRefused, UnknownProtocol
from credentials.models import (
    ExternalCredential,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    PrincipalStatus,
    StoredToken,
)
from isthmus.vault.secret import Sealed

pytestmark = pytest.mark.django_db

BASIC = {"username": "u", "password": "p"}
OAUTH = {"token_url": "https://a.example/token"}


@pytest.fixture
def external():
    return actions.create_external_credential("Bank", protocol="basic")


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "a.b", "ä", "a\n", "_a", "a" * 81])
def test_a_name_must_be_fit_for_code(external, name):
    with pytest.raises(CredentialInvalid) as caught:
        actions.create_external_credential(name, protocol="basic")
    assert caught.value.fields == ("name",)
    with pytest.raises(CredentialInvalid):
        actions.create_principal(external, name)
    with pytest.raises(CredentialInvalid):
        actions.create_named_credential(name, url="https://a.example", external_credential=external)
    assert ExternalCredential.objects.count() == 1
    assert Principal.objects.count() == NamedCredential.objects.count() == 0


def test_an_external_credential_needs_a_known_protocol_and_fitting_settings():
    with pytest.raises(UnknownProtocol):
        actions.create_external_credential("A", protocol="magic")
    with pytest.raises(SettingsRefused):
        actions.create_external_credential("A", protocol="oauth_client_credentials")
    assert ExternalCredential.objects.count() == 0


def test_names_are_unique(external):
    actions.create_principal(external, "Main")
    with pytest.raises(CredentialInvalid):
        actions.create_external_credential("Bank", protocol="basic")
    with pytest.raises(CredentialInvalid):
        actions.create_principal(external, "Main")


@pytest.mark.parametrize(
    "url", ["", "bank", "https://u:p@bank.example", "https://bank.example?x", "ftp://bank.example"]
)
def test_a_named_credential_needs_an_origin(external, url):
    with pytest.raises(CredentialInvalid) as caught:
        actions.create_named_credential("A", url=url, external_credential=external)
    assert caught.value.fields == ("url",)
    assert NamedCredential.objects.count() == 0


def test_a_principal_belongs_to_the_same_external_credential(external):
    other = actions.create_principal(actions.create_external_credential("Other", protocol="basic"), "Main")
    with pytest.raises(CredentialInvalid, match="another external credential"):
        actions.create_named_credential("A", url="https://a.example", external_credential=external, principal=other)


def test_a_principal_is_made_with_all_its_secrets_or_not_at_all(external):
    with pytest.raises(SecretRefused):
        actions.create_principal(external, "Main", secrets={"username": "u", "colour": "red"})
    assert Principal.objects.count() == PrincipalSecret.objects.count() == 0


def test_the_status_follows_the_secrets(external):
    principal = actions.create_principal(external, "Main")
    assert principal.status == PrincipalStatus.NOT_CONFIGURED
    actions.replace_secret(principal, "username", "u")
    assert principal.status == PrincipalStatus.NOT_CONFIGURED
    actions.replace_secret(principal, "password", "p")
    assert Principal.objects.get().status == PrincipalStatus.CONFIGURED
    actions.forget_secret(principal, "password")
    assert Principal.objects.get().status == PrincipalStatus.NOT_CONFIGURED
    assert [row.name for row in PrincipalSecret.objects.all()] == ["username"]


def test_replacing_a_secret_renews_its_age_and_drops_tokens(external, moving_clock):
    principal = actions.create_principal(external, "Main", secrets=BASIC)
    StoredToken.objects.create(principal=principal, access_token="t")
    identity = PrincipalSecret.objects.get(name="password").pk
    moving_clock.move(timedelta(days=1))
    actions.replace_secret(principal, "password", "new")
    row = PrincipalSecret.objects.get(name="password")
    assert row.pk == identity
    assert row.value.reveal() == "new"
    assert row.set_at == moving_clock.now()
    assert row.last_used_at is None
    assert StoredToken.objects.count() == 0


def test_a_refused_secret_leaves_everything_as_it_was(external):
    principal = actions.create_principal(external, "Main", secrets=BASIC)
    StoredToken.objects.create(principal=principal, access_token="t")
    with pytest.raises(SecretRefused):
        actions.replace_secrets(principal, {"username": "new", "password": "a\nb"})
    assert {row.name: row.value.reveal() for row in PrincipalSecret.objects.all()} == BASIC
    assert StoredToken.objects.count() == 1


def test_secrets_belong_to_who_can_have_them(external):
    user = User.objects.create_user("clerk")
    named = actions.create_principal(external, "Named")
    own = actions.create_principal(external, "Own", kind=PrincipalKind.PER_USER)
    nobody = actions.create_principal(external, "Nobody", kind=PrincipalKind.ANONYMOUS)
    for principal, owner in ((named, user), (own, None), (nobody, None), (nobody, user)):
        with pytest.raises(SecretRefused):
            actions.replace_secrets(principal, BASIC, user=owner)
    assert PrincipalSecret.objects.count() == 0
    actions.replace_secrets(own, BASIC, user=user)
    assert own.status == PrincipalStatus.CONFIGURED


def test_changed_settings_drop_tokens_and_unchanged_ones_do_not():
    external = actions.create_external_credential("A", protocol="oauth_client_credentials", settings=OAUTH)
    principal = actions.create_principal(external, "P", secrets={"client_id": "i", "client_secret": "s"})
    StoredToken.objects.create(principal=principal, access_token="t")
    actions.change_settings(external, OAUTH)
    assert StoredToken.objects.count() == 1
    with pytest.raises(SettingsRefused):
        actions.change_settings(external, {})
    assert StoredToken.objects.count() == 1
    actions.change_settings(external, {**OAUTH, "scope": "read"})
    assert StoredToken.objects.count() == 0
    assert ExternalCredential.objects.get().settings["scope"] == "read"


def ensure(**changes):
    external = actions.ensure_external_credential("A", protocol="basic", label=changes.get("label", "Acme"))
    principal = actions.ensure_principal(external, "P", secrets=changes.get("secrets", BASIC))
    named = actions.ensure_named_credential(
        "N", url=changes.get("url", "https://a.example"), external_credential=external, principal=principal
    )
    return external, principal, named


def test_ensuring_twice_changes_nothing(moving_clock):
    ensure()
    StoredToken.objects.create(principal=Principal.objects.get(), access_token="t")
    before = list(PrincipalSecret.objects.order_by("pk").values_list("pk", "set_at"))
    moving_clock.move(timedelta(days=1))
    ensure()
    assert list(PrincipalSecret.objects.order_by("pk").values_list("pk", "set_at")) == before
    assert StoredToken.objects.count() == ExternalCredential.objects.count() == NamedCredential.objects.count() == 1


def test_ensuring_changes_what_differs():
    ensure()
    ensure(label="New", url="https://b.example", secrets={"password": "new"})
    assert ExternalCredential.objects.get().label == "New"
    assert NamedCredential.objects.get().url == "https://b.example"
    assert {row.name: row.value.reveal() for row in PrincipalSecret.objects.all()} == {
        "username": "u",
        "password": "new",
    }


def test_protocol_and_kind_stay_what_they_are():
    external, _, _ = ensure()
    with pytest.raises(CredentialInvalid, match="uses basic"):
        actions.ensure_external_credential("A", protocol="no_authentication")
    with pytest.raises(CredentialInvalid, match="does not change"):
        actions.ensure_principal(external, "P", kind=PrincipalKind.PER_USER)


def test_ensuring_replaces_a_secret_that_does_not_open_any_more():
    ensure()
    PrincipalSecret.objects.filter(name="password").delete()
    broken = PrincipalSecret(principal=Principal.objects.get(), name="password", value="x")
    broken.save()
    PrincipalSecret.objects.filter(pk=broken.pk).update(value=Sealed("v1.gone." + "A" * 40))
    ensure()
    assert PrincipalSecret.objects.get(name="password").value.reveal() == "p"
