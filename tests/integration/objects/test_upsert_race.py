"""However many callers come at once with one reference, one creates and the others update."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from crm.models import Case, Lead
from isthmus.objects.actions import upsert_by_reference
from isthmus.objects.testing import recorded_changes

THREADS = 20

pytestmark = pytest.mark.django_db(transaction=True)


def race(call):
    """Run `call` in all threads at the same moment; return what each returned."""
    start = threading.Barrier(THREADS)

    def run(number):
        try:
            start.wait(timeout=30)
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_a_unique_reference(admin):
    user = get_user_model().objects.get(pk=admin.pk)
    results = race(lambda number: upsert_by_reference(user, "Case", "APP-1", {"Subject": str(number)}))
    assert Counter((result.success, result.created) for result in results) == {(True, True): 1, (True, False): 19}
    assert {result.id for result in results} == {Case.objects.get().record_id}


def test_a_reference_that_no_constraint_keeps_unique(admin):
    """Leads share references if they must, so only the names' locks can keep two callers apart."""
    values = {"LastName": "A", "Company": "X"}
    results = race(lambda _: upsert_by_reference(admin, "Lead", "WEB-1", values))
    assert Counter((result.success, result.created) for result in results) == {(True, True): 1, (True, False): 19}
    assert Lead.objects.count() == 1


def test_different_references_do_not_meet(admin):
    results = race(lambda number: upsert_by_reference(admin, "Case", f"APP-{number}", {"Subject": "x"}))
    assert Counter((result.success, result.created) for result in results) == {(True, True): THREADS}
    assert Case.objects.count() == THREADS


def test_an_update_stays_a_compare_and_set(admin):
    """Capture reads before it writes; between the two nobody else may take the row."""
    for subject in "AB":
        Case.objects.create(subject=subject)

    def claim(number):
        return Case.objects.filter(status="New", subject="A").update(status="Working", description=str(number))

    with recorded_changes() as recorder:
        assert sorted(race(claim)) == [0] * (THREADS - 1) + [1]
    assert [change.changed_fields["Status"] for change in recorder.changes] == ["Working"]
    assert Case.objects.get(subject="B").status == "New"


def test_a_writer_that_does_not_use_the_door_is_noticed(admin):
    """Half of the threads create through the ORM; the unique constraint decides, and the door follows."""

    def call(number):
        if number % 2:
            try:
                Case.objects.create(external_reference="APP-1", subject=str(number))
            except Exception as error:
                return type(error).__name__
            return "created"
        return upsert_by_reference(admin, "Case", "APP-1", {"Subject": str(number)})

    results = race(call)
    assert Case.objects.count() == 1
    assert all(result.success for result in results[::2])
    assert set(results[1::2]) <= {"created", "IntegrityError"}
    assert sum(result == "created" for result in results[1::2]) + sum(result.created for result in results[::2]) == 1
