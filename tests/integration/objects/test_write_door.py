"""The write door: one call writes many rows, and tells for each what became of it."""

from datetime import date
from decimal import Decimal

import pytest

from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus.access.errors import PermissionRefused
from isthmus.objects.actions import Operation, SaveError, SaveResult, save, upsert_by_reference
from isthmus.objects.errors import NoExternalId, UnknownObject
from isthmus.objects.record_ids import encode
from tests.refusing_trigger import rows_are_refused

pytestmark = pytest.mark.django_db

ABSENT_ACCOUNT = encode("001", 999_999)


def codes(results):
    return [[error.code for error in result.errors] for result in results]


def test_rows_are_created_with_their_types_converted(admin):
    [result] = save(
        admin,
        "opportunity",
        Operation.CREATE,
        [
            {
                "attributes": {"type": "Opportunity"},
                "name": "Bridge",
                "StageName": "Prospecting",
                "CloseDate": "2026-06-30T00:00:00.000+0000",
                "Amount": "1234.565",
                "Probability": 10.4,
                "NextStep": "",
                "Description": None,
            }
        ],
    )
    made = Opportunity.objects.get()
    assert result == SaveResult(id=made.record_id, created=True, success=True, errors=())
    assert (made.name, made.close_date, made.amount, made.probability) == (
        "Bridge",
        date(2026, 6, 30),
        Decimal("1234.57"),
        Decimal(10),
    )
    assert (made.next_step, made.description) == ("", "")
    assert made.created_by == made.last_modified_by == made.owner == admin


@pytest.mark.parametrize(
    ("sobject", "row", "error"),
    [
        (
            "Contact",
            {"FirstName": "A"},
            SaveError("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ("LastName",)),
        ),
        (
            "Opportunity",
            {"Name": "", "StageName": None},
            SaveError(
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [Name, StageName, CloseDate]",
                ("Name", "StageName", "CloseDate"),
            ),
        ),
        (
            "Account",
            {"Name": "A", "Colour": "red"},
            SaveError("INVALID_FIELD", "No such column 'Colour' on sobject of type Account", ("Colour",)),
        ),
        (
            "Account",
            {"Name": "A", "NumberOfEmployees": "many"},
            SaveError(
                "INVALID_TYPE_ON_FIELD_IN_RECORD",
                "Employees: value not of required type: many",
                ("NumberOfEmployees",),
            ),
        ),
        (
            "Account",
            {"Name": "A", "NumberOfEmployees": 2**31},
            SaveError(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Employees: value outside of valid range: 2147483648",
                ("NumberOfEmployees",),
            ),
        ),
        (
            "Opportunity",
            {"Name": "A", "StageName": "B", "CloseDate": "2026-01-01", "Amount": "1e16"},
            SaveError("NUMBER_OUTSIDE_VALID_RANGE", "Amount: value outside of valid range: 1e16", ("Amount",)),
        ),
        (
            "Opportunity",
            {"Name": "A", "StageName": "B", "CloseDate": "30.06.2026"},
            SaveError(
                "INVALID_TYPE_ON_FIELD_IN_RECORD", "Close Date: value not of required type: 30.06.2026", ("CloseDate",)
            ),
        ),
        (
            "Contact",
            {"LastName": "x" * 81},
            SaveError("STRING_TOO_LONG", f"Last Name: data value too large: {'x' * 80} (max length=80)", ("LastName",)),
        ),
        (
            "Contact",
            {"LastName": "A", "Email": "nobody"},
            SaveError("INVALID_EMAIL_ADDRESS", "Email: invalid email address: nobody", ("Email",)),
        ),
        (
            "Contact",
            {"LastName": "A\x00"},
            SaveError("INVALID_TYPE_ON_FIELD_IN_RECORD", "Last Name: value not of required type: A␀", ("LastName",)),
        ),
        (
            "Contact",
            {"LastName": "A\ud800"},
            SaveError("INVALID_TYPE_ON_FIELD_IN_RECORD", "Last Name: value not of required type: A?", ("LastName",)),
        ),
        (
            "Contact",
            {"LastName": ["A"]},
            SaveError("INVALID_TYPE_ON_FIELD_IN_RECORD", "Last Name: value not of required type: ['A']", ("LastName",)),
        ),
        (
            "Contact",
            {"LastName": "A", "AccountId": "rubbish"},
            SaveError("MALFORMED_ID", "Account: id value of incorrect type: rubbish", ("AccountId",)),
        ),
        (
            "Contact",
            {"LastName": "A", "AccountId": encode("003", 1)},
            SaveError("MALFORMED_ID", f"Account: id value of incorrect type: {encode('003', 1)}", ("AccountId",)),
        ),
        (
            "Contact",
            {"LastName": "A", "AccountId": ABSENT_ACCOUNT},
            SaveError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ("AccountId",)),
        ),
        (
            "Contact",
            {"LastName": "A", "Account": {"External_Reference__c": "nowhere"}},
            SaveError(
                "INVALID_FIELD",
                "Foreign key external ID: nowhere not found for field External_Reference__c in entity Account",
                ("AccountId",),
            ),
        ),
        (
            "Contact",
            {"LastName": "A", "Account": {"Name": "Acme"}},
            SaveError("INVALID_FIELD", "Name is not an external id of Account", ("Account",)),
        ),
    ],
)
def test_a_row_that_cannot_be_written_says_why(admin, sobject, row, error):
    [result] = save(admin, sobject, Operation.CREATE, [row])
    assert result == SaveResult(id=None, created=False, success=False, errors=(error,))
    assert not Account.objects.exists()
    assert not Contact.objects.exists()
    assert not Opportunity.objects.exists()


