"""Set-up moves from one environment to another without a secret in it, whole or not at all."""

import io
import json

import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from credentials import actions, certificate_actions, manifest
from credentials.errors import ManifestRefused
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    PrincipalSecret,
)
from credentials.provider_actions import ensure_identity_provider
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.models import PermissionSet
from isthmus.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def here():
    """A set-up with a bit of everything; its secrets are canaries."""
    certificate_actions.generate_self_signed("Client")
    provider = ensure_identity_provider(
        "Login", client_id="isthmus", client_secret="canary-1", token_endpoint="https://login.example/token"
    )
    code = actions.create_external_credential("Code", protocol="oauth_authorization_code", identity_provider=provider)
    actions.create_principal(code, "Each", kind="per_user")
    key = actions.create_external_credential("Key", protocol="custom_headers", settings={"headers": "X-Key: {Key}"})
    main = actions.create_principal(key, "Main", secrets={"Key": "canary-2"}, sequence=3)
    named = actions.create_named_credential(
        "Api", url="https://api.example/v1", external_credential=key, principal=main
    )
    named.client_certificate = Certificate.objects.get()
    actions.save_named_credential(named)
    actions.create_named_credential("Login_Api", url="https://api.example/v2", external_credential=code)
    desk = ensure_permission_set("Desk", "The desk", [("principal", "use", "Key.Main")])
    assign(desk, User.objects.create_user("ada"))
    return manifest.export()


def wipe():
    NamedCredential.objects.all().delete()
    Principal.objects.all().delete()
    ExternalCredential.objects.all().delete()
    IdentityProvider.objects.all().delete()
    PermissionSet.objects.all().delete()


def test_a_manifest_holds_no_secret(here):
    text = json.dumps(here)
    assert "canary" not in text
    assert "PRIVATE KEY" not in text
    assert Certificate.objects.get().fingerprint in text


def test_what_was_exported_makes_the_same_set_up_elsewhere(here):
    wipe()
    done = manifest.apply(here)
    assert {each.change for each in done} == {"add"}
    assert manifest.export() == here
    assert manifest.compare(here) == []
    assert manifest.apply(here) == []


def test_the_secrets_that_are_missing_are_named_and_can_be_filled_in(here, tmp_path):
    wipe()
    manifest.apply(here)
    assert [(each.kind, each.name, each.secret) for each in manifest.missing_secrets()] == [
        ("identity_provider", "Login", "client_secret"),
        ("principal", "Key.Main", "Key"),
    ]
    path = tmp_path / "secrets.json"
    path.write_text(json.dumps({"Key.Main": {"Key": "canary-3"}}))
    with pytest.raises(CommandError, match="1 still missing"):
        run("fill-in", "--from-file", str(path))
    assert PrincipalSecret.objects.get().value.reveal() == "canary-3"


def test_secrets_are_filled_in_from_the_environment(here, monkeypatch):
    wipe()
    manifest.apply(here)
    monkeypatch.setenv("ISTHMUS_SECRET_KEY_MAIN_KEY", "canary-4")
    monkeypatch.setenv("ISTHMUS_SECRET_LOGIN_CLIENT_SECRET", "canary-5")
    assert "Nothing is missing." in run("fill-in", "--from-env")
    assert IdentityProvider.objects.get().client_secret.reveal() == "canary-5"
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_secrets_that_are_there_stay(here):
    changed = json.loads(json.dumps(here))
    changed["named_credentials"][0]["url"] = "https://api.example/v9"
    (difference,) = manifest.compare(changed)
    assert (difference.kind, difference.name, list(difference.fields)) == ("named_credentials", "Api", ["url"])
    manifest.apply(changed)
    assert NamedCredential.objects.get(name="Api").url == "https://api.example/v9"
    assert PrincipalSecret.objects.get().value.reveal() == "canary-2"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.update(format=2), "format 1"),
        (lambda m: m.update(extra=[]), "Unknown: extra"),
        (lambda m: m.update(named_credentials={}), "no list"),
        (lambda m: m["named_credentials"][0].update(password="x"), r"named_credentials\[0\]: unknown: password"),
        (lambda m: m["named_credentials"][0].pop("name"), r"named_credentials\[0\] has no name"),
        (lambda m: m["external_credentials"][0]["principals"][0].update(secret="x"), r"principals\[0\]: unknown"),
        (lambda m: m["named_credentials"][0].update(external_credential="Gone"), "needs the external credential"),
        (lambda m: m["named_credentials"][0].update(principal="Gone"), "needs the principal"),
        (lambda m: m["external_credentials"][0].update(identity_provider="Gone"), "needs the identity provider"),
        (lambda m: m["named_credentials"][0].update(client_certificate="Gone"), "no certificate 'Gone'"),
        (lambda m: m["named_credentials"][0].update(url="javascript:x"), "begins with https"),
        (lambda m: m["external_credentials"][1].update(settings={"headers": "Host: x"}), "platform's own"),
        (lambda m: m["external_credentials"][1].update(protocol="magic"), "no protocol"),
    ],
)
def test_a_manifest_that_cannot_work_changes_nothing(here, change, told):
    wipe()
    change(here)
    with pytest.raises(ManifestRefused, match=told):
        manifest.apply(here)
    assert not ExternalCredential.objects.exists()
    assert not IdentityProvider.objects.exists()


# --- the command ------------------------------------------------------------------------------------------------------
def run(*arguments):
    out = io.StringIO()
    call_command("credentials", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_carries_a_manifest(here, tmp_path):
    path = tmp_path / "manifest.yaml"
    path.write_text(run("export"))
    assert yaml.safe_load(path.read_text()) == here
    wipe()
    assert "would change" in run("import", str(path))
    assert not NamedCredential.objects.exists()
    lines = [json.loads(line) for line in run("import", str(path), "--apply", "--json").splitlines()]
    assert {line["change"] for line in lines} == {"add"}
    assert run("import", str(path)) == "Everything is as the manifest says.\n"


def test_one_named_credential_with_what_it_needs(here):
    found = json.loads(run("export", "--name", "Login_Api", "--format", "json"))
    assert [row["name"] for row in found["external_credentials"]] == ["Code"]
    assert [row["name"] for row in found["identity_providers"]] == ["Login"]
    assert found["certificates"] == []


@pytest.mark.parametrize(("text", "told"), [("a: [", "line 1"), ("- 1", "no mapping"), ("\0", "neither YAML")])
def test_a_file_that_is_no_manifest_is_told(tmp_path, text, told):
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    with pytest.raises(CommandError, match=told):
        run("import", str(path))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run("import", str(tmp_path / "none"))
