"""Every way in which records are written is captured by the database, and tells what it changed."""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Upper
from django.test.utils import isolate_apps

from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus import clock, correlation
from isthmus.objects.capture import WHOLE_OBJECT_ID, acting_as
from isthmus.objects.capture.changes import ChangeType
from isthmus.objects.catalogue import unregister
from isthmus.objects.record_ids import encode
from isthmus.objects.registry import get_object, register
from tests.refusing_trigger import rows_are_refused

pytestmark = pytest.mark.django_db


# Far beyond what the databases' sequences give out, however many tests ran before on this worker.
FAR = 10**9
ACME, ANN = encode("001", FAR + 1), encode("003", FAR + 2)


ACCOUNT = get_object("Account")


@dataclass
class World:
    """Records that are there before something happens to them."""

    acme: Account
    ann: Contact
    bob: Contact
    case: Case


@pytest.fixture
def world(db):
    acme = Account.objects.create(pk=FAR + 1, name="Acme", number_of_employees=5)
    ann = Contact.objects.create(pk=FAR + 2, last_name="Ann", account=acme, email="ann@example.org")
    bob = Contact.objects.create(pk=FAR + 3, last_name="Bob", account=acme)
    case = Case.objects.create(account=acme, contact=ann, subject="Broken")
    # As loaded, not as made.
    return World(*(type(row).objects.get(pk=row.pk) for row in (acme, ann, bob, case)))


def save_changed(world):
    world.ann.email = "new@example.org"
    world.ann.phone = ""
    world.ann.save()


def save_named_fields(world):
    world.ann.email = "new@example.org"
    world.ann.phone = "not written"
    world.ann.save(update_fields=["email"])


def save_nothing_changed(world):
    world.ann.save()


def save_with_expression(world):
    world.acme.number_of_employees = F("number_of_employees") + 1
    world.acme.save()


def save_with_text_values(world):
    Opportunity.objects.create(
        name="Bridge", stage_name="Won", close_date="2026-06-30", amount="12.346", probability=Decimal("10.4")
    )


def save_deleted_flag(world):
    world.bob.is_deleted = True
    world.bob.save()
    world.bob.is_deleted = False
    world.bob.save()


def save_copy(world):
    world.bob.pk = None
    world.bob._state.adding = True
    world.bob.last_name = "Copy"
    world.bob.save()


def save_row_of_known_key(world):
    Contact(pk=world.bob.pk, last_name="Bert", created_date=world.bob.created_date).save()


def change_twice(world):
    world.ann.email = "first@example.org"
    world.ann.save()
    world.ann.email = "ann@example.org"
    world.ann.save()


def get_or_create_both_ways(world):
    Contact.objects.get_or_create(last_name="Ann")
    Contact.objects.get_or_create(last_name="Cem", defaults={"phone": "3"})


def update_or_create_both_ways(world):
    Contact.objects.update_or_create(last_name="Ann", defaults={"phone": "1", "email": "ann@example.org"})
    Contact.objects.update_or_create(last_name="Cem", defaults={"phone": "3"})


def related_manager_create_add_and_clear(world):
    other = Account.objects.create(name="Other")
    world.acme.cases.create(subject="Second")
    other.cases.add(world.case)
    other.cases.clear()


def update_literals(world):
    assert Contact.objects.filter(last_name__in=["Ann", "Bob"]).update(email="ann@example.org", phone="9") == 2


def update_reference_by_instance(world):
    other = Account.objects.create(name="Other")
    Contact.objects.filter(pk=world.ann.pk).update(account=other)
    Contact.objects.filter(pk=world.ann.pk).update(account_id=None)


def update_expressions(world):
    Account.objects.update(
        number_of_employees=F("number_of_employees") * 2, description=Concat(F("name"), Value("!")), phone="1"
    )


def update_through_join(world):
    assert Contact.objects.filter(account__name="Acme", cases__subject="Broken").update(title="Dr") == 1


def update_annotated_and_distinct(world):
    busy = Account.objects.annotate(count=models.Count("contacts")).filter(count=2).distinct()
    assert busy.update(phone="2") == 1