@pytest.mark.parametrize(
    "name", ["Id", "CreatedDate", "CreatedById", "IsDeleted", "SystemModstamp", "CaseNumber", "IsClosed"]
)
def test_what_only_the_platform_sets_cannot_be_written(admin, name):
    [result] = save(admin, "Case", Operation.CREATE, [{"Subject": "x", name: None}])
    assert [(error.code, error.fields) for error in result.errors] == [("INVALID_FIELD_FOR_INSERT_UPDATE", (name,))]
    assert not Case.objects.exists()


def test_null_means_the_default_where_there_is_one(admin):
    [result] = save(admin, "Case", Operation.CREATE, [{"Status": None, "Priority": "", "EXTERNAL_REFERENCE__C": ""}])
    made = Case.objects.get()
    assert result.success
    assert (made.status, made.priority, made.external_reference) == ("New", "Medium", None)
    [result] = save(admin, "Case", Operation.UPDATE, [{"Id": made.record_id, "Status": "Closed", "Priority": None}])
    made.refresh_from_db()
    assert result.success
    assert (made.status, made.priority, made.is_closed) == ("Closed", "Medium", True)


def test_null_in_a_required_field_is_refused_on_update(admin):
    made = Contact.objects.create(last_name="A")
    results = save(admin, "Contact", Operation.UPDATE, [{"Id": made.record_id, "LastName": None}])
    assert codes(results) == [["REQUIRED_FIELD_MISSING"]]
    assert Contact.objects.get().last_name == "A"


def test_a_reference_to_a_deleted_record_is_refused(admin):
    gone = Account.objects.create(name="Gone")
    gone.delete()
    results = save(admin, "Contact", Operation.CREATE, [{"LastName": "A", "AccountId": gone.record_id}])
    assert codes(results) == [["ENTITY_IS_DELETED"]]


def test_a_reference_may_be_given_by_external_id(admin):
    acme = Account.objects.create(name="Acme", external_reference="ACME-1")
    other = Account.objects.create(name="Other")
    results = save(
        admin,
        "Contact",
        Operation.CREATE,
        [
            {"LastName": "A", "Account": {"attributes": {"type": "Account"}, "external_reference__c": "acme-1"}},
            {"LastName": "B", "Account": {"Id": other.record_id}},
            {"LastName": "C", "Account": None},
        ],
    )
    assert codes(results) == [[], [], []]
    assert [row.account for row in Contact.objects.order_by("pk")] == [acme, other, None]


