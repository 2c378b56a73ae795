"""An encrypted column holds sealed texts, and each opens in its own row only. (On the columns of `credentials`.)"""

import io
import pickle

import pytest
from django.core import checks, serializers
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection, models, transaction
from django.forms.models import model_to_dict, modelform_factory
from django.test.utils import isolate_apps

from credentials.models import ExternalCredential, Principal, PrincipalSecret, StoredToken
from isthmus import ids
from isthmus.vault.errors import SealBroken, SecretRefused
from isthmus.vault.fields import EncryptedTextField
from isthmus.vault.keys_in_use import open_sealed
from isthmus.vault.registry import encrypted_columns
from isthmus.vault.secret import MASK, Sealed, Secret

pytestmark = pytest.mark.django_db

CANARY = "canary-9f2c"


@pytest.fixture
def principal():
    external = ExternalCredential.objects.create(name="Acme", protocol="basic")
    return Principal.objects.create(external_credential=external, name="Main")


@pytest.fixture
def row(principal):
    return PrincipalSecret.objects.create(principal=principal, name="password", value=CANARY)


def column(row):
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM credentials_principalsecret WHERE name = %s", [row.name])
        return cursor.fetchone()[0]


def context(row):
    return f"credentials.principalsecret.value:{row.pk}"


def test_the_column_holds_a_text_sealed_for_the_row(row):
    assert CANARY not in column(row)
    assert open_sealed(column(row), context=context(row)) == CANARY


def test_reading_gives_a_secret(row):
    read = PrincipalSecret.objects.get(pk=row.pk)
    assert isinstance(read.value, Secret)
    assert str(read.value) == repr(read.value) == MASK
    assert read.value.reveal() == CANARY


def test_saving_without_a_change_keeps_the_sealed_text(row):
    before = column(row)
    read = PrincipalSecret.objects.get(pk=row.pk)
    read.save()
    row.save()
    read.refresh_from_db()
    read.save()
    assert column(row) == before


def test_a_saved_instance_keeps_no_plaintext(row):
    assert CANARY not in repr(vars(row))
    assert all(not isinstance(value, Secret) for value in vars(row).values())
    assert pickle.loads(pickle.dumps(row)).value.reveal() == CANARY


def test_assigning_replaces(row):
    row.value = "another"
    row.save(update_fields=["value"])
    assert PrincipalSecret.objects.get(pk=row.pk).value.reveal() == "another"


def test_an_identity_given_as_text_is_the_same_place(principal):
    identity = ids.new_uuid()
    PrincipalSecret.objects.create(id=str(identity).upper(), principal=principal, name="a", value=CANARY)
    assert PrincipalSecret.objects.get(pk=identity).value.reveal() == CANARY


def test_a_sealed_text_moved_to_another_row_does_not_open(row, principal):
    other = PrincipalSecret.objects.create(principal=principal, name="other", value="x")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credentials_principalsecret SET value = %s WHERE name = 'other'", [column(row)])
    other.refresh_from_db()
    assert str(other.value) == MASK
    with pytest.raises(SealBroken):
        other.value.reveal()


def test_a_secret_assigned_from_another_row_is_sealed_anew(row, principal):
    other = PrincipalSecret(principal=principal, name="other")
    other.value = PrincipalSecret.objects.get(pk=row.pk).value
    other.save()
    assert PrincipalSecret.objects.get(pk=other.pk).value.reveal() == CANARY


def test_a_row_copied_under_a_new_identity_is_refused(row):
    copied = PrincipalSecret.objects.get(pk=row.pk)
    copied.pk, copied.name, copied._state.adding = ids.new_uuid(), "copy", True
    with pytest.raises(SealBroken), transaction.atomic():
        copied.save()
    assert PrincipalSecret.objects.count() == 1


def test_values_hold_no_plaintext_and_no_usable_text(row):
    (value,) = PrincipalSecret.objects.values_list("value", flat=True)
    assert str(value) == repr(value) == MASK
    assert str(PrincipalSecret.objects.values("value")[0]) == f"{{'value': {MASK}}}"


def test_bulk_create_and_bulk_update(principal):
    rows = [PrincipalSecret(principal=principal, name=f"n{i}", value=f"{CANARY}{i}") for i in range(3)]
    PrincipalSecret.objects.bulk_create(rows)
    read = list(PrincipalSecret.objects.order_by("name"))
    assert [each.value.reveal() for each in read] == [f"{CANARY}{i}" for i in range(3)]
    for each in read:
        each.value = each.value.reveal() + "!"
    PrincipalSecret.objects.bulk_update(read, ["value"])
    assert [e.value.reveal() for e in PrincipalSecret.objects.order_by("name")] == [f"{CANARY}{i}!" for i in range(3)]


