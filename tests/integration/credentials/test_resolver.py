"""From a name to an address and a signature; each refusal says what is missing, and nothing is used."""

import base64
from datetime import timedelta

import pytest
import requests
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials.actions import (
    create_external_credential,
    create_named_credential,
    create_principal,
    replace_secret,
    replace_secrets,
)
from credentials.errors import (
    CredentialDisabled,
    InsecureOrigin,
    OutsideOrigin,
    PrincipalAccessRefused,
    PrincipalNotConfigured,
    SettingsRefused,
    UnknownNamedCredential,
    UnknownProtocol,
)
from credentials.models import ExternalCredential, NamedCredential, PrincipalKind, PrincipalSecret
from credentials.resolver import resolve
from isthmus.access import registry
from isthmus.access.errors import PermissionRefused
from isthmus.access.policy import system_user

pytestmark = pytest.mark.django_db

BASIC = {"username": "u", "password": "canary-9f2c"}


@pytest.fixture
def external():
    return create_external_credential("Bank", protocol="basic")


@pytest.fixture
def principal(external):
    return create_principal(external, "Main", secrets=BASIC)


@pytest.fixture
def bank(external, principal):
    return create_named_credential(
        "Bank_API", url="https://bank.example/v1", external_credential=external, principal=principal
    )


def authorization(resolved):
    (signed,) = resolved.authentication().flow(requests.Request("GET", resolved.url_for("/x")).prepare())
    return base64.b64decode(signed.headers["Authorization"].removeprefix("Basic ")).decode()


def test_a_granted_user_gets_address_and_signature(bank, user, allow):
    resolved = resolve("Bank_API", allow(user, "Bank.Main"))
    assert resolved.url_for("/accounts?id=7") == "https://bank.example/v1/accounts?id=7"
    assert resolved.name == "Bank_API"
    assert resolved.principal_name == "Bank.Main"
    assert resolved.allow_internal_addresses is False
    assert authorization(resolved) == "u:canary-9f2c"


def test_the_address_is_locked(bank, user, allow):
    with pytest.raises(OutsideOrigin):
        resolve("Bank_API", allow(user, "Bank.Main")).url_for("/../admin")


def test_an_unknown_name_is_told(bank, user):
    for name in ("Nobody", "bank_api", ""):
        with pytest.raises(UnknownNamedCredential) as caught:
            resolve(name, user)
        assert caught.value.status == 404
        assert repr(name) in caught.value.message


def test_a_credential_that_is_switched_off_is_not_used(bank, user, allow):
    NamedCredential.objects.update(is_enabled=False)
    with pytest.raises(CredentialDisabled):
        resolve("Bank_API", allow(user, "Bank.Main"))


@pytest.mark.parametrize("who", ["clerk", "nobody", "anonymous", "inactive"])
def test_without_a_grant_nothing_is_used_and_the_missing_grant_is_named(bank, user, allow, who):
    inactive = User.objects.create_superuser("inactive", is_active=False)
    caller = {"clerk": user, "nobody": None, "anonymous": AnonymousUser(), "inactive": inactive}[who]
    with pytest.raises(PrincipalAccessRefused, match=r"principal\.use on Bank\.Main") as caught:
        resolve("Bank_API", caller)
    assert (caught.value.code, caught.value.status) == ("INSUFFICIENT_ACCESS", 403)
    assert isinstance(caught.value, PermissionRefused)
    assert PrincipalSecret.objects.filter(last_used_at__isnull=False).count() == 0


def test_superusers_and_the_system_user_may_use_everything(bank):
    assert resolve("Bank_API", User.objects.create_superuser("root")).principal_name == "Bank.Main"
    assert resolve("Bank_API", system_user()).principal_name == "Bank.Main"


def test_without_a_fixed_principal_the_users_grants_decide(bank, external, principal, user, allow):
    NamedCredential.objects.update(principal=None)
    create_principal(external, "Backup", sequence=0, secrets={"username": "b", "password": "p"})
    assert resolve("Bank_API", allow(user, "Bank.Main")).principal_name == "Bank.Main"
    assert resolve("Bank_API", system_user()).principal_name == "Bank.Backup"
    with pytest.raises(PrincipalAccessRefused, match=r"Bank\.Backup or Bank\.Main"):
        resolve("Bank_API", User.objects.create_user("other"))