def test_one_bad_row_spoils_no_other(admin, recorder):
    results = save(
        admin,
        "Lead",
        Operation.CREATE,
        [{"LastName": "A", "Company": "X"}, {"LastName": "B"}, {"LastName": "C", "Company": "Y"}],
    )
    assert codes(results) == [[], ["REQUIRED_FIELD_MISSING"], []]
    assert list(Lead.objects.order_by("pk").values_list("last_name", flat=True)) == ["A", "C"]
    assert len(recorder.changes) == 2


def test_all_or_none_leaves_nothing_when_one_row_is_bad(admin, recorder):
    rows = [{"LastName": "A", "Company": "X"}, {"LastName": "B"}]
    results = save(admin, "Lead", Operation.CREATE, rows, all_or_none=True)
    assert codes(results) == [["ALL_OR_NONE_OPERATION_ROLLED_BACK"], ["REQUIRED_FIELD_MISSING"]]
    assert [result.id for result in results] == [None, None]
    assert not Lead.all_objects.exists()


def test_all_or_none_writes_everything_when_all_rows_are_good(admin):
    rows = [{"LastName": "A", "Company": "X"}, {"LastName": "B", "Company": "X"}]
    assert codes(save(admin, "Lead", Operation.CREATE, rows, all_or_none=True)) == [[], []]
    assert Lead.objects.count() == 2


def test_a_value_that_must_be_unique_is_refused_with_the_record_that_has_it(admin):
    holder = Case.objects.create(external_reference="R-1")
    results = save(
        admin,
        "Case",
        Operation.CREATE,
        [{"External_Reference__c": "r-1"}, {"External_Reference__c": "R-2"}, {"External_Reference__c": "r-2"}],
    )
    assert codes(results) == [["DUPLICATE_VALUE"], [], ["DUPLICATE_VALUE"]]
    assert results[0].errors[0].message == (
        f"duplicate value found: External_Reference__c duplicates value on record with id: {holder.record_id}"
    )
    assert Case.objects.count() == 2


def test_a_value_of_a_deleted_record_is_free_again(admin):
    Case.objects.create(external_reference="R-1").delete()
    assert codes(save(admin, "Case", Operation.CREATE, [{"External_Reference__c": "R-1"}])) == [[]]


def test_what_only_the_database_refuses_is_found_row_by_row(admin, recorder):
    """What no check foresees fails the statement; the other rows are written all the same."""
    with rows_are_refused("crm_lead", when="NEW.last_name IN ('L3', 'L6')"):
        created = save(admin, "Lead", Operation.CREATE, lead_rows(8))
        refused = [["FIELD_INTEGRITY_EXCEPTION"] if n in (3, 6) else [] for n in range(8)]
        assert codes(created) == refused
        rows = [{"Id": row.id, "LastName": f"L{n + 1}"} for n, row in enumerate(created) if row.success]
        assert codes(save(admin, "Lead", Operation.UPDATE, rows)) == [
            [],
            [],
            ["FIELD_INTEGRITY_EXCEPTION"],
            [],
            ["FIELD_INTEGRITY_EXCEPTION"],
            [],
        ]
    assert sorted(Lead.objects.values_list("last_name", flat=True)) == ["L1", "L2", "L2", "L5", "L5", "L8"]


def test_a_value_that_another_row_is_about_to_free_is_still_taken(admin):
    first, second = (Case.objects.create(external_reference=reference) for reference in ("R-1", "R-2"))
    rows = [
        {"Id": first.record_id, "External_Reference__c": "R-3"},
        {"Id": second.record_id, "External_Reference__c": "R-1"},
    ]
    assert codes(save(admin, "Case", Operation.UPDATE, rows)) == [[], ["DUPLICATE_VALUE"]]
    assert sorted(Case.objects.values_list("external_reference", flat=True)) == ["R-2", "R-3"]


