"""The bank fails in every way a bank can; each is named, logged, leaves nothing half done, and loses nothing."""

import pytest

from callouts.external_services.models import Invocation
from callouts.models import IntegrationLogEntry
from crm.models import Contact
from isthmus.jobs.states import JobState

# fault: (the job's error, the log's outcome, its error code, the application is in the bank's ledger all the same)
FAULTS = {
    "status-500": ("ServiceFailed", "failed", "", False),
    "html": ("RepeatableUnexpectedAnswer", "succeeded", "", False),
    "hang": ("RepeatableInDoubt", "in_doubt", "ANSWER_TIMED_OUT", False),
    "reset-before": ("RepeatableInDoubt", "in_doubt", "CONNECTION_LOST", False),
    "status-500-after": ("ServiceFailed", "failed", "", True),
    "hang-after": ("RepeatableInDoubt", "in_doubt", "ANSWER_TIMED_OUT", True),
    "reset-after": ("RepeatableInDoubt", "in_doubt", "CONNECTION_LOST", True),
}


def submissions():
    return list(IntegrationLogEntry.objects.filter(url__contains="/applications").order_by("started_at"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_submission_is_named_and_repeated_as_one_application(desk, fault):
    error, outcome, code, taken_in = FAULTS[fault]
    desk.bank.fault, desk.bank.fault_count = fault, 1

    job = desk.submit()
    assert (job.state, job.error.split(":")[0]) == (JobState.QUEUED, error)
    assert len(desk.applications) == taken_in
    [entry] = submissions()
    assert (entry.outcome, entry.error_code) == (outcome, code)
    desk.request.refresh_from_db()
    assert (desk.request.status, desk.request.application_number) == ("New", "")
    invocation = Invocation.objects.get()
    assert not invocation.is_finished

    job = desk.try_again(job)
    assert job.state == JobState.COMPLETED
    assert [row["number"] for row in desk.applications] == ["ACME-00001"]
    desk.request.refresh_from_db()
    assert (desk.request.status, desk.request.application_number) == ("Submitted", "ACME-00001")
    assert Invocation.objects.get().pk == invocation.pk
    assert Invocation.objects.get().state == "Waiting"
    assert [entry.outcome for entry in submissions()] == [outcome, "succeeded"]
    assert not Contact.objects.exists()


def test_a_token_the_bank_no_longer_knows_is_replaced_within_the_call(desk):
    desk.submit()
    desk.bank.tokens.clear()
    desk.bank.fault, desk.bank.fault_count = "", 0
    other = desk.request
    other.pk = other.id = None
    other._state.adding = True
    other.external_reference = "TEST-OTHER"
    other.status = "New"
    other.save()
    job = desk.submit()
    assert job.state == JobState.COMPLETED
    assert desk.bank.tokens_issued == 2
    assert [row["number"] for row in desk.applications] == ["ACME-00001", "ACME-00002"]


def test_a_bank_that_is_not_there_is_named_and_tried_again(desk):
    desk.bank.fault, desk.bank.fault_count = "status-500", 100
    job = desk.submit()
    for _ in range(7):
        job = desk.try_again(job)
    assert job.state == JobState.FAILED
    assert job.error.startswith("ServiceFailed")
    assert desk.applications == []
    assert len(submissions()) == 8
