"""Every key provider keeps the same promises; each has refusals of its own."""

import io
import json
import stat

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from credentials.models import ExternalCredential, Principal, PrincipalSecret
from isthmus.keys import new_encryption_key
from isthmus.vault.errors import KeyProviderUnavailable, KeysMalformed, SealBroken, UnknownKey
from isthmus.vault.keyring import KeyRing, key_id_of
from isthmus.vault.models import DataKey
from isthmus.vault.providers import key_provider
from isthmus.vault.providers.environment import EnvironmentKeyProvider
from isthmus.vault.providers.file import FileKeyProvider
from isthmus.vault.providers.transit import TransitKeyProvider

from .transit_server import TransitServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def transit():
    with (
        TransitServer() as server,
        override_settings(
            ISTHMUS_KEY_PROVIDER="transit", ISTHMUS_TRANSIT_URL=server.url, ISTHMUS_TRANSIT_TOKEN=server.token
        ),
    ):
        yield server


@pytest.fixture(params=["environment", "file", "transit"])
def provider(request, tmp_path):
    """A provider that holds one key."""
    if request.param == "environment":
        with override_settings(ISTHMUS_ENCRYPTION_KEYS=new_encryption_key()):
            yield EnvironmentKeyProvider()
    elif request.param == "file":
        made = FileKeyProvider(tmp_path / "keys")
        made.add_key()
        yield made
    else:
        request.getfixturevalue("transit")
        made = TransitKeyProvider()
        made.add_key()
        yield made


def test_what_it_seals_it_opens(provider):
    sealed = provider.ring().seal("text", context="c")
    assert provider.ring().open_sealed(sealed, context="c") == "text"
    assert provider.refreshed().open_sealed(sealed, context="c") == "text"


def test_its_ring_is_loaded_once(provider):
    assert provider.ring() is provider.ring()


def test_a_new_key_has_an_id_of_its_own_and_a_next_step(provider):
    before = set(provider.ring().key_ids)
    key_id, next_step = provider.add_key()
    assert key_id not in before
    assert "encryption_key rotate" in next_step


def test_no_key_shows_in_its_texts(provider):
    assert "key" not in repr(provider.ring()).replace("KeyRing", "").replace(provider.ring().primary_id, "")


@pytest.mark.parametrize("kind", ["file", "transit"])
def test_a_new_key_seals_at_once_and_the_old_one_opens(kind, tmp_path, request):
    if kind == "transit":
        request.getfixturevalue("transit")
    provider = FileKeyProvider(tmp_path / "keys") if kind == "file" else TransitKeyProvider()
    first, _ = provider.add_key()
    sealed = provider.ring().seal("text", context="c")
    second, _ = provider.add_key()
    assert provider.ring().key_ids == (second, first)
    assert provider.ring().open_sealed(sealed, context="c") == "text"
    assert key_id_of(provider.ring().seal("text", context="c")) == second


# --- the file ---------------------------------------------------------------------------------------------------------
def test_a_key_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "keys"
    FileKeyProvider(path).add_key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(KeysMalformed, match="chmod 600"):
        FileKeyProvider(path).ring()


def test_a_missing_key_file_says_which_command_makes_one(tmp_path):
    with pytest.raises(KeysMalformed, match="encryption_key new"):
        FileKeyProvider(tmp_path / "keys").ring()


def test_another_process_meets_the_new_key_without_a_restart(tmp_path):
    ours, theirs = FileKeyProvider(tmp_path / "keys"), FileKeyProvider(tmp_path / "keys")
    ours.add_key()
    theirs.ring()
    ours.add_key()
    assert theirs.ring().open_sealed(ours.ring().seal("text", context="c"), context="c") == "text"


def test_a_damaged_key_file_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text("k1:not-a-key\n")
    with pytest.raises(KeysMalformed, match=r"Entry 1 of .*keys is malformed") as caught:
        FileKeyProvider(path).ring()
    assert "not-a-key" not in str(caught.value)


# --- the transit engine -----------------------------------------------------------------------------------------------
def test_the_database_holds_wrapped_keys_only(transit):
    TransitKeyProvider().add_key()
    (row,) = DataKey.objects.all()
    assert row.wrapped.startswith("vault:v1:")


def test_a_key_that_another_process_made_is_fetched_when_it_is_met(transit):
    ours, theirs = TransitKeyProvider(), TransitKeyProvider()
    ours.add_key()
    theirs.ring()
    theirs._loaded_at -= 10
    ours.add_key()
    sealed = ours.ring().seal("text", context="c")
    with pytest.raises(UnknownKey):
        theirs.ring().open_sealed(sealed, context="c")
    assert theirs.refreshed().open_sealed(sealed, context="c") == "text"


def test_an_unknown_key_asks_the_server_once_a_second_at_most(transit):
    provider = TransitKeyProvider()
    provider.add_key()
    asked = len(transit.requests)
    for _ in range(20):
        provider.refreshed()
    assert len(transit.requests) == asked


def test_a_login_by_approle(transit):
    with override_settings(
        ISTHMUS_TRANSIT_TOKEN="", ISTHMUS_TRANSIT_ROLE_ID=transit.role_id, ISTHMUS_TRANSIT_SECRET_ID=transit.secret_id
    ):
        TransitKeyProvider().add_key()
    assert "/v1/auth/approle/login" in transit.requests