def test_rows_are_updated_and_only_what_changed_is_told(admin, recorder):
    first = Contact.objects.create(last_name="A", email="a@example.org")
    second = Contact.objects.create(last_name="B", phone="1")
    recorder.clear()
    results = save(
        admin,
        "Contact",
        Operation.UPDATE,
        [
            {"Id": first.record_id[:15], "LastName": "A", "Email": ""},
            {"id": second.record_id, "Phone": "2", "Birthdate": "1990-05-06"},
        ],
    )
    assert results == [
        SaveResult(id=first.record_id, created=False, success=True),
        SaveResult(id=second.record_id, created=False, success=True),
    ]
    assert recorder.told == [
        ("Contact", "UPDATE", {"Email": None}),
        ("Contact", "UPDATE", {"Phone": "2", "Birthdate": "1990-05-06"}),
    ]
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.last_name, first.email, first.birthdate) == ("A", "", None)
    assert (second.last_name, second.phone, second.birthdate) == ("B", "2", date(1990, 5, 6))
    assert first.last_modified_by == admin


def test_rows_that_name_no_record_are_refused(admin):
    gone = Contact.objects.create(last_name="Gone")
    gone.delete()
    kept = Contact.objects.create(last_name="Kept")
    rows = [
        {"LastName": "X"},
        {"Id": "rubbish", "LastName": "X"},
        {"Id": ABSENT_ACCOUNT, "LastName": "X"},
        {"Id": encode("003", 999_999), "LastName": "X"},
        {"Id": "0035g00000AbCdEAAV"[:15], "LastName": "X"},
        {"Id": gone.record_id, "LastName": "X"},
        {"Id": kept.record_id, "LastName": "Y"},
        {"Id": kept.record_id, "LastName": "Z"},
    ]
    expected = [
        ["MISSING_ARGUMENT"],
        ["MALFORMED_ID"],
        ["MALFORMED_ID"],
        ["INVALID_CROSS_REFERENCE_KEY"],
        ["INVALID_CROSS_REFERENCE_KEY"],
        ["ENTITY_IS_DELETED"],
        [],
        ["DUPLICATE_VALUE"],
    ]
    assert codes(save(admin, "Contact", Operation.UPDATE, rows)) == expected
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert (kept.last_name, gone.last_name) == ("Y", "Gone")


def test_deleting_and_undeleting(admin, recorder):
    account = Account.objects.create(name="Acme")
    contact = Contact.objects.create(last_name="A", account=account)
    recorder.clear()
    row = {"Id": account.record_id}
    assert codes(save(admin, "Account", Operation.UNDELETE, [row])) == [["UNDELETE_FAILED"]]
    assert codes(save(admin, "Account", Operation.DELETE, [row])) == [[]]
    assert codes(save(admin, "Account", Operation.DELETE, [row])) == [["ENTITY_IS_DELETED"]]
    assert not Contact.objects.exists()
    assert codes(save(admin, "Contact", Operation.UNDELETE, [{"Id": contact.record_id}])) == [["UNDELETE_FAILED"]]
    assert codes(save(admin, "Account", Operation.UNDELETE, [row])) == [[]]
    assert Contact.objects.get().account == account
    assert [(name, kind) for name, kind, _ in recorder.told] == [
        ("Account", "DELETE"),
        ("Contact", "DELETE"),
        ("Account", "UNDELETE"),
        ("Contact", "UNDELETE"),
    ]


def test_a_record_that_others_protect_stays_and_the_rest_goes(admin):
    protected, free = Account.objects.create(name="P"), Account.objects.create(name="F")
    Order.objects.create(account=protected)
    rows = [{"Id": protected.record_id}, {"Id": free.record_id}, {"Id": ABSENT_ACCOUNT}]
    results = save(admin, "Account", Operation.DELETE, rows)
    assert codes(results) == [["DELETE_FAILED"], [], ["INVALID_CROSS_REFERENCE_KEY"]]
    assert list(Account.objects.all()) == [protected]