def update_nothing(world):
    assert Contact.objects.filter(last_name="Nobody").update(phone="9") == 0


def update_deleted_flag(world):
    Contact.all_objects.filter(pk=world.bob.pk).update(is_deleted=True)
    Contact.all_objects.filter(pk=world.bob.pk).update(phone="unseen")
    Contact.all_objects.filter(pk=world.bob.pk).update(is_deleted=False)


def bulk_create(world):
    Case.objects.bulk_create([Case(subject="A"), Case(subject=Upper(Value("b")))])


def bulk_create_with_keys(world):
    Case.objects.bulk_create([Case(pk=FAR + 700, subject="A")])


def bulk_update(world):
    world.ann.phone, world.bob.phone, world.bob.email = "1", "2", "bob@example.org"
    assert Contact.objects.bulk_update([world.ann, world.bob], ["phone", "email"]) == 2


def delete_one(world):
    world.case.delete()


def delete_many(world):
    assert Contact.objects.all().delete()[0] == 2


def delete_with_cascade(world):
    assert world.acme.delete() == (3, {"crm.Account": 1, "crm.Contact": 2})


def undelete_what_cascaded(world):
    world.acme.delete()
    assert world.acme.undelete() == 3


def purge_with_cascade(world):
    world.acme.purge()


def purge_many(world):
    Contact.objects.all().purge()


def purge_deleted(world):
    world.case.delete()
    world.case.purge()


GONE = {"AccountId": None}
SUBJECTS = {"Status": "New", "Priority": "Medium"}