def test_deferred_values_are_read_when_needed(row):
    assert PrincipalSecret.objects.defer("value").get(pk=row.pk).value.reveal() == CANARY


def test_null_is_none(principal):
    token = StoredToken.objects.create(principal=principal)
    assert token.access_token is None
    assert StoredToken.objects.get(pk=token.pk).access_token is None
    token.access_token = CANARY
    token.save()
    assert StoredToken.objects.filter(access_token__isnull=False).get().access_token.reveal() == CANARY


def test_there_is_no_writing_or_searching_past_the_row(row):
    before = column(row)
    with pytest.raises(SecretRefused), transaction.atomic():
        PrincipalSecret.objects.update(value="x")
    with pytest.raises(SecretRefused):
        PrincipalSecret.objects.filter(value=CANARY).exists()
    for lookup in ("contains", "startswith", "regex", "in", "gt"):
        with pytest.raises(FieldError):
            PrincipalSecret.objects.filter(**{f"value__{lookup}": CANARY}).exists()
    assert column(row) == before


def test_only_texts_and_secrets_are_taken(row):
    for wrong in (1, b"x", ["x"], object()):
        with pytest.raises(TypeError):
            row.value = wrong
    with pytest.raises(SecretRefused, match="mask"):
        row.value = MASK
    assert row.value.reveal() == CANARY


def test_a_dump_holds_the_sealed_text_and_can_be_loaded_again(row, principal):
    for form in ("json", "xml", "jsonl"):
        dumped = serializers.serialize(form, PrincipalSecret.objects.all())
        assert CANARY not in dumped
        assert column(row) in dumped
        PrincipalSecret.objects.all().delete()
        for loaded in serializers.deserialize(form, dumped):
            loaded.save()
        assert PrincipalSecret.objects.get().value.reveal() == CANARY


def test_dumpdata_holds_no_secret(row):
    out = io.StringIO()
    call_command("dumpdata", "credentials", stdout=out)
    assert "Acme" in out.getvalue()
    assert CANARY not in out.getvalue()


def test_a_plaintext_fixture_is_sealed_when_it_is_loaded(row, principal):
    dumped = serializers.serialize("json", [row]).replace(column(row), "from-a-fixture")
    for loaded in serializers.deserialize("json", dumped):
        loaded.save()
    assert column(row).startswith("v1.")
    assert PrincipalSecret.objects.get().value.reveal() == "from-a-fixture"


def test_model_forms_leave_it_out(row):
    assert "value" not in modelform_factory(PrincipalSecret, fields="__all__").base_fields
    assert CANARY not in str(model_to_dict(row))


def test_full_clean_changes_nothing(row):
    row.full_clean()
    assert row.value.reveal() == CANARY


def test_a_text_that_looks_sealed_is_a_text_like_others(row):
    row.value = column(row)
    row.full_clean()
    row.save()
    assert PrincipalSecret.objects.get().value.reveal().startswith("v1.")
    assert column(row) != PrincipalSecret.objects.get().value.reveal()


def test_the_registry_knows_every_column():
    labels = [found.label for found in encrypted_columns()]
    assert {"credentials.principalsecret.value", "credentials.storedtoken.access_token"} <= set(labels)
    assert labels == sorted(labels)


@isolate_apps()
def test_the_model_is_checked():
    class Bad(models.Model):  # noqa: DJ008 - never shown
        value = EncryptedTextField(unique=True)

        class Meta:
            app_label = "sample"

    class Good(models.Model):  # noqa: DJ008 - never shown
        id = models.UUIDField(primary_key=True, default=ids.new_uuid)
        value = EncryptedTextField()

        class Meta:
            app_label = "sample"

    errors = [error.id for error in Bad._meta.get_field("value").check() if isinstance(error, checks.Error)]
    assert errors[-2:] == ["vault.E002", "vault.E003"]
    assert Good._meta.get_field("value").check() == []


def test_sealed_objects_can_be_compared_in_a_filter(row):
    """What rotation does: replace only what was read."""
    assert PrincipalSecret.objects.filter(value=Sealed(column(row))).count() == 1