def test_an_undelete_whose_unique_value_is_taken_is_refused(admin):
    old = Case.objects.create(external_reference="R-1")
    old.delete()
    Case.objects.create(external_reference="R-1")
    assert codes(save(admin, "Case", Operation.UNDELETE, [{"Id": old.record_id}])) == [["DUPLICATE_VALUE"]]
    old.refresh_from_db()
    assert old.is_deleted


# --- upsert ----------------------------------------------------------------------------------------------------------
def test_upsert_creates_what_is_not_there_and_updates_what_is(admin):
    there = Case.objects.create(external_reference="R-1", subject="old")
    results = save(
        admin,
        "Case",
        Operation.UPSERT,
        [
            {"External_Reference__c": "r-1", "Subject": "new"},
            {"External_Reference__c": "R-2", "Subject": "fresh"},
            {"External_Reference__c": "R-2", "Subject": "again"},
            {"Subject": "nameless"},
        ],
        external_id_field="external_reference__c",
    )
    assert codes(results) == [[], [], ["DUPLICATE_VALUE"], ["MISSING_ARGUMENT"]]
    assert [result.created for result in results] == [False, True, False, False]
    assert results[0].id == there.record_id
    assert list(Case.objects.order_by("pk").values_list("external_reference", "subject")) == [
        ("R-1", "new"),
        ("R-2", "fresh"),
    ]


def test_upsert_refuses_to_choose_among_several(admin):
    first, second = (Lead.objects.create(last_name=n, company="X", external_reference="R") for n in "AB")
    [result] = save(
        admin,
        "Lead",
        Operation.UPSERT,
        [{"External_Reference__c": "R", "LastName": "C"}],
        external_id_field="External_Reference__c",
    )
    assert [error.code for error in result.errors] == ["DUPLICATE_EXTERNAL_ID"]
    assert first.record_id in result.errors[0].message
    assert second.record_id in result.errors[0].message
    assert sorted(Lead.objects.values_list("last_name", flat=True)) == ["A", "B"]


def test_upsert_by_id_updates_rows_with_one_and_creates_the_others(admin):
    there = Lead.objects.create(last_name="A", company="X")
    rows = [{"Id": there.record_id, "LastName": "B"}, {"Id": "", "LastName": "C", "Company": "Y"}]
    results = save(admin, "Lead", Operation.UPSERT, rows, external_id_field="Id")
    assert codes(results) == [[], []]
    assert [result.created for result in results] == [False, True]
    assert sorted(Lead.objects.values_list("last_name", flat=True)) == ["B", "C"]


def test_upsert_by_a_field_that_is_no_external_id_is_refused(admin):
    with pytest.raises(NoExternalId):
        save(admin, "Lead", Operation.UPSERT, [{"Email": "a@example.org"}], external_id_field="Email")


def test_upsert_by_reference_is_the_short_form(admin):
    made = upsert_by_reference(admin, "Case", "APP-1", {"Subject": "first", "external_reference__c": "other"})
    again = upsert_by_reference(admin, Case, "app-1", {"Subject": "second"})
    failed = upsert_by_reference(admin, "Case", "APP-2", {"Nonsense": 1})
    assert (made.created, again.created, failed.success) == (True, False, False)
    assert made.id == again.id
    assert [error.code for error in failed.errors] == ["INVALID_FIELD"]
    assert Case.objects.values_list("external_reference", "subject").get() == ("APP-1", "second")


# --- permission ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("operation", "held", "missing"),
    [
        (Operation.CREATE, "edit", "object.create"),
        (Operation.UPDATE, "create", "object.edit"),
        (Operation.UPSERT, "create", "object.edit"),
        (Operation.UPSERT, "edit", "object.create"),
        (Operation.DELETE, "edit", "object.delete"),
        (Operation.UNDELETE, "edit", "object.delete"),
    ],
)
def test_the_object_permission_is_required(user_with, recorder, operation, held, missing):
    user = user_with(("object", held, "Lead"))
    there = Lead.objects.create(last_name="A", company="X", external_reference="R")
    recorder.clear()
    with pytest.raises(PermissionRefused, match=f"{missing} on Lead"):
        save(user, "Lead", operation, [{"Id": there.record_id, "LastName": "B"}], external_id_field="Id")
    assert list(Lead.objects.values_list("last_name", flat=True)) == ["A"]
    assert recorder.changes == []