# Door → what the sinks are told: object, type, changed fields without the stamps.
DOORS: dict[Any, list[tuple[str, str, dict]]] = {
    save_changed: [("Contact", "UPDATE", {"Email": "new@example.org"})],
    save_named_fields: [("Contact", "UPDATE", {"Email": "new@example.org"})],
    save_nothing_changed: [],
    save_with_expression: [("Account", "UPDATE", {"NumberOfEmployees": 6})],
    save_with_text_values: [
        (
            "Opportunity",
            "CREATE",
            {
                "Name": "Bridge",
                "StageName": "Won",
                "CloseDate": "2026-06-30",
                "Amount": 12.35,
                "Probability": 10.0,
            },
        )
    ],
    save_deleted_flag: [
        ("Contact", "DELETE", {}),
        ("Contact", "UNDELETE", {"LastName": "Bob", "AccountId": "ACME"}),
    ],
    save_copy: [("Contact", "CREATE", {"LastName": "Copy", "AccountId": "ACME"})],
    # The database knows what the row held before, though the instance does not.
    save_row_of_known_key: [("Contact", "UPDATE", {"LastName": "Bert", "AccountId": None})],
    change_twice: [
        ("Contact", "UPDATE", {"Email": "first@example.org"}),
        ("Contact", "UPDATE", {"Email": "ann@example.org"}),
    ],
    get_or_create_both_ways: [("Contact", "CREATE", {"LastName": "Cem", "Phone": "3"})],
    update_or_create_both_ways: [
        ("Contact", "UPDATE", {"Phone": "1"}),
        ("Contact", "CREATE", {"LastName": "Cem", "Phone": "3"}),
    ],
    related_manager_create_add_and_clear: [
        ("Account", "CREATE", {"Name": "Other"}),
        ("Case", "CREATE", {"AccountId": "ACME", "Subject": "Second", "CaseNumber": "NUMBER", **SUBJECTS}),
        ("Case", "UPDATE", {"AccountId": "OTHER"}),
        ("Case", "UPDATE", GONE),
    ],
    update_literals: [
        ("Contact", "UPDATE", {"Phone": "9"}),
        ("Contact", "UPDATE", {"Email": "ann@example.org", "Phone": "9"}),
    ],
    update_reference_by_instance: [
        ("Account", "CREATE", {"Name": "Other"}),
        ("Contact", "UPDATE", {"AccountId": "OTHER"}),
        ("Contact", "UPDATE", GONE),
    ],
    update_expressions: [("Account", "UPDATE", {"NumberOfEmployees": 10, "Description": "Acme!", "Phone": "1"})],
    update_through_join: [("Contact", "UPDATE", {"Title": "Dr"})],
    update_annotated_and_distinct: [("Account", "UPDATE", {"Phone": "2"})],
    update_nothing: [],
    update_deleted_flag: [
        ("Contact", "DELETE", {}),
        ("Contact", "UNDELETE", {"LastName": "Bob", "AccountId": "ACME", "Phone": "unseen"}),
    ],
    bulk_create: [
        ("Case", "CREATE", {"Subject": "A", "CaseNumber": "NUMBER", **SUBJECTS}),
        ("Case", "CREATE", {"Subject": "B", "CaseNumber": "NUMBER", **SUBJECTS}),
    ],
    bulk_create_with_keys: [("Case", "CREATE", {"Subject": "A", "CaseNumber": "NUMBER", **SUBJECTS})],
    bulk_update: [
        ("Contact", "UPDATE", {"Phone": "1"}),
        ("Contact", "UPDATE", {"Phone": "2", "Email": "bob@example.org"}),
    ],
    delete_one: [("Case", "DELETE", {})],
    delete_many: [("Case", "UPDATE", {"ContactId": None}), ("Contact", "DELETE", {}), ("Contact", "DELETE", {})],
    delete_with_cascade: [
        ("Case", "UPDATE", {"ContactId": None}),
        ("Case", "UPDATE", {"AccountId": None}),
        ("Account", "DELETE", {}),
        ("Contact", "DELETE", {}),
        ("Contact", "DELETE", {}),
    ],
    undelete_what_cascaded: [
        ("Case", "UPDATE", {"ContactId": None}),
        ("Case", "UPDATE", {"AccountId": None}),
        ("Account", "DELETE", {}),
        ("Contact", "DELETE", {}),
        ("Contact", "DELETE", {}),
        ("Account", "UNDELETE", {"Name": "Acme", "NumberOfEmployees": 5}),
        ("Contact", "UNDELETE", {"AccountId": "ACME", "LastName": "Ann", "Email": "ann@example.org"}),
        ("Contact", "UNDELETE", {"AccountId": "ACME", "LastName": "Bob"}),
        ("Case", "UPDATE", {"ContactId": "ANN"}),
        ("Case", "UPDATE", {"AccountId": "ACME"}),
    ],
    purge_with_cascade: [
        ("Account", "DELETE", {}),
        ("Case", "UPDATE", {"AccountId": None}),
        ("Case", "UPDATE", {"ContactId": None}),
        ("Contact", "DELETE", {}),
        ("Contact", "DELETE", {}),
    ],
    purge_many: [("Case", "UPDATE", {"ContactId": None}), ("Contact", "DELETE", {}), ("Contact", "DELETE", {})],
    purge_deleted: [("Case", "DELETE", {})],
}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_what_goes_through_a_door_is_told(world, recorder, door):
    recorder.clear()
    door(world)
    told = readable(recorder.told)
    if "purge" in door.__name__:
        # In which order Django's own deletion visits the models is its affair.
        assert sorted(told, key=repr) == sorted(DOORS[door], key=repr)
    else:
        assert told == DOORS[door]


def readable(told):
    names = {ACME: "ACME", ANN: "ANN"}
    other = Account.all_objects.filter(name="Other").first()
    if other:
        names[other.record_id] = "OTHER"
    return [
        (
            name,
            kind,
            {key: "NUMBER" if key == "CaseNumber" else names.get(value, value) for key, value in fields.items()},
        )
        for name, kind, fields in told
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ignore_conflicts": True}, []),
        (
            {"update_conflicts": True, "update_fields": ["subject"], "unique_fields": ["id"]},
            [("Case", "UPDATE", {"Subject": "New"})],
        ),
    ],
)
def test_conflicting_inserts_tell_what_became_of_each_row(world, recorder, options, told):
    recorder.clear()
    Case.objects.bulk_create([Case(pk=world.case.pk, subject="New"), Case(pk=FAR + 701, subject="X")], **options)
    created = ("Case", "CREATE", {"Subject": "X", "CaseNumber": "NUMBER", **SUBJECTS})
    assert sorted(readable(recorder.told), key=repr) == sorted([*told, created], key=repr)