def test_a_fixed_principal_is_never_exchanged_for_another(bank, external, user, allow):
    create_principal(external, "Backup", sequence=0, secrets={"username": "b", "password": "p"})
    with pytest.raises(PrincipalAccessRefused):
        resolve("Bank_API", allow(user, "Bank.Backup"))


def test_missing_secrets_are_named(external, bank, user):
    PrincipalSecret.objects.filter(name="password").delete()
    with pytest.raises(PrincipalNotConfigured, match=r"Bank\.Main lacks: Password"):
        resolve("Bank_API", system_user())


def test_no_principal_at_all_is_told(external):
    create_named_credential("Empty", url="https://bank.example", external_credential=external)
    with pytest.raises(PrincipalNotConfigured, match="has no principal yet"):
        resolve("Empty", system_user())


def test_each_user_signs_with_their_own_secrets(external, user):
    principal = create_principal(external, "Own", kind=PrincipalKind.PER_USER)
    create_named_credential("Own_API", url="https://b.example", external_credential=external, principal=principal)
    root, other = User.objects.create_superuser("root"), User.objects.create_superuser("other")
    replace_secrets(principal, {"username": "root", "password": "r"}, user=root)
    assert authorization(resolve("Own_API", root)) == "root:r"
    with pytest.raises(PrincipalNotConfigured, match="lacks for other: User name, Password"):
        resolve("Own_API", other)


def test_an_anonymous_principal_needs_a_grant_too(user, allow):
    external = create_external_credential("Open", protocol="no_authentication")
    anonymous = create_principal(external, "Anyone", kind=PrincipalKind.ANONYMOUS)
    create_named_credential("Open_API", url="http://o.example", external_credential=external, principal=anonymous)
    with pytest.raises(PrincipalAccessRefused):
        resolve("Open_API", user)
    assert resolve("Open_API", allow(user, "Open.Anyone")).url_for("/x") == "http://o.example/x"


@pytest.mark.parametrize(
    ("url", "token_url", "refused"),
    [
        ("https://a.example", "https://a.example/token", False),
        ("http://a.example", "https://a.example/token", True),
        ("https://a.example", "http://a.example/token", True),
    ],
)
def test_secrets_cross_plain_http_only_inside_the_house(url, token_url, refused):
    external = create_external_credential("A", protocol="oauth_client_credentials", settings={"token_url": token_url})
    principal = create_principal(external, "P", secrets={"client_id": "i", "client_secret": "s"})
    named = create_named_credential("A", url=url, external_credential=external, principal=principal)
    if refused:
        with pytest.raises(InsecureOrigin):
            resolve("A", system_user())
    else:
        resolve("A", system_user())
    named.allow_internal_addresses = True
    named.save()
    resolve("A", system_user())


def test_settings_that_do_not_fit_any_more_are_told(bank, capsys):
    ExternalCredential.objects.update(settings={"colour": "red"})
    with pytest.raises(SettingsRefused, match="external credential Bank do not fit: Unknown: colour"):
        resolve("Bank_API", system_user())
    ExternalCredential.objects.update(protocol="gone", settings={})
    with pytest.raises(UnknownProtocol):
        resolve("Bank_API", system_user())
    call_command("check", "--database", "default", "--tag", "database")
    assert "credentials.W001" in capsys.readouterr().err


def test_resolving_takes_few_queries(bank, user, allow):
    caller = allow(user, "Bank.Main")
    resolve("Bank_API", caller)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        resolve("Bank_API", caller)
    assert len(queries) == 2


@pytest.mark.django_db(transaction=True)
def test_last_use_is_noted_once_in_a_while(bank, moving_clock):
    started = moving_clock.now()

    def used():
        authorization(resolve("Bank_API", system_user()))
        return list(PrincipalSecret.objects.order_by("name").values_list("last_used_at", flat=True))

    assert used() == [started, started]
    moving_clock.move(timedelta(seconds=59))
    assert used() == [started, started]
    moving_clock.move(timedelta(seconds=1))
    assert used() == [started + timedelta(seconds=60)] * 2


def test_permission_sets_can_grant_each_principal(bank, external):
    create_principal(external, "Backup")
    kind = registry.grant_kind("principal")
    assert kind.actions == ("use",)
    assert sorted(kind.targets()) == ["Bank.Backup", "Bank.Main"]


def test_a_new_secret_is_used_at_once(bank, principal):
    replace_secret(principal, "password", "new")
    assert authorization(resolve("Bank_API", system_user())) == "u:new"