def test_fields_are_written_only_with_their_grant(user_with):
    user = user_with(
        ("object", "create", "Lead"),
        ("field", "edit", "Lead.Email"),
        ("field", "read", "Lead.Phone"),
    )
    rows = [
        {"LastName": "A", "Company": "X", "Email": "a@example.org"},
        {"LastName": "B", "Company": "X", "Phone": "1"},
        {"LastName": "C", "Company": "X", "Fax": "1", "Title": "Dr"},
    ]
    results = save(user, "Lead", Operation.CREATE, rows)
    assert [[(error.code, error.fields) for error in result.errors] for result in results] == [
        [],
        [("INVALID_FIELD_FOR_INSERT_UPDATE", ("Phone",))],
        [("INVALID_FIELD", ("Fax",)), ("INVALID_FIELD", ("Title",))],
    ]
    assert Lead.objects.get().created_by == user


def test_a_grant_on_all_fields_of_an_object_covers_each(user_with):
    user = user_with(("object", "create", "Lead"), ("field", "edit", "Lead.*"))
    assert codes(save(user, "Lead", Operation.CREATE, [{"LastName": "A", "Company": "X", "Phone": "1"}])) == [[]]


def test_a_reference_needs_sight_of_what_it_names(user_with):
    account = Account.objects.create(name="Acme", external_reference="R")
    user = user_with(("object", "create", "Contact"), ("field", "edit", "Contact.*"))
    rows = [
        {"LastName": "A", "AccountId": account.record_id},
        {"LastName": "A", "Account": {"External_Reference__c": "R"}},
        {"LastName": "A", "Account": {"External_Reference__c": "nowhere"}},
    ]
    refused = [["INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"]]
    assert codes(save(user, "Contact", Operation.CREATE, rows)) == refused * 3