def test_conflicting_inserts_of_unknown_rows_tell_the_one_that_came_in(world, recorder):
    recorder.clear()
    Case.objects.bulk_create([Case(external_reference="A"), Case(external_reference="A")], ignore_conflicts=True)
    [(name, kind, fields)] = recorder.told
    assert (name, kind, fields["External_Reference__c"]) == ("Case", "CREATE", "A")


# --- past the ORM -----------------------------------------------------------------------------------------------------
def execute(statement, parameters=()):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_sql_past_the_orm_is_told(world, recorder):
    recorder.clear()
    execute("UPDATE crm_contact SET phone = 'raw' WHERE id = %s", [world.ann.pk])
    execute("UPDATE crm_contact SET phone = 'raw' WHERE id = %s", [world.ann.pk])
    execute("UPDATE crm_contact SET system_modstamp = system_modstamp")
    execute("DELETE FROM crm_case WHERE id = %s", [world.case.pk])
    assert recorder.told == [("Contact", "UPDATE", {"Phone": "raw"}), ("Case", "DELETE", {})]


def test_sql_past_the_orm_says_who_and_whence(admin, world, recorder):
    recorder.clear()
    with acting_as(admin, origin="100% raw 'quoted'"), correlation.bind("abc"):
        execute("UPDATE crm_contact SET phone = '100%%' WHERE id = %s", [world.ann.pk])
        execute("UPDATE crm_contact SET phone = '100%' WHERE last_name = 'Bob'", None)
    assert [(change.user_id, change.origin, change.correlation_id) for change in recorder.changes] == [
        (encode("005", admin.pk), "100% raw 'quoted'", "abc")
    ] * 2
    assert {change.changed_fields["Phone"] for change in recorder.changes} == {"100%"}


def test_what_is_told_is_what_is_read(recorder):
    """SQLite keeps the half cent that PostgreSQL rounds."""
    Opportunity.objects.create(name="Bridge", stage_name="Won", close_date="2026-06-30", amount="12.345")
    [(_, _, fields)] = recorder.told
    assert fields["Amount"] == float(Opportunity.objects.get().amount)


def test_a_row_that_gets_another_key_went_and_came(world, recorder):
    lead = Lead.objects.create(last_name="A", company="X")
    recorder.clear()
    execute("UPDATE crm_lead SET id = 900 WHERE id = %s", [lead.pk])
    told = sorted((change.record_id, change.change_type) for change in recorder.changes)
    assert told == sorted([(encode("00Q", 900), "CREATE"), (lead.record_id, "DELETE")])


def test_emptying_a_table_tells_that_any_record_may_be_gone(world, recorder):
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has no TRUNCATE: it tells of each row.")
    recorder.clear()
    execute("TRUNCATE crm_lead CASCADE")
    [gap] = [change for change in recorder.changes if change.object_name == "Lead"]
    assert (gap.object_name, gap.change_type, gap.record_id) == ("Lead", ChangeType.GAP_OVERFLOW, WHOLE_OBJECT_ID)


