"""Setting up through the admin: inputs come from the protocol, secrets go in and never come out."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from credentials import actions
from credentials.models import (
    ExternalCredential,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    StoredToken,
)
from isthmus.vault.secret import MASK, Sealed

pytestmark = pytest.mark.django_db

CANARY = "canary-9f2c"
OAUTH = "setting__oauth_client_credentials__"


@pytest.fixture
def screens(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def external():
    return actions.create_external_credential("Bank", protocol="basic")


@pytest.fixture
def principal(external):
    return actions.create_principal(external, "Main", secrets={"username": "user-" + CANARY, "password": CANARY})


def page(model, row=None):
    name = model._meta.model_name
    return (
        reverse(f"admin:credentials_{name}_change", args=[row.pk]) if row else reverse(f"admin:credentials_{name}_add")
    )


def errors_of(answer):
    assert answer.status_code == 200
    return answer.context["adminform"].form.errors


def fingerprints():
    return {row.name: row.value.fingerprint for row in PrincipalSecret.objects.all()}


def test_an_external_credential_is_made_with_the_settings_of_its_protocol(screens):
    html = screens.get(page(ExternalCredential)).content.decode()
    assert OAUTH + "token_url" in html
    assert "OAuth 2.0 client credentials" in html
    answer = screens.post(
        page(ExternalCredential),
        {
            "name": "Acme",
            "label": "Acme Inc.",
            "protocol": "oauth_client_credentials",
            OAUTH + "token_url": "https://a.example/token",
            OAUTH + "client_authentication": "body",
        },
    )
    assert answer.status_code == 302
    assert ExternalCredential.objects.get().settings == {
        "token_url": "https://a.example/token",
        "client_authentication": "body",
        "certificate": "",
        "assertion_audience": "",
        "key_id": "",
        "scope": "",
        "audience": "",
    }


def test_settings_that_do_not_fit_are_told_at_their_input(screens):
    answer = screens.post(
        page(ExternalCredential),
        {
            "name": "Acme",
            "protocol": "oauth_client_credentials",
            OAUTH + "token_url": "/token",
            OAUTH + "client_authentication": "header",
        },
    )
    assert list(errors_of(answer)) == [OAUTH + "token_url"]
    assert list(errors_of(screens.post(page(ExternalCredential), {"name": "A", "protocol": "magic"}))) == ["protocol"]
    assert list(errors_of(screens.post(page(ExternalCredential), {"name": "A b", "protocol": "basic"}))) == ["name"]
    assert ExternalCredential.objects.count() == 0


def test_settings_of_another_protocol_are_not_asked_for(screens):
    assert screens.post(page(ExternalCredential), {"name": "Plain", "protocol": "basic"}).status_code == 302
    assert ExternalCredential.objects.get().settings == {}


def test_changed_settings_are_saved_and_tokens_dropped(screens):
    external = actions.create_external_credential(
        "A", protocol="oauth_client_credentials", settings={"token_url": "https://a.example/token"}
    )
    principal = actions.create_principal(external, "P")
    StoredToken.objects.create(principal=principal, access_token=CANARY)
    html = screens.get(page(ExternalCredential, external)).content.decode()
    assert "https://a.example/token" in html
    data = {"label": "New", OAUTH + "token_url": "https://b.example/token", OAUTH + "client_authentication": "header"}
    answer = screens.post(page(ExternalCredential, external), {**data, "name": "Other", "protocol": "basic"})
    assert answer.status_code == 302
    external.refresh_from_db()
    assert (external.name, external.protocol, external.label) == ("A", "oauth_client_credentials", "New")
    assert external.settings["token_url"] == "https://b.example/token"
    assert StoredToken.objects.count() == 0


def test_a_new_principal_leads_to_the_inputs_for_its_secrets(screens, external):
    answer = screens.post(
        page(Principal), {"external_credential": external.pk, "name": "Main", "kind": "named", "sequence": 1}
    )
    principal = Principal.objects.get()
    assert answer.url == page(Principal, principal)
    html = screens.get(answer.url).content.decode()
    for name in ("secret__username", "secret__password"):
        assert f'name="{name}"' in html
    assert "Not set yet." in html


def test_secrets_are_entered_and_only_their_fingerprint_comes_back(screens, external):
    principal = actions.create_principal(external, "Main")
    data = {"sequence": 1, "secret__username": "user-" + CANARY, "secret__password": f" {CANARY} "}
    answer = screens.post(page(Principal, principal), {**data, "_continue": "1"}, follow=True)
    html = answer.content.decode()
    assert CANARY not in html
    assert all(fingerprint in html for fingerprint in fingerprints().values())
    assert "last used: never" in html
    assert 'autocomplete="new-password"' in html
    values = {row.name: row.value.reveal() for row in PrincipalSecret.objects.all()}
    assert values == {"username": "user-" + CANARY, "password": f" {CANARY} "}
    assert Principal.objects.get().status == "configured"
    assert CANARY not in "".join(entry.change_message for entry in LogEntry.objects.all())


@pytest.mark.parametrize("posted", ["", MASK, None])
def test_an_empty_input_and_a_mask_that_comes_back_keep_the_secret(screens, principal, posted):
    StoredToken.objects.create(principal=principal, access_token=CANARY)
    before = fingerprints()
    data = {} if posted is None else {"secret__username": posted, "secret__password": posted}
    assert screens.post(page(Principal, principal), {"sequence": 2, **data}).status_code == 302
    assert Principal.objects.get().sequence == 2
    assert fingerprints() == before
    assert StoredToken.objects.count() == 1


def test_one_secret_is_replaced_and_the_other_stays(screens, principal):
    screens.post(page(Principal, principal), {"sequence": 1, "secret__password": "new"})
    values = {row.name: row.value.reveal() for row in PrincipalSecret.objects.all()}
    assert values == {"username": "user-" + CANARY, "password": "new"}


def test_a_refused_secret_is_told_and_not_shown(screens, principal):
    before = fingerprints()
    answer = screens.post(page(Principal, principal), {"sequence": 1, "secret__username": "ca:nary-new"})
    assert list(errors_of(answer)) == ["secret__username"]
    assert "ca:nary-new" not in answer.content.decode()
    assert fingerprints() == before


def test_name_kind_and_external_credential_of_a_principal_stay(screens, principal):
    screens.post(page(Principal, principal), {"sequence": 1, "name": "Other", "kind": "anonymous"})
    principal.refresh_from_db()
    assert (principal.name, principal.kind) == ("Main", "named")


def test_per_user_secrets_are_entered_for_somebody(screens, external):
    principal = actions.create_principal(external, "Own", kind=PrincipalKind.PER_USER)
    clerk = User.objects.create_user("clerk")
    secrets = {"sequence": 1, "secret__username": "u", "secret__password": CANARY}
    assert list(errors_of(screens.post(page(Principal, principal), secrets))) == ["secrets_of"]
    assert PrincipalSecret.objects.count() == 0
    assert screens.post(page(Principal, principal), {**secrets, "secrets_of": clerk.pk}).status_code == 302
    assert {row.user for row in PrincipalSecret.objects.all()} == {clerk}
    html = screens.get(page(Principal, principal)).content.decode()
    assert CANARY not in html
    assert "clerk, password: Set" in html


def test_an_anonymous_principal_has_no_inputs_for_secrets(screens, external):
    anonymous = actions.create_principal(external, "Anyone", kind=PrincipalKind.ANONYMOUS)
    assert "secret__" not in screens.get(page(Principal, anonymous)).content.decode()


def test_a_secret_that_does_not_open_is_told(screens, principal):
    PrincipalSecret.objects.filter(name="password").update(value=Sealed("v1.gone." + "A" * 40))
    assert "does not open with the present keys" in screens.get(page(Principal, principal)).content.decode()


def test_a_named_credential_is_made(screens, external, principal):
    data = {"name": "Bank_API", "url": "https://bank.example/v1", "external_credential": external.pk}
    data |= {"principal": principal.pk, "is_enabled": "on"}
    wrong = errors_of(screens.post(page(NamedCredential), {**data, "url": "https://u:p@bank.example"}))
    assert list(wrong) == ["url"]
    assert screens.post(page(NamedCredential), data).status_code == 302
    made = NamedCredential.objects.get()
    assert (made.name, made.url, made.principal) == ("Bank_API", "https://bank.example/v1", principal)
    screens.post(page(NamedCredential, made), {**data, "name": "Other", "url": "https://new.example"})
    made.refresh_from_db()
    assert (made.name, made.url) == ("Bank_API", "https://new.example")


def test_tokens_are_discarded_by_hand(screens, principal):
    StoredToken.objects.create(principal=principal, access_token=CANARY)
    screens.post(
        reverse("admin:credentials_principal_changelist"),
        {"action": "discard_tokens", "_selected_action": [principal.pk]},
    )
    assert StoredToken.objects.count() == 0


def test_lists_and_pages_show_no_secret(screens, external, principal):
    StoredToken.objects.create(principal=principal, access_token=CANARY)
    named = actions.create_named_credential("N", url="https://n.example", external_credential=external)
    addresses = [
        *(page(model) for model in (ExternalCredential, Principal, NamedCredential)),
        *(page(type(row), row) for row in (external, principal, named)),
        *(reverse(f"admin:credentials_{name}_changelist") for name in ("principal", "namedcredential")),
        reverse("admin:credentials_externalcredential_changelist"),
        reverse("admin:credentials_principal_delete", args=[principal.pk]),
        reverse("admin:credentials_principal_history", args=[principal.pk]),
    ]
    for address in addresses:
        answer = screens.get(address)
        assert answer.status_code == 200, address
        assert CANARY not in answer.content.decode(), address


def test_who_may_not_change_principals_is_refused(client, principal):
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    before = fingerprints()
    assert client.post(page(Principal, principal), {"sequence": 1, "secret__password": "new"}).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_principal"))
    assert client.post(page(Principal, principal), {"sequence": 1, "secret__password": "new"}).status_code == 403
    assert CANARY not in client.get(page(Principal, principal)).content.decode()
    assert fingerprints() == before
