"""Record sharing: every cell of who × how it is shared × what is done."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import Group, User
from django.db import models

from crm.models import Account, Case, Contact
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.access.explaining import explain
from isthmus.objects import catalogue, sharing
from isthmus.objects.actions import Operation, save
from isthmus.objects.models import ObjectSharing, SharingRule
from isthmus.objects.registry import Sharing, SharingDefault, register_temporarily

pytestmark = pytest.mark.django_db

ALL_OF_CASES = [("object", action, "Case") for action in ("create", "read", "edit", "delete")] + [
    ("field", "edit", "Case.*")
]


@pytest.fixture
def people(db):
    """Owner, colleague (may read by a rule), partner (may edit by a rule), stranger, auditor (view all), boss (modify
    all), root."""
    names = ("owner", "colleague", "partner", "stranger", "auditor", "boss")
    found = {name: User.objects.create_user(name) for name in names}
    desk = ensure_permission_set("Desk", "Desk", ALL_OF_CASES)
    for user in found.values():
        assign(desk, user)
    assign(ensure_permission_set("Audit", "Audit", [("object", "view_all", "Case")]), found["auditor"])
    assign(ensure_permission_set("Boss", "Boss", [("object", "modify_all", "Case")]), found["boss"])
    found["root"] = User.objects.create_superuser("root")
    owners, readers, editors = (Group.objects.create(name=name) for name in ("Owners", "Readers", "Editors"))
    found["owner"].groups.add(owners)
    found["colleague"].groups.add(readers)
    found["partner"].groups.add(editors)
    SharingRule.objects.create(object_name="Case", owned_by=owners, shared_with=readers)
    SharingRule.objects.create(object_name="Case", owned_by=owners, shared_with=editors, may_edit=True)
    return found


@pytest.fixture
def case(people):
    return Case.objects.create(subject="before", owner=people["owner"], external_reference="R-1")


# Default → who → (reads, edits).
MATRIX = {
    "public": dict.fromkeys(("owner", "colleague", "partner", "stranger", "auditor", "boss", "root"), (True, True)),
    "read_only": {
        "owner": (True, True),
        "colleague": (True, False),
        "partner": (True, True),
        "stranger": (True, False),
        "auditor": (True, False),
        "boss": (True, True),
        "root": (True, True),
    },
    "private": {
        "owner": (True, True),
        "colleague": (True, False),
        "partner": (True, True),
        "stranger": (False, False),
        "auditor": (True, False),
        "boss": (True, True),
        "root": (True, True),
    },
}
CELLS = [(default, who, *cell) for default, row in MATRIX.items() for who, cell in row.items()]


def write(user, case, how):
    row = {"Id": case.record_id, "Subject": "after"}
    if how == "update":
        return save(user, "Case", Operation.UPDATE, [row])[0]
    if how == "delete":
        return save(user, "Case", Operation.DELETE, [{"Id": case.record_id}])[0]
    given = {"External_Reference__c": "R-1", "Subject": "after"}
    return save(user, "Case", Operation.UPSERT, [given], external_id_field="External_Reference__c")[0]


@pytest.mark.parametrize(("default", "who", "reads", "edits"), CELLS)
def test_who_reads_what(people, case, default, who, reads, edits):
    ObjectSharing.objects.create(object_name="Case", default=default)
    with sharing.enforced(people[who]):
        assert Case.objects.filter(pk=case.pk).exists() == reads
        assert Case.objects.count() == int(reads)
        with sharing.without_sharing():
            assert Case.objects.count() == 1
    assert Case.objects.count() == 1
    assert explain(people[who], "object", "read", f"Case/{case.record_id}").may == reads
    assert explain(people[who], "object", "edit", f"Case/{case.record_id}").may == edits


@pytest.mark.parametrize("how", ["update", "upsert", "delete"])
@pytest.mark.parametrize(("default", "who", "reads", "edits"), CELLS)
def test_who_changes_what(people, case, default, who, reads, edits, how):
    ObjectSharing.objects.create(object_name="Case", default=default)
    result = write(people[who], case, how)
    assert result.success == edits
    if not edits:
        (error,) = result.errors
        wanted = "INSUFFICIENT_ACCESS_OR_READONLY" if reads else "INVALID_CROSS_REFERENCE_KEY"
        assert error.code == wanted
    case.refresh_from_db()
    assert (case.subject == "after" or case.is_deleted) == edits


@pytest.mark.parametrize(
    ("who", "action", "rule"),
    [
        ("owner", "read", "The user owns the record."),
        ("colleague", "read", "A sharing rule lets the group Readers in."),
        ("colleague", "edit", "Case is private, and neither ownership nor a rule shares the record."),
        ("partner", "edit", "A sharing rule lets the group Editors in."),
        ("auditor", "read", "The user may see or change all records of Case."),
        ("root", "edit", "root is a superuser, and so has everything."),
    ],
)
def test_the_rule_that_decided_is_named(people, case, who, action, rule):
    ObjectSharing.objects.create(object_name="Case", default="private")
    found = explain(people[who], "object", action, f"Case/{case.record_id}")
    assert found.rule in (rule, "The user may see or change all records of Case.")
    assert found.rule == rule or who == "root"


def test_a_reference_leads_only_to_what_is_shared(people):
    ObjectSharing.objects.create(object_name="Account", default="private")
    assign(ensure_permission_set("Accounts", "Accounts", [("object", "read", "Account")]), people["stranger"])
    account = Account.objects.create(name="Secret", owner=people["owner"], external_reference="A-1")
    by_id = save(people["stranger"], "Case", Operation.CREATE, [{"Subject": "x", "AccountId": account.record_id}])[0]
    by_reference = {"Subject": "x", "Account": {"External_Reference__c": "A-1"}}
    by_name = save(people["stranger"], "Case", Operation.CREATE, [by_reference])[0]
    assert [result.errors[0].code for result in (by_id, by_name)] == ["INVALID_CROSS_REFERENCE_KEY", "INVALID_FIELD"]
    assert save(people["root"], "Case", Operation.CREATE, [by_reference])[0].success


def test_a_rule_in_the_code_is_a_condition_of_the_query(people):
    def west(user, action):
        return models.Q(last_name__startswith="W") if action == "read" else models.Q(pk__in=[])

    declared = catalogue.get_object("Contact")
    ruled = replace(declared, sharing=Sharing(default=SharingDefault.PRIVATE, owner="owner", rule=west))
    for name in ("West", "East"):
        Contact.objects.create(last_name=name)
    catalogue.unregister(declared)
    try:
        with register_temporarily(ruled):
            with sharing.enforced(people["stranger"]):
                assert list(Contact.objects.values_list("last_name", flat=True)) == ["West"]
            assert not sharing.visible(people["stranger"], ruled, Contact.objects.all(), "edit").exists()
            found = sharing.explain_record(people["stranger"], ruled, Contact.objects.get(last_name="West").pk, "read")
            assert found[0]
            assert found[1].endswith("west shares it.")
    finally:
        catalogue.register(declared)


def test_nobody_sees_what_is_private(case):
    ObjectSharing.objects.create(object_name="Case", default="private")
    object_type = catalogue.get_object("Case")
    for user in (None, User(username="inactive", is_active=False)):
        assert not sharing.visible(user, object_type, Case.objects.all()).exists()