def test_a_value_that_the_field_cannot_hold_makes_the_change_a_gap(world, recorder):
    """SQLite takes any value into any column."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL refuses such a value.")
    recorder.clear()
    execute("UPDATE crm_account SET number_of_employees = 'many' WHERE id = %s", [world.acme.pk])
    [gap] = recorder.changes
    assert (gap.change_type, gap.record_id, gap.changed_fields) == (ChangeType.GAP_UPDATE, ACME, {})


# --- identity of a change --------------------------------------------------------------------------------------------
def test_a_change_carries_who_whence_and_when(admin, recorder):
    with (
        clock.use(clock.MovableClock(datetime(2026, 6, 1, 12, tzinfo=UTC))),
        acting_as(admin, origin="import"),
        correlation.bind("abc"),
    ):
        lead = Lead.objects.create(last_name="A", company="X")
    [change] = recorder.changes
    assert (change.user_id, change.origin, change.correlation_id) == (encode("005", admin.pk), "import", "abc")
    assert change.record_id == lead.record_id
    # The database's clock: the record's own stamps have ours.
    assert abs(change.occurred_at - clock.now()) < timedelta(minutes=1)
    assert (lead.created_by, lead.last_modified_by, lead.owner) == (admin, admin, admin)
    assert change.changed_fields == {
        "LastName": "A",
        "Company": "X",
        "Status": "Open - Not Contacted",
        "IsConverted": False,
        "OwnerId": encode("005", admin.pk),
        "CreatedDate": "2026-06-01T12:00:00.000Z",
        "CreatedById": encode("005", admin.pk),
        "LastModifiedDate": "2026-06-01T12:00:00.000Z",
        "LastModifiedById": encode("005", admin.pk),
    }


def test_nobody_acts_unless_somebody_was_said_to(admin, recorder):
    with acting_as(admin):
        lead = Lead.objects.create(last_name="A", company="X")
    Lead.objects.filter(pk=lead.pk).update(phone="1")
    lead.refresh_from_db()
    assert recorder.changes[-1].user_id is None
    assert (lead.created_by, lead.last_modified_by) == (admin, None)


@contextmanager
def undone():
    """A transaction, or a savepoint in one, that is rolled back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# --- what a record knows of itself -----------------------------------------------------------------------------------
def test_a_save_undoes_no_change_of_another_field(world):
    """Two load the same record and change different fields; neither undoes the other, and both are told."""
    one, two = Contact.objects.get(pk=world.ann.pk), Contact.objects.get(pk=world.ann.pk)
    one.phone, two.title = "1", "Dr"
    one.save()
    two.save()
    world.ann.refresh_from_db()
    assert (world.ann.phone, world.ann.title) == ("1", "Dr")


def test_a_rolled_back_save_counts_for_nothing(world, recorder):
    """What was written and undone is written, and told, again by the next save."""
    world.ann.phone = "1"
    with undone():
        world.ann.save()
    recorder.clear()
    world.ann.email = ""
    world.ann.save()
    assert recorder.told == [("Contact", "UPDATE", {"Phone": "1", "Email": None})]
    world.ann.refresh_from_db()
    assert (world.ann.phone, world.ann.email) == ("1", "")


def test_a_kept_save_in_the_same_transaction_counts(world, recorder):
    with transaction.atomic():
        with transaction.atomic():
            world.ann.phone = "1"
            world.ann.save()
        recorder.clear()
        world.ann.title = "Dr"
        world.ann.save()
    assert recorder.told == [("Contact", "UPDATE", {"Title": "Dr"})]


@pytest.mark.django_db(transaction=True)
def test_a_committed_save_counts(world, recorder):
    world.ann.phone = "1"
    world.ann.save()
    recorder.clear()
    world.ann.title = "Dr"
    world.ann.save()
    assert recorder.told == [("Contact", "UPDATE", {"Title": "Dr"})]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_counts_for_nothing(world, recorder):
    world.ann.phone = "1"
    with undone():
        world.ann.save()
    recorder.clear()
    world.ann.save()
    assert recorder.told == [("Contact", "UPDATE", {"Phone": "1"})]
    assert Contact.objects.get(pk=world.ann.pk).phone == "1"


def test_deferred_fields_are_not_asked_for(world, recorder, count_statements):
    ann = Contact.objects.only("last_name").get(pk=world.ann.pk)
    ann.last_name = "Anne"
    recorder.clear()
    assert count_statements(ann.save) == 1
    assert recorder.told == [("Contact", "UPDATE", {"LastName": "Anne"})]


def test_a_record_that_is_not_exposed_knows_itself_as_well(db):
    """What goes back to its first value is written."""
    account = Account.objects.get(pk=Account.objects.create(name="first").pk)
    unregister(get_object("Account"))
    try:
        for name in ("second", "first"):
            account.name = name
            account.save()
            assert Account.objects.get().name == name
    finally:
        register(ACCOUNT)


