"""Callouts that are staged in a transaction and leave after it."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

import callouts
from callouts import errors, limits
from callouts.models import IntegrationLogEntry
from isthmus import clock, correlation
from isthmus.access import actions as access
from isthmus.jobs.actions import retry
from isthmus.jobs.errors import ArgumentsRefused
from isthmus.jobs.models import Job
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


def run(jobs):
    """Run what is due now, once."""
    [job] = jobs.run_all()
    return job


def outcomes():
    return list(IntegrationLogEntry.objects.order_by("attempt").values_list("attempt", "outcome", "status_code"))


def test_a_staged_callout_leaves_after_the_commit(bank, server, jobs):
    with correlation.bind("order-5"), transaction.atomic():
        Group.objects.create(name="one")
        job = callouts.enqueue(
            "post",
            "callout:Bank/echo",
            json={"amount": 5},
            params={"page": "2"},
            headers={"X-Plain": "seen"},
            idempotency_key="order-5",
            operation="Submit",
            record="001000000000001AAA",
            invocation_id=uuid.UUID(int=7),
        )
    assert server.connections == 0
    done = run(jobs)
    entry = IntegrationLogEntry.objects.get()
    assert (done.pk, done.state) == (job.pk, "Completed")
    assert done.result == {"status_code": 200, "log_entry_id": str(entry.id)}
    [arrived] = server.requests
    assert (arrived.method, arrived.query, arrived.body) == ("POST", {"page": "2"}, b'{"amount": 5}')
    assert arrived.headers["idempotency-key"] == "order-5"
    assert arrived.headers["x-request-id"] == "order-5"
    assert arrived.headers["x-plain"] == "seen"
    assert (entry.job_id, entry.attempt, entry.operation) == (job.pk, 1, "Submit")
    assert (entry.record_id, entry.invocation_id) == ("001000000000001AAA", uuid.UUID(int=7))
    assert entry.correlation_id == "order-5"


def test_a_rolled_back_transaction_takes_its_callout_along(bank, server, jobs):
    with transaction.atomic():
        callouts.enqueue("POST", "callout:Bank/echo", json={})
        transaction.set_rollback(True)
    assert jobs.run_all() == []
    assert server.connections == 0


def test_what_failed_before_it_was_sent_is_tried_again(bank, jobs, moving_clock):
    bank.url = "http://127.0.0.1:1"
    bank.save()
    callouts.enqueue("POST", "callout:Bank/echo", json={})
    for _ in range(5):
        job = run(jobs)
        moving_clock.move(timedelta(seconds=300))
    assert (job.state, job.attempts) == ("Failed", 5)
    assert job.error.startswith("ConnectFailed")
    assert outcomes() == [(attempt, "failed", None) for attempt in range(1, 6)]


def test_what_is_in_doubt_is_not_tried_again(bank, server, jobs, moving_clock):
    callouts.enqueue("POST", "callout:Bank/close-after-request", json={})
    job = run(jobs)
    moving_clock.move(timedelta(hours=1))
    assert jobs.run_all() == []
    assert (job.state, job.attempts) == ("Failed", 1)
    assert job.error.startswith("ConnectionLost")
    assert outcomes() == [(1, "in_doubt", None)]
    assert len(server.requests) == 1


def test_what_is_in_doubt_is_tried_again_with_an_idempotency_key(bank, server, jobs, moving_clock):
    callouts.enqueue("POST", "callout:Bank/close-after-request", json={}, idempotency_key="order-5")
    first = run(jobs)
    assert (first.state, first.error.split(":")[0]) == ("Queued", "RepeatableInDoubt")
    del server.faults["/close-after-request"]
    server.answers["/close-after-request"] = lambda _: Answer(201)
    moving_clock.move(timedelta(seconds=1))
    assert run(jobs).state == "Completed"
    assert outcomes() == [(1, "in_doubt", None), (2, "succeeded", 201)]
    assert [one.headers["idempotency-key"] for one in server.requests] == ["order-5"] * 2


def test_reads_that_are_in_doubt_are_tried_again(bank, jobs):
    callouts.enqueue("GET", "callout:Bank/close-after-request")
    assert run(jobs).state == "Queued"


@pytest.mark.parametrize(
    ("status", "method", "key", "state"),
    [
        (503, "POST", None, "Queued"),
        (429, "POST", None, "Queued"),
        (500, "POST", None, "Failed"),
        (502, "POST", None, "Failed"),
        (500, "POST", "key", "Queued"),
        (502, "GET", None, "Queued"),
        (400, "POST", "key", "Failed"),
        (404, "GET", None, "Failed"),
        (302, "POST", None, "Completed"),
    ],
)
def test_what_an_error_status_means_for_the_job(bank, server, jobs, status, method, key, state):
    server.answers["/status"] = lambda _: Answer(status)
    callouts.enqueue(method, "callout:Bank/status", idempotency_key=key)
    assert run(jobs).state == state
    assert len(server.requests) == 1


def crash(job, **entry):
    """Leave the row and the log as a worker leaves them that died in its first attempt."""
    Job.objects.filter(pk=job.pk).update(attempts=1, worker_deaths=1)
    IntegrationLogEntry.objects.create(
        job_id=job.pk, attempt=1, method="POST", url="http://x/", started_at=clock.now(), **entry
    )


def test_a_worker_that_died_while_sending_leaves_it_in_doubt_and_nothing_is_sent_twice(bank, server, jobs):
    job = callouts.enqueue("POST", "callout:Bank/echo", json={})
    crash(job, outcome="in_doubt")
    done = run(jobs)
    assert (done.state, done.error.split(":")[0]) == ("Failed", "CalloutInDoubt")
    assert server.connections == 0


def test_an_operator_who_asked_the_other_side_may_send_it_again(bank, server, jobs):
    job = callouts.enqueue("POST", "callout:Bank/echo", json={})
    crash(job, outcome="in_doubt")
    retry(run(jobs))
    assert run(jobs).state == "Completed"
    assert len(server.requests) == 1


def test_a_worker_that_died_while_sending_sends_again_with_an_idempotency_key(bank, server, jobs):
    job = callouts.enqueue("POST", "callout:Bank/echo", json={}, idempotency_key="order-5")
    crash(job, outcome="in_doubt")
    assert run(jobs).state == "Completed"
    assert len(server.requests) == 1


def test_a_worker_that_died_after_the_answer_sends_nothing_again(bank, server, jobs):
    job = callouts.enqueue("POST", "callout:Bank/echo", json={})
    crash(job, outcome="succeeded", status_code=201, duration_ms=5)
    done = run(jobs)
    assert (done.state, done.result["status_code"]) == ("Completed", 201)
    assert server.connections == 0


def test_a_worker_that_died_before_anything_was_sent_sends(bank, server, jobs):
    job = callouts.enqueue("POST", "callout:Bank/echo", json={})
    crash(job, outcome="failed", error_code="CONNECT_FAILED", duration_ms=5)
    assert run(jobs).state == "Completed"
    assert len(server.requests) == 1


def test_it_leaves_with_the_rights_of_the_user(bank, server, jobs):
    user = get_user_model().objects.create_user("ada")
    callouts.enqueue("POST", "callout:Bank/echo", json={}, user=user)
    refused = run(jobs)
    assert (refused.state, refused.error.split(":")[0]) == ("Failed", "PrincipalAccessRefused")
    access.assign(
        access.ensure_permission_set("Bank", "Bank", grants=[("principal", "use", "Open_Door.Anybody")]), user
    )
    retry(refused)
    assert run(jobs).state == "Completed"
    assert IntegrationLogEntry.objects.filter(outcome="succeeded").get().user == user


def test_a_user_who_is_gone_does_not_become_the_automated_process(bank, server, jobs):
    user = get_user_model().objects.create_user("ada")
    callouts.enqueue("POST", "callout:Bank/echo", json={}, user=user)
    user.delete()
    assert run(jobs).state == "Failed"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"url": "https://bank.example/"}, errors.InvalidCallout),
        ({"headers": {"Authorization": "Bearer canary"}}, errors.InvalidCallout),
        ({"headers": {"X-Api-Key": "canary"}}, errors.InvalidCallout),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, errors.InvalidCallout),
        ({"data": b"raw"}, errors.InvalidCallout),
        ({"method": "BREW"}, errors.InvalidCallout),
        ({"json": {"amount": {1, 2}}}, ArgumentsRefused),
    ],
)
def test_what_cannot_leave_is_refused_when_it_is_staged(bank, arguments, error):
    with pytest.raises((error, TypeError)):
        callouts.enqueue(**{"method": "POST", "url": "callout:Bank/echo", **arguments})
    assert not Job.objects.exists()


def test_a_job_is_a_transaction_of_its_own(bank, server, jobs):
    with limits.transaction_context():
        callouts.enqueue("POST", "callout:Bank/echo", json={})
        assert run(jobs).state == "Completed"
        assert limits().callouts_used == 0
