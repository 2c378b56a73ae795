"""Entries are added and never changed; whoever changes one all the same is found out."""

import io
import json
import threading
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from django.test import Client, override_settings
from django.urls import reverse

from credentials.models import ExternalCredential, Principal
from isthmus import clock, correlation
from isthmus.access.actions import assign, ensure_permission_set, revoke
from isthmus.audit import actions as audit
from isthmus.audit import triggers
from isthmus.audit.errors import AppendOnly, DetailsRefused, UnknownAction
from isthmus.audit.models import AuditChain, AuditEntry
from isthmus.objects.capture import acting_as
from isthmus.vault.secret import Secret

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries():
    return [audit.record("vault.rotated", target=f"t{number}", details={"n": number}) for number in range(5)]


@pytest.fixture
def without_triggers():
    """What somebody does who owns the database: the triggers away, then at the rows."""
    for statement in triggers.REMOVAL[connection.vendor]:
        sql(statement)


def sql(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def verdict():
    found = audit.check_chain()
    return found.broken_at, found.reason


def test_entries_follow_one_another(entries):
    assert [entry.sequence for entry in entries] == list(range(entries[0].sequence, entries[0].sequence + 5))
    assert all(later.previous_hash == earlier.entry_hash for earlier, later in pairwise(entries))
    assert verdict() == (None, "")
    chain = AuditChain.objects.get()
    assert (chain.head_sequence, chain.verified_sequence) == (entries[-1].sequence, entries[-1].sequence)


def test_an_entry_knows_who_and_in_what_connection():
    ada = User.objects.create_user("ada")
    with acting_as(ada), correlation.bind("order-5"):
        entry = audit.record("vault.rotated")
    assert (entry.actor, entry.actor_id, entry.correlation_id) == ("ada", str(ada.pk), "order-5")
    ada.delete()
    assert AuditEntry.objects.get(pk=entry.pk).actor == "ada"
    assert verdict() == (None, "")


def test_an_entry_is_gone_with_what_it_tells_of():
    with transaction.atomic():
        audit.record("vault.rotated")
        transaction.set_rollback(True)
    assert not AuditEntry.objects.filter(action="vault.rotated").exists()
    assert verdict() == (None, "")


def test_the_model_changes_and_removes_nothing(entries):
    for forbidden in (
        lambda: entries[0].save(),
        lambda: entries[0].delete(),
        lambda: AuditEntry.objects.update(target="x"),
        lambda: AuditEntry.objects.all().delete(),
    ):
        with pytest.raises(AppendOnly):
            forbidden()


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_auditentry SET target = 'x'", "DELETE FROM audit_auditentry WHERE sequence > 0"]
)
def test_the_database_changes_and_removes_nothing(entries, statement):
    for each in triggers.CREATION[connection.vendor]:
        sql(each)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        sql(statement)
    assert AuditEntry.objects.filter(target__startswith="t").count() == 5


@pytest.mark.parametrize(
    ("tamper", "place", "reason"),
    [
        ("UPDATE audit_auditentry SET target = 'x' WHERE sequence = {2}", 2, "changed"),
        ("UPDATE audit_auditentry SET actor = 'eve' WHERE sequence = {0}", 0, "changed"),
        ("UPDATE audit_auditentry SET details = '{{}}' WHERE sequence = {3}", 3, "changed"),
        ("DELETE FROM audit_auditentry WHERE sequence = {2}", 2, "missing"),
        ("DELETE FROM audit_auditentry WHERE sequence = {4}", 4, "cut off"),
    ],
)
def test_tampering_is_found_at_its_place(entries, without_triggers, tamper, place, reason):
    sql(tamper.format(*[entry.sequence for entry in entries]))
    broken_at, told = verdict()
    assert broken_at == entries[place].sequence
    assert reason in told


def test_two_entries_that_changed_places_are_found(entries, without_triggers):
    one, two = entries[1].sequence, entries[2].sequence
    sql(f"UPDATE audit_auditentry SET sequence = -1 WHERE sequence = {one}")
    sql(f"UPDATE audit_auditentry SET sequence = {one} WHERE sequence = {two}")
    sql(f"UPDATE audit_auditentry SET sequence = {two} WHERE sequence = -1")
    assert verdict()[0] == one


def test_a_tail_that_was_cut_with_its_head_set_back_is_found(entries, without_triggers):
    sql(f"DELETE FROM audit_auditentry WHERE sequence = {entries[4].sequence}")
    AuditChain.objects.update(head_sequence=entries[3].sequence, head_hash=entries[3].entry_hash)
    assert verdict() == (entries[3].sequence, "The head of the chain was set by somebody else.")


def test_an_entry_that_was_put_in_is_found(entries, without_triggers):
    forged = AuditEntry(
        sequence=entries[4].sequence + 1,
        action="vault.rotated",
        previous_hash=entries[4].entry_hash,
        entry_hash="0" * 64,
    )
    models.Model.save(forged, force_insert=True)
    assert verdict()[0] == forged.sequence