@isolate_apps("crm")
def test_a_proxy_is_captured_as_what_it_stands_for(db, recorder):
    class VipLead(Lead):
        class Meta:
            proxy = True
            app_label = "crm"

    lead = VipLead.objects.create(last_name="A", company="X")
    lead.phone = "1"
    lead.save()
    VipLead.objects.filter(pk=lead.pk).update(phone="2")
    lead.purge()
    assert [(name, kind) for name, kind, _ in recorder.told] == [
        ("Lead", "CREATE"),
        ("Lead", "UPDATE"),
        ("Lead", "UPDATE"),
        ("Lead", "DELETE"),
    ]


# --- with the change or not at all -----------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "write",
    [
        lambda world: Lead.objects.create(last_name="A", company="X"),
        lambda world: Lead.objects.bulk_create([Lead(last_name="A", company="X")]),
        lambda world: Contact.objects.update(phone="refused"),
        lambda world: Contact.objects.bulk_update([Contact(pk=world.ann.pk, phone="refused")], ["phone"]),
        lambda world: world.acme.delete(),
        lambda world: world.acme.purge(),
        lambda world: Contact.objects.all().purge(),
        lambda world: execute("UPDATE crm_contact SET phone = 'refused'"),
    ],
    ids=["create", "bulk_create", "update", "bulk_update", "delete", "purge", "purge many", "sql"],
)
def test_a_change_that_cannot_be_noted_does_not_happen(world, write):
    """Outside any transaction of the caller's, the note and the change still share one."""
    with (
        rows_are_refused("objects_rawchange", when="NEW.object_name <> ''"),
        pytest.raises(IntegrityError, match="no room"),
    ):
        write(world)
    assert not Lead.objects.exists()
    assert Contact.objects.filter(phone="").count() == 2
    assert Account.objects.filter(pk=world.acme.pk).exists()


def test_what_is_rolled_back_leaves_no_note(world, recorder):
    recorder.clear()
    with undone():
        world.ann.phone = "1"
        world.ann.save()
        Contact.objects.update(phone="2")
    assert recorder.told == []
    Contact.objects.update(phone="2")
    assert len(recorder.told) == 2


# --- cost ------------------------------------------------------------------------------------------------------------
def test_a_save_costs_no_statement_more(world, count_statements, recorder):
    world.ann.phone = "1"
    assert count_statements(world.ann.save) == 1
    assert count_statements(lambda: Lead.objects.create(last_name="A", company="X")) == 1
    assert len(recorder.changes) == 2


def described(cases):
    found = list(cases)
    for case in found:
        case.description = f"about {case.subject}"
    return found


@pytest.mark.parametrize(
    ("write", "statements"),
    [
        (lambda cases: cases.update(subject="literal"), 1),
        (lambda cases: cases.update(subject=Upper("subject")), 1),
        (lambda cases: Case.objects.bulk_create([Case(subject="x") for _ in cases]), None),
        (lambda cases: Case.objects.bulk_update(described(cases), ["subject", "description"]), None),
        (lambda cases: cases.delete(), None),
        (lambda cases: (cases.delete(), Case.all_objects.deleted().undelete()), None),
    ],
    ids=["update", "update with F", "bulk_create", "bulk_update", "delete", "undelete"],
)
def test_a_bulk_write_costs_the_same_for_one_as_for_many(db, count_statements, recorder, write, statements):
    counted = []
    for size in (1, 500):
        Case.all_objects.all().purge()
        Case.objects.bulk_create(Case(subject=f"c{n}") for n in range(size))
        recorder.clear()
        counted.append(count_statements(lambda: write(Case.objects.all())))
        assert len(recorder.changes) in (size, 2 * size)
    assert counted[0] == counted[1]
    if statements is not None:
        assert counted == [statements, statements]


def test_orders_of_dates(db, recorder):
    order = Order.objects.create(effective_date=date(2026, 1, 2))
    Order.objects.filter(pk=order.pk).update(effective_date="2026-01-03")
    assert recorder.told[-1] == ("Order", "UPDATE", {"EffectiveDate": "2026-01-03"})
