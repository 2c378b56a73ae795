"""Rotation seals everything with the first key, may be stopped and repeated, and tells what does not open."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from credentials.models import ExternalCredential, Principal, PrincipalSecret, StoredToken
from isthmus.keys import new_encryption_key
from isthmus.vault import actions
from isthmus.vault.errors import UnknownKey
from isthmus.vault.registry import encrypted_columns
from isthmus.vault.secret import Sealed

pytestmark = pytest.mark.django_db

OLD, NEW = new_encryption_key(), new_encryption_key()
OLD_ID, NEW_ID = OLD.partition(":")[0], NEW.partition(":")[0]
both = override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{NEW},{OLD}")
only_new = override_settings(ISTHMUS_ENCRYPTION_KEYS=NEW)


def rotate(*arguments, what="rotate"):
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("encryption_key", what, *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), None


@pytest.fixture
def rows():
    """Seven secrets and a token under the old key."""
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=OLD):
        external = ExternalCredential.objects.create(name="Acme", protocol="basic")
        principal = Principal.objects.create(external_credential=external, name="Main")
        StoredToken.objects.create(principal=principal, access_token="token")
        return [PrincipalSecret.objects.create(principal=principal, name=f"n{i}", value=f"s{i}") for i in range(7)]


def test_everything_is_sealed_with_the_first_key(rows):
    with both:
        out, _, error = rotate("--batch-size", "2")
    assert error is None
    assert f"credentials.principalsecret.value: 7 sealed again; opened: 7 under {NEW_ID}; broken: 0" in out
    assert f"Keys in use: {NEW_ID}. Primary key: {NEW_ID}." in out
    with only_new:
        assert [row.value.reveal() for row in PrincipalSecret.objects.order_by("name")] == [f"s{i}" for i in range(7)]
        assert StoredToken.objects.get().access_token.reveal() == "token"


def test_a_second_run_has_nothing_to_do(rows):
    with both:
        rotate()
        before = list(PrincipalSecret.objects.order_by("pk").values_list("value", flat=True))
        out, _, error = rotate()
        after = list(PrincipalSecret.objects.order_by("pk").values_list("value", flat=True))
    assert error is None
    assert "credentials.principalsecret.value: 0 sealed again" in out
    assert [sealed.text for sealed in before] == [sealed.text for sealed in after]


def test_verifying_changes_nothing_and_names_the_keys_in_use(rows):
    with both:
        rows[0].value = "changed"
        rows[0].save()
        out, _, error = rotate(what="verify")
    assert error is None
    assert (
        f"0 sealed again; opened: {', '.join(sorted([f'6 under {OLD_ID}', f'1 under {NEW_ID}'], key=lambda t: t[8:]))}"
        in out
    )
    assert f"Keys in use: {', '.join(sorted([OLD_ID, NEW_ID]))}." in out


def test_a_retired_key_too_early_is_told_and_nothing_is_lost(rows):
    with only_new:
        _, err, error = rotate()
        with pytest.raises(UnknownKey):
            PrincipalSecret.objects.get(pk=rows[0].pk).value.reveal()
    assert error.startswith("8 secrets do not open.")
    assert f"does not open: credentials.principalsecret.value of {rows[0].pk}" in err
    with both:
        assert rotate()[2] is None


def test_a_broken_row_is_reported_and_does_not_hold_the_others_up(rows):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credentials_principalsecret SET value = 'v1.broken' WHERE name = 'n3'")
    with both:
        out, err, error = rotate("--batch-size", "1")
        column = Sealed("v1.broken")
        assert PrincipalSecret.objects.filter(value=column).count() == 1
    assert "6 sealed again" in out
    assert error.startswith("1 secrets do not open.")
    assert str(rows[3].pk) in err
    assert "s3" not in out + err + error


def test_a_secret_changed_meanwhile_stays_changed(rows):
    """The rotation has read a row; before it writes, somebody sets another secret."""
    (column,) = [found for found in encrypted_columns() if found.label == "credentials.principalsecret.value"]
    with both:
        read = PrincipalSecret.objects.filter(pk=rows[0].pk).values_list("value", flat=True)[0]
        rows[0].value = "changed"
        rows[0].save()
        assert actions.replace_sealed(column, [(rows[0].pk, read, Sealed("v1.other.text"))]) == 0
        assert PrincipalSecret.objects.get(pk=rows[0].pk).value.reveal() == "changed"


def test_malformed_keys_stop_the_command():
    with override_settings(ISTHMUS_ENCRYPTION_KEYS="nonsense"):
        assert "Entry 1" in rotate()[2]


def test_a_batch_holds_at_least_one_row():
    assert "at least 1" in rotate("--batch-size", "0")[2]