def test_a_changed_signing_key_still_verifies_what_is_older(entries, settings):
    with override_settings(SECRET_KEY="another" * 10, SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        audit.record("vault.rotated")
        assert verdict() == (None, "")
    with override_settings(SECRET_KEY="a third" * 10, SECRET_KEY_FALLBACKS=[]):
        assert verdict()[0] is not None


def test_old_entries_go_through_a_checkpoint_and_the_rest_still_verifies(entries):
    audit.check_chain()
    first_kept = entries[3].sequence
    removed = audit.shorten(keep_from=first_kept)
    assert removed == AuditEntry.objects.order_by("sequence").first().sequence - 1 == first_kept - 1
    assert verdict() == (None, "")
    checkpoint = AuditEntry.objects.get(action="audit.checkpoint")
    assert checkpoint.details["hash"] == entries[2].entry_hash


def test_what_is_not_verified_is_not_removed(entries):
    AuditChain.objects.update(verified_sequence=0)
    assert audit.shorten(keep_from=entries[4].sequence) == 0


@pytest.mark.parametrize(
    "details",
    [{"a": Secret("canary")}, {"a": [Secret("canary")]}, {"a": {"b": (Secret("canary"),)}}, {"a": object()},
     {"a": float("nan")}, {"a": "x" * 30_000}],
)  # fmt: skip
def test_details_hold_no_secret_and_nothing_that_is_no_json(details):
    with pytest.raises(DetailsRefused) as caught:
        audit.record("vault.rotated", details=details)
    assert "canary" not in str(caught.value)


def test_an_action_that_nobody_knows_is_refused():
    with pytest.raises(UnknownAction):
        audit.record("vault.misspelt")


def test_grants_and_assignments_are_recorded_through_every_door():
    ada = User.objects.create_user("ada")
    desk = ensure_permission_set("Desk", "Desk", [("console", "view", "*")])
    assign(desk, ada)
    revoke(desk, "console", "view", "*")
    ada.permission_set_assignments.all().delete()
    found = AuditEntry.objects.filter(target="Desk").order_by("sequence").values_list("action", "details")
    assert [action for action, _ in found] == [
        "access.granted",
        "access.assigned",
        "access.revoked",
        "access.unassigned",
    ]
    assert found[1][1] == {"user": "ada"}


# --- the command and the screen ---------------------------------------------------------------------------------------
def run(*arguments):
    out = io.StringIO()
    call_command("audit", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_verifies_lists_and_exports(entries):
    count = AuditEntry.objects.count()
    assert run("verify") == f"The audit trail holds: {count} entries.\n"
    assert json.loads(run("verify", "--json")) == {"entries": count, "broken_at": None, "reason": ""}
    assert "t4" in run("list", "--limit", "1")
    lines = [json.loads(line) for line in run("export", "--action", "vault.rotated").splitlines()]
    assert [line["details"] for line in lines[:-1]] == [{"n": number} for number in range(5)]
    assert lines[-1]["head_hash"] == entries[-1].entry_hash


def test_the_command_ends_badly_where_the_chain_is_broken(entries, without_triggers):
    sql(f"UPDATE audit_auditentry SET target = 'x' WHERE sequence = {entries[1].sequence}")
    with pytest.raises(CommandError, match=f"broken at entry {entries[1].sequence}"):
        run("verify")


def test_the_screen_only_shows(entries):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(reverse("admin:audit_auditentry_changelist")).content.decode()
    assert "Encryption keys rotated" in page
    assert client.get(reverse("admin:audit_auditentry_change", args=[entries[0].pk])).status_code == 200
    assert client.get(reverse("admin:audit_auditentry_add")).status_code == 403
    assert (
        client.post(reverse("admin:audit_auditentry_delete", args=[entries[0].pk]), {"post": "yes"}).status_code == 403
    )


@pytest.mark.django_db(transaction=True)
def test_many_writers_make_one_chain():
    trouble = []

    def work(number):
        try:
            for _ in range(10):
                audit.record("vault.rotated", target=f"w{number}")
        except Exception as error:
            trouble.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trouble == []
    assert AuditEntry.objects.filter(target__startswith="w").count() == 80
    assert verdict() == (None, "")
    assert clock.now() >= AuditChain.objects.get().verified_at


def test_deletions_and_key_rotations_are_recorded(tmp_path):
    external = ExternalCredential.objects.create(name="Acme", protocol="no_authentication")
    Principal.objects.create(external_credential=external, name="Main")
    external.delete()
    found = AuditEntry.objects.filter(action="credentials.deleted").values_list("target", flat=True)
    assert sorted(found) == ["Acme", "Acme.Main"]
    with override_settings(ISTHMUS_KEY_PROVIDER="file", ISTHMUS_KEY_FILE=str(tmp_path / "keys")):
        call_command("encryption_key", "new", "--json", stdout=io.StringIO())
        call_command("encryption_key", "rotate", "--json", stdout=io.StringIO())
    assert AuditEntry.objects.filter(action="vault.key_made").count() == 1
    rotated = AuditEntry.objects.get(action="vault.rotated")
    assert (rotated.outcome, rotated.details["broken"]) == ("done", 0)