def test_nobody_writes_users_here(admin):
    rows = [{"Username": "eve"}]
    assert codes(save(admin, "User", Operation.CREATE, rows)) == [["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]]
    assert codes(save(admin, "User", Operation.DELETE, rows)) == [["CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"]]


def test_an_unknown_object_is_named(admin):
    with pytest.raises(UnknownObject, match="sObject type 'Unicorn' is not supported"):
        save(admin, "Unicorn", Operation.CREATE, [{}])


def test_a_record_is_new_once_even_where_time_stands_still(admin, moving_clock):
    results = [upsert_by_reference(admin, "Case", "WEB-1", {"Subject": "x"}) for _ in range(3)]
    assert [result.created for result in results] == [True, False, False]
    assert len({result.id for result in results}) == 1


# --- the model's own rules, statements -------------------------------------------------------------------------------
BATCH = 500


def lead_rows(count, **more):
    return [{"LastName": f"L{n}", "Company": "X", "Email": f"l{n}@example.org", **more} for n in range(count)]


def test_the_number_of_statements_does_not_depend_on_that_of_rows(admin, count_statements, recorder):
    account = Account.objects.create(name="Acme", external_reference="R")
    for count in (1, BATCH):  # what is read once a process, is read before we count
        save(admin, "Case", Operation.CREATE, [{"Subject": "x"}] * count)

    def contacts(count, stem):
        return [{"LastName": f"{stem}{n}", "Account": {"External_Reference__c": "R"}} for n in range(count)]

    def cases(count, stem):
        return [{"External_Reference__c": f"{stem}{n}", "Subject": str(n)} for n in range(count)]

    def upsert(count, stem):
        return save(admin, "Case", Operation.UPSERT, cases(count, stem), external_id_field="External_Reference__c")

    def counted(count, stem):
        return (
            count_statements(lambda: save(admin, "Contact", Operation.CREATE, contacts(count, stem))),
            count_statements(lambda: upsert(count, stem)),
            count_statements(lambda: upsert(count, stem)),
        )

    created, *upserted = counted(1, "one")
    created_many, *upserted_many = counted(BATCH, "many")
    assert created == created_many
    assert max(upserted_many) <= 3
    # One record is upserted in one statement: nobody can come between looking and writing.
    assert upserted == [1, 1]
    ids = [contact.record_id for contact in Contact.objects.filter(account=account)]
    assert len(ids) == 1 + BATCH

    def all_of(operation, **values):
        few = count_statements(lambda: save(admin, "Contact", operation, [{"Id": ids[0], **values}]))
        rows = [{"Id": record_id, **values, **({"Phone": record_id} if values else {})} for record_id in ids[1:]]
        return few, count_statements(lambda: save(admin, "Contact", operation, rows))

    for operation, values in (
        (Operation.UPDATE, {"Title": "Dr", "Phone": "1"}),
        (Operation.DELETE, {}),
        (Operation.UNDELETE, {}),
    ):
        few, bulk = all_of(operation, **values)
        assert few == bulk, operation
    assert set(Contact.objects.values_list("title", flat=True)) == {"Dr"}
    assert Contact.objects.values("phone").distinct().count() == 1 + BATCH


def test_two_thousand_rows_go_through_at_once(admin):
    results = save(admin, "Lead", Operation.CREATE, lead_rows(2000))
    assert all(result.success for result in results)
    rows = [{"Id": result.id, "City": result.id} for result in results]
    assert all(result.success for result in save(admin, "Lead", Operation.UPDATE, rows))
    assert Lead.objects.values("city").distinct().count() == 2000


def test_the_change_says_who_and_when(admin, recorder, moving_clock):
    save(admin, "Account", Operation.CREATE, [{"Name": "Acme"}])
    [change] = recorder.changes
    assert change.user_id == encode("005", admin.pk)
    assert change.changed_fields["CreatedById"] == encode("005", admin.pk)
    assert change.changed_fields["CreatedDate"] == "2026-06-01T12:00:00.000Z"


def test_rows_of_one_update_have_values_of_their_own(admin, user_with, recorder):
    """Each type, nulls among values, fields that only some rows give, texts that look like SQL."""
    other = user_with(username="other")
    made = save(
        admin,
        "Opportunity",
        Operation.CREATE,
        [
            {"Name": f"O-{n}", "StageName": "New", "CloseDate": "2026-01-01", "External_Reference__c": f"R-{n}"}
            for n in range(4)
        ],
    )
    owner = encode("005", other.pk)
    rows = [
        {"Amount": "1.5", "CloseDate": "2026-02-01", "NextStep": "100 % 'sure'", "OwnerId": owner, "Description": "a"},
        {"Amount": None, "CloseDate": "2026-03-01", "NextStep": "%s; --", "Probability": 10, "Description": None},
        {"Amount": 999999999999.25, "NextStep": "", "Type": "x" * 40},
        {"Probability": None, "StageName": "Won"},
    ]
    for operation, key in ((Operation.UPDATE, "Id"), (Operation.UPSERT, "External_Reference__c")):
        named = [{**row, key: made[n].id if key == "Id" else f"r-{n}"} for n, row in enumerate(rows)]
        field = key if operation is Operation.UPSERT else None
        assert all(one.success for one in save(admin, "Opportunity", operation, named, external_id_field=field))
        found = Opportunity.objects.order_by("pk").values_list(
            "amount", "close_date", "next_step", "probability", "opportunity_type", "stage_name", "owner__username"
        )
        assert list(found) == [
            (Decimal("1.50"), date(2026, 2, 1), "100 % 'sure'", None, "", "New", "other"),
            (None, date(2026, 3, 1), "%s; --", Decimal(10), "", "New", "root"),
            (Decimal("999999999999.25"), date(2026, 1, 1), "", None, "x" * 40, "New", "root"),
            (None, date(2026, 1, 1), "", None, "", "Won", "root"),
        ]
    assert [one.external_reference for one in Opportunity.objects.order_by("pk")] == ["R-0", "R-1", "R-2", "R-3"]
