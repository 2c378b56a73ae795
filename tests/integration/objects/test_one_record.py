"""One record outside any transaction: on PostgreSQL a statement of its own, everywhere with the same outcome."""

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from crm.models import Account, Case, Lead
from isthmus.objects.actions import Operation, save
from isthmus.objects.capture import ChangeType, acting_as, record_changed
from tests.refusing_trigger import rows_are_refused

pytestmark = pytest.mark.django_db(transaction=True)

ROW = {"Subject": "No power, 100 % sure", "External_Reference__c": "R-1", "SuppliedEmail": "ann@example.org"}


def one(user, operation, row, **options):
    return save(user, "Case", operation, [row], **options)[0]


def upsert(user, row):
    return one(user, Operation.UPSERT, row, external_id_field="External_Reference__c")


def statements_of(call):
    with CaptureQueriesContext(connection) as captured:
        call()
    return [query["sql"] for query in captured.captured_queries]


def test_a_record_is_made_with_all_that_belongs_to_it(admin, recorder):
    with acting_as(admin, "test"):
        result = one(admin, Operation.CREATE, ROW)
    case = Case.objects.get()
    assert (result.id, result.created, result.success) == (case.record_id, True, True)
    assert (case.subject, case.status, case.owner, case.created_by) == (ROW["Subject"], "New", admin, admin)
    assert case.case_number.endswith(str(case.pk))
    [change] = recorder.changes
    assert (change.change_type, change.origin) == (ChangeType.CREATE, "test")
    assert change.changed_fields["Subject"] == ROW["Subject"]


def test_an_upsert_creates_then_changes(admin, recorder):
    first, second = upsert(admin, ROW), upsert(admin, {**ROW, "External_Reference__c": "r-1", "Subject": "Power"})
    assert [(result.id, result.created) for result in (first, second)] == [(first.id, True), (first.id, False)]
    case = Case.objects.get()
    assert (case.subject, case.external_reference, case.supplied_email) == ("Power", "R-1", "ann@example.org")
    assert [change.change_type for change in recorder.changes] == [ChangeType.CREATE, ChangeType.UPDATE]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="what SQLite did, it tells only within a transaction")
def test_one_statement_is_enough(admin):
    """Besides how the object is shared, which is asked once in a while."""
    for call in (lambda: one(admin, Operation.CREATE, ROW), lambda: upsert(admin, ROW)):
        [sql] = [sql for sql in statements_of(call) if "objects_objectsharing" not in sql]
        assert 'INSERT INTO "crm_case"' in sql


def test_a_value_that_is_taken_is_refused_with_the_record_that_has_it(admin, recorder):
    first = one(admin, Operation.CREATE, ROW)
    refused = one(admin, Operation.CREATE, {**ROW, "External_Reference__c": "r-1"})
    assert not refused.success
    [error] = refused.errors
    assert (error.code, error.fields) == ("DUPLICATE_VALUE", ("External_Reference__c",))
    assert first.id in error.message
    assert Case.objects.count() == len(recorder.changes) == 1
    # The connection is as good as before.
    assert one(admin, Operation.CREATE, {**ROW, "External_Reference__c": "R-2"}).success


@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.UPSERT])
def test_what_only_the_database_refuses_is_an_error_of_the_row(admin, operation, recorder):
    name = "External_Reference__c" if operation is Operation.UPSERT else None
    with rows_are_refused("crm_case", when="NEW.subject = 'refused'"):
        result = one(admin, operation, {**ROW, "Subject": "refused"}, external_id_field=name)
    assert [error.code for error in result.errors] == ["FIELD_INTEGRITY_EXCEPTION"]
    assert not Case.all_objects.exists()
    assert not recorder.changes


def test_what_is_wrong_with_a_row_is_told_as_ever(admin):
    for operation in (Operation.CREATE, Operation.UPSERT):
        name = "External_Reference__c" if operation is Operation.UPSERT else None
        result = one(admin, operation, {**ROW, "SuppliedEmail": "nobody", "AccountId": "001"}, external_id_field=name)
        assert [error.code for error in result.errors] == ["INVALID_EMAIL_ADDRESS", "MALFORMED_ID"]
    assert not Case.objects.exists()


def test_a_reference_is_looked_up(admin):
    account = Account.objects.create(name="A", external_reference="A-1")
    assert one(admin, Operation.CREATE, {"AccountId": account.record_id}).success
    assert one(admin, Operation.CREATE, {"Account": {"External_Reference__c": "a-1"}}).success
    assert Case.objects.filter(account=account).count() == 2
    account.delete()
    refused = one(admin, Operation.CREATE, {"AccountId": account.record_id})
    assert [error.code for error in refused.errors] == ["ENTITY_IS_DELETED"]


def test_a_reference_of_a_deleted_record_is_free(admin):
    first = upsert(admin, ROW)
    Case.objects.get().delete()
    assert one(admin, Operation.CREATE, ROW).success
    again = upsert(admin, ROW)
    assert (again.created, again.id != first.id) == (False, True)


def test_within_a_transaction_a_refusal_ends_nothing(admin):
    with transaction.atomic():
        assert one(admin, Operation.CREATE, ROW).success
        assert not one(admin, Operation.CREATE, ROW).success
        assert upsert(admin, {**ROW, "Subject": "Power"}).success
    assert Case.objects.get().subject == "Power"


def test_all_or_none_of_one_row(admin):
    assert one(admin, Operation.CREATE, ROW, all_or_none=True).success
    assert [error.code for error in one(admin, Operation.CREATE, ROW, all_or_none=True).errors] == ["DUPLICATE_VALUE"]
    assert Case.objects.count() == 1


def test_listeners_hear_of_it_after_the_commit(admin):
    heard = []

    def hear(sender, record_ids, change_type, **_):
        heard.append((change_type, record_ids, connection.in_atomic_block))

    record_changed.connect(hear, sender=Case)
    try:
        first = one(admin, Operation.CREATE, ROW)
        upsert(admin, ROW)
    finally:
        record_changed.disconnect(hear, sender=Case)
    assert heard == [(ChangeType.CREATE, [first.id], False), (ChangeType.UPDATE, [first.id], False)]


def test_objects_without_a_unique_index_go_the_longer_way(admin):
    row = {"LastName": "A", "Company": "X", "External_Reference__c": "WEB-1"}
    results = [
        save(admin, "Lead", Operation.UPSERT, [row], external_id_field="External_Reference__c")[0] for _ in range(2)
    ]
    assert [result.created for result in results] == [True, False]
    assert Lead.objects.count() == 1
