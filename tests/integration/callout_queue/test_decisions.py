"""What people decide about queued callouts, and what the audit trail says of it."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

import callouts
from callouts import errors, http
from callouts.models import IntegrationLogEntry
from callouts.queue import decisions
from callouts.queue.cleaning import remove_ended
from callouts.queue.errors import QueueRefused
from callouts.queue.models import QueuedCallout
from isthmus import clock
from isthmus.audit.models import AuditEntry
from isthmus.jobs import actions as jobs_actions
from tests import queue_functions
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def fail(bank, server, callout_queue):
    """Queue callouts that fail."""

    def make(number=1, path="/not-found", **arguments):
        request = http.Request(method="POST", url=f"callout:Bank{path}", json={"a": 1})
        for _ in range(number):
            callouts.enqueue("Submit", request, **arguments)
        return callout_queue.run_all()

    return make


def fresh(row):
    return QueuedCallout.objects.get(pk=row.pk)


def audited():
    return [(one.action, one.actor) for one in AuditEntry.objects.filter(action__startswith="callouts.").order_by("pk")]


def test_what_failed_is_sent_again_on_a_fresh_ladder(fail, server, callout_queue, ada):
    [row] = fail()
    server.answers["/not-found"] = lambda _: Answer(201)
    decisions.resend(row, ada)
    assert (fresh(row).tries, fresh(row).reason) == (0, "Sent again by ada.")
    [row] = callout_queue.run_all()
    assert (row.state, row.attempts) == ("succeeded", 2)
    assert audited() == [("callouts.resent", "ada")]
    assert IntegrationLogEntry.objects.of_queued_callout(row.pk).count() == 2


def test_an_edited_callout_is_one_of_its_own(fail, server, callout_queue, ada):
    [row] = fail(idempotency_key="k")
    edited = decisions.edit_and_resend(
        row, ada, url="callout:Bank/echo?x=1", headers={"Content-Type": "text/plain"}, body=b"other"
    )
    [sent] = callout_queue.run_all()
    assert (sent.pk, sent.state, sent.edited_from_id) == (edited.pk, "succeeded", row.pk)
    before = fresh(row)
    assert (before.state, before.reason) == ("cancelled", f"Replaced by #{edited.pk} by ada.")
    assert (bytes(before.body), before.url) == (b'{"a": 1}', "callout:Bank/not-found")
    arrived = server.requests[-1]
    assert (arrived.target, arrived.body) == ("/echo?x=1", b"other")
    assert arrived.headers["idempotency-key"] == f"k-edited-{row.pk}"
    entry = AuditEntry.objects.get(action="callouts.edited")
    assert entry.details["changed"] == ["url", "headers", "body"]
    assert entry.details["replaced_by"] == edited.pk


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"url": "callout:Other/echo"}, QueueRefused),
        ({"url": "https://elsewhere.example/"}, errors.InvalidCallout),
        ({"headers": {"Host": "elsewhere.example"}}, errors.InvalidCallout),
    ],
)
def test_edits_that_cannot_leave_are_refused(fail, given, error):
    [row] = fail()
    with pytest.raises(error):
        decisions.edit_and_resend(row, **{"url": row.url, "headers": {}, "body": b"", **given})
    assert fresh(row).state == "failed"


def test_only_what_failed_is_edited(fail):
    [row] = fail(path="/close-after-request")
    with pytest.raises(QueueRefused, match="in doubt"):
        decisions.edit_and_resend(row, url=row.url, headers={}, body=b"")
    with pytest.raises(QueueRefused, match="say first whether"):
        decisions.resend(row)


def test_who_says_that_the_other_side_acted_ends_the_doubt(fail, jobs, ada):
    queue_functions.told.clear()
    [row] = fail(path="/close-after-request", on_success=queue_functions.told_of_failure)
    decisions.did_act(row, ada, "their order 7")
    jobs.run_all()
    [(_, outcome)] = queue_functions.told
    assert (outcome.state, outcome.status_code) == ("succeeded", None)
    assert fresh(row).reason == "The other side acted by ada: their order 7"
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.resolution, entry.resolved_by) == ("in_doubt", "acted", ada)
    with pytest.raises(QueueRefused):
        decisions.did_act(fresh(row), ada)


def test_who_says_that_it_did_not_act_sends_again(fail, server, callout_queue, ada):
    [row] = fail(path="/close-after-request")
    decisions.did_not_act(row, ada)
    del server.faults["/close-after-request"]
    server.answers["/close-after-request"] = lambda _: Answer(201)
    assert callout_queue.run_all()[0].state == "succeeded"
    assert len(server.requests) == 2
    assert audited() == [("callouts.decided", "ada")]


def test_what_waits_is_given_up_and_what_is_over_is_not(bank, callout_queue, jobs, server, ada):
    queue_functions.told.clear()
    request = http.Request(method="POST", url="callout:Bank/echo")
    row = callouts.enqueue("Submit", request, on_failure=queue_functions.told_of_failure)
    decisions.cancel(row, ada, "not needed")
    assert callout_queue.run_all() == []
    jobs.run_all()
    assert (fresh(row).state, fresh(row).reason) == ("cancelled", "Cancelled by ada: not needed")
    assert [(what, outcome.state) for what, outcome in queue_functions.told] == [("failure", "cancelled")]
    with pytest.raises(QueueRefused):
        decisions.cancel(fresh(row))
    assert server.connections == 0


def test_everything_that_failed_since_is_recovered_in_a_job(fail, server, callout_queue, jobs, moving_clock, ada):
    fail()
    moving_clock.move(timedelta(hours=2))
    since = clock.now()
    rows = fail(3)
    doubtful = fail(path="/close-after-request")
    server.answers["/not-found"] = lambda _: Answer(201)
    decisions.recover(since, ada, named_credential="Bank", operation="Submit", expected=3)
    [job] = jobs.run_all()
    assert (job.state, job.result) == ("Completed", {"sent_again": 3})
    callout_queue.run_all()
    assert {fresh(row).state for row in rows} == {"succeeded"}
    assert fresh(doubtful[0]).state == "in_doubt"
    assert QueuedCallout.objects.filter(state="failed").count() == 1


def test_more_than_somebody_was_shown_are_not_sent_again(fail):
    since = clock.now()
    fail(3)
    with pytest.raises(QueueRefused, match="By now 3 callouts failed, not 2"):
        decisions.recover(since, expected=2)


def test_a_recovery_that_is_aborted_sends_nothing_more(fail, jobs, server):
    fail(2)
    job = decisions.recover(clock.now() - timedelta(hours=1))
    jobs_actions.abort(job)
    jobs.run_all()
    assert QueuedCallout.objects.filter(state="failed").count() == 2


def test_cleaning_leaves_what_nobody_decided(fail, callout_queue, moving_clock):
    [failed] = fail()
    [succeeded] = fail(path="/echo")
    [doubtful] = fail(path="/close-after-request")
    moving_clock.move(timedelta(days=31))
    assert remove_ended() == {"removed": 1}
    left = set(QueuedCallout.objects.values_list("pk", flat=True))
    assert left == {failed.pk, doubtful.pk}
    assert succeeded.pk not in left