def test_a_namespace_is_named(transit):
    transit.namespace = "team"
    with override_settings(ISTHMUS_TRANSIT_NAMESPACE="team"):
        TransitKeyProvider().add_key()
    with pytest.raises(KeyProviderUnavailable, match="404"):
        TransitKeyProvider().add_key()


def test_the_engines_own_rotation_changes_nothing_for_us(transit):
    provider = TransitKeyProvider()
    provider.add_key()
    sealed = provider.ring().seal("text", context="c")
    transit.rotate()
    provider.add_key()
    assert DataKey.objects.first().wrapped.startswith("vault:v2:")
    assert TransitKeyProvider().ring().open_sealed(sealed, context="c") == "text"


def test_a_version_that_is_no_longer_allowed_is_told(transit):
    TransitKeyProvider().add_key()
    transit.rotate()
    transit.min_decryption_version = 2
    with pytest.raises(KeyProviderUnavailable, match="version"):
        TransitKeyProvider().ring()


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda server: setattr(server, "is_sealed", True), "Unseal it"),
        (lambda server: setattr(server, "token", "another"), "403"),
        (lambda server: setattr(server, "answer", lambda *_: (200, b"<html>")), "no JSON object"),
        (lambda server: setattr(server, "answer", lambda *_: (200, {"data": {}})), "no wrapped key"),
        (lambda server: setattr(server, "answer", lambda *_: (302, {})), "302"),
    ],
)
def test_a_server_that_gives_no_key_is_told_by_its_trouble(transit, break_it, told):
    break_it(transit)
    with pytest.raises(KeyProviderUnavailable, match=told) as caught:
        TransitKeyProvider().add_key()
    assert caught.value.retryable
    assert not DataKey.objects.exists()


def test_a_server_that_is_not_there_is_told(transit):
    with override_settings(ISTHMUS_TRANSIT_URL="http://127.0.0.1:9"), pytest.raises(KeyProviderUnavailable):
        TransitKeyProvider().add_key()


def test_without_an_address_or_a_login_it_says_so():
    with pytest.raises(KeysMalformed, match="ISTHMUS_TRANSIT_URL"):
        TransitKeyProvider().add_key()
    with (
        override_settings(ISTHMUS_TRANSIT_URL="http://127.0.0.1:9"),
        pytest.raises(KeysMalformed, match="ISTHMUS_TRANSIT_TOKEN"),
    ):
        TransitKeyProvider().add_key()


# --- the command, and rows under a provider ---------------------------------------------------------------------------
def command(*arguments):
    out = io.StringIO()
    call_command("encryption_key", *arguments, "--json", stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_whole_life_of_a_key_in_a_file(tmp_path):
    with override_settings(ISTHMUS_KEY_PROVIDER="file", ISTHMUS_KEY_FILE=str(tmp_path / "keys")):
        first = command("new")[0]["key_id"]
        external = ExternalCredential.objects.create(name="Acme", protocol="basic")
        principal = Principal.objects.create(external_credential=external, name="Main")
        row = PrincipalSecret.objects.create(principal=principal, name="password", value="s")
        second = command("new")[0]["key_id"]
        assert command("status")[-1]["in_use"] == {first: 1}
        rotated = command("rotate")
        assert rotated[-1] == {
            "provider": "file",
            "primary": second,
            "known": [second, first],
            "in_use": {second: 1},
            "removable": [first],
            "missing": [],
        }
        assert PrincipalSecret.objects.get(pk=row.pk).value.reveal() == "s"
        lines = (tmp_path / "keys").read_text().splitlines()
        (tmp_path / "keys").write_text(f"{lines[0]}\n")
        assert command("verify")[-1]["known"] == [second]


def test_status_names_a_key_that_is_needed_and_not_there():
    old, new = new_encryption_key(), new_encryption_key()
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=old):
        external = ExternalCredential.objects.create(name="Acme", protocol="basic")
        principal = Principal.objects.create(external_credential=external, name="Main")
        PrincipalSecret.objects.create(principal=principal, name="password", value="s")
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=new):
        assert command("status")[-1]["missing"] == [old.partition(":")[0]]


def test_new_in_the_environment_prints_the_entry_and_the_order_of_steps():
    out = io.StringIO()
    call_command("encryption_key", "new", stdout=out)
    entry, _, steps = out.getvalue().partition("\n")
    assert KeyRing.parse(entry).primary_id == entry.partition(":")[0]
    assert "behind the others" in steps


def test_a_provider_in_trouble_ends_the_command_with_its_sentence(tmp_path):
    with (
        override_settings(ISTHMUS_KEY_PROVIDER="file", ISTHMUS_KEY_FILE=str(tmp_path / "none")),
        pytest.raises(CommandError, match="no readable key file"),
    ):
        command("rotate")


def test_the_option_chooses_the_provider(tmp_path):
    for name in ("environment", "file", "transit"):
        with override_settings(ISTHMUS_KEY_PROVIDER=name):
            assert key_provider().name == name


def test_a_text_sealed_by_one_provider_is_refused_by_another_that_lacks_the_key(tmp_path):
    ours, theirs = FileKeyProvider(tmp_path / "a"), FileKeyProvider(tmp_path / "b")
    ours.add_key()
    theirs.add_key()
    with pytest.raises((UnknownKey, SealBroken)):
        theirs.ring().open_sealed(ours.ring().seal("text", context="c"), context="c")
