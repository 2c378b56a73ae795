"""Callouts that are queued in a transaction and leave after it."""

import uuid
from datetime import timedelta

import pytest
import requests
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

import callouts
from callouts import errors, http
from callouts.models import IntegrationLogEntry
from callouts.queue.models import QueuedCallout
from callouts.retrying import RetryPolicy
from isthmus import correlation
from isthmus.access import actions as access
from tests import queue_functions

pytestmark = pytest.mark.django_db


def request(**arguments):
    return http.Request(**{"method": "POST", "url": "callout:Bank/echo", "json": {}, **arguments})


def test_a_queued_callout_leaves_after_the_commit(bank, server, callout_queue):
    with correlation.bind("order-5"), transaction.atomic():
        Group.objects.create(name="one")
        queued = callouts.enqueue(
            "Submit",
            request(
                method="post",
                url="callout:Bank/loans/{id}?kind=a",
                path={"id": "A/7"},
                json={"amount": 5},
                params={"page": "2 & 3"},
                headers={"X-Plain": "seen"},
            ),
            idempotency_key="order-5",
            record="001000000000001AAA",
            invocation_id=uuid.UUID(int=7),
        )
    assert server.connections == 0
    server.answers["/loans/A%2F7"] = server.answers["/json"]
    [done] = callout_queue.run_all()
    entry = IntegrationLogEntry.objects.get()
    assert (done.pk, done.state, done.status_code) == (queued.pk, "succeeded", 200)
    [arrived] = server.requests
    assert (arrived.method, arrived.path, arrived.body) == ("POST", "/loans/A%2F7", b'{"amount": 5}')
    assert arrived.query == {"kind": "a", "page": "2 & 3"}
    assert arrived.headers["content-type"] == "application/json"
    assert arrived.headers["idempotency-key"] == "order-5"
    assert arrived.headers["x-request-id"] == "order-5"
    assert arrived.headers["x-plain"] == "seen"
    assert (entry.queued_callout_id, entry.attempt, entry.operation) == (queued.pk, 1, "Submit")
    assert (entry.record_id, entry.invocation_id) == ("001000000000001AAA", uuid.UUID(int=7))
    assert entry.correlation_id == "order-5"


def test_a_rolled_back_transaction_takes_its_callout_along(bank, server, callout_queue):
    with transaction.atomic():
        callouts.enqueue("Submit", request())
        transaction.set_rollback(True)
    assert callout_queue.run_all() == []
    assert not QueuedCallout.objects.exists()


def test_a_request_of_requests_will_do(bank, server, callout_queue):
    callouts.enqueue("Submit", requests.Request("POST", "callout:Bank/echo", data={"a": "1 & 2"}, params={"b": "c"}))
    callout_queue.run_all()
    [arrived] = server.requests
    assert (arrived.body, arrived.query) == (b"a=1+%26+2", {"b": "c"})
    assert arrived.headers["content-type"] == "application/x-www-form-urlencoded"


def test_files_and_iterators_are_kept_whole(bank, server, callout_queue):
    callouts.enqueue("Submit", request(json=None, data=iter([b"one ", b"two"])))
    callouts.enqueue("Submit", request(json=None, files={"paper": ("p.txt", b"three")}))
    callout_queue.run_all()
    first, second = server.requests
    assert first.body == b"one two"
    assert b"three" in second.body
    assert second.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_the_key_of_operation_and_record_is_the_same_every_time(bank, server, callout_queue):
    for record in ("001000000000001AAA", "001000000000001AAA", "001000000000002AAA"):
        callouts.enqueue("Submit", request(), record=record, idempotency_key=True)
    callout_queue.run_all()
    first, again, other = [arrived.headers["idempotency-key"] for arrived in server.requests]
    assert first == again != other


def test_what_follows_is_told_in_a_job_of_its_own(bank, server, callout_queue, jobs):
    queue_functions.told.clear()
    callouts.enqueue(
        "Submit",
        request(json={"a": 1}),
        record="001000000000001AAA",
        context={"order": 5},
        on_success=queue_functions.told_of_success,
        on_failure=queue_functions.told_of_failure,
    )
    [sent] = callout_queue.run_all()
    assert queue_functions.told == []
    [job] = jobs.run_all()
    [(what, outcome)] = queue_functions.told
    assert (job.state, what, outcome.state, outcome.status_code) == ("Completed", "success", "succeeded", 200)
    assert (outcome.json(), outcome.context, outcome.record_id) == ({"a": 1}, {"order": 5}, "001000000000001AAA")
    assert job.correlation_id == sent.correlation_id
    assert Group.objects.filter(name=f"answered {sent.pk}").exists()
    sent.refresh_from_db()
    assert bytes(sent.answer_body) == b""


def test_failure_is_told_with_its_reason(bank, server, callout_queue, jobs):
    queue_functions.told.clear()
    callouts.enqueue(
        "Submit",
        request(url="callout:Bank/not-found"),
        on_success=queue_functions.told_of_success,
        on_failure=queue_functions.told_of_failure,
    )
    callout_queue.run_all()
    jobs.run_all()
    [(what, outcome)] = queue_functions.told
    assert (what, outcome.state, outcome.status_code, outcome.text) == ("failure", "failed", 404, "nothing here")
    assert outcome.reason == "The other side answered 404."


def test_it_leaves_with_the_rights_of_the_user(bank, server, callout_queue, django_capture_on_commit_callbacks):
    user = get_user_model().objects.create_user("ada")
    callouts.enqueue("Submit", request(), user=user)
    [held] = callout_queue.run_all()
    assert (held.state, server.connections) == ("held", 0)
    # Who grants the right lets it go.
    with django_capture_on_commit_callbacks(execute=True):
        granting = access.ensure_permission_set("Bank", "Bank", grants=[("principal", "use", "Open_Door.Anybody")])
        access.assign(granting, user)
    [sent] = callout_queue.run_all()
    assert sent.state == "succeeded"
    assert IntegrationLogEntry.objects.filter(outcome="succeeded").get().user == user


def test_a_user_who_is_gone_does_not_become_the_automated_process(bank, server, callout_queue):
    user = get_user_model().objects.create_user("ada")
    callouts.enqueue("Submit", request(), user=user)
    user.delete()
    [failed] = callout_queue.run_all()
    assert (failed.state, failed.reason) == ("failed", "ada, on whose behalf it was queued, is gone.")
    assert server.connections == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"request": request(url="https://bank.example/")},
        {"request": request(headers={"Authorization": "Bearer canary"})},
        {"request": request(headers={"X-Api-Key": "canary"})},
        {"request": request(headers={"X-A": "1\r\nX-B: 2"})},
        {"request": request(method="BREW")},
        {"request": request(json={"amount": {1, 2}})},
        {"request": request(data=b"x")},
        {"request": request(timeout=500)},
        {"request": request(url="callout:Bank/{id}", path={"id": ".."})},
        {"request": requests.Request("POST", "callout:Bank/echo", auth=("a", "b"))},
        {"operation": " "},
        {"operation": "o" * 256},
        {"idempotency_key": True},
        {"in_order": True},
        {"context": {1, 2}},
        {"on_success": queue_functions.without_outcome},
        {"probe": print},
    ],
)
def test_what_cannot_leave_is_refused_when_it_is_queued(bank, arguments):
    with pytest.raises(errors.InvalidCallout):
        callouts.enqueue(**{"operation": "Submit", "request": request(), **arguments})
    assert not QueuedCallout.objects.exists()


def test_a_body_over_the_limit_is_refused_when_it_is_queued(bank, settings):
    settings.ISTHMUS_CALLOUTS_MAX_BODY_BYTES_IN_JOBS = 2_000
    with pytest.raises(errors.BodyTooLarge):
        callouts.enqueue("Submit", request(json=None, data=b"x" * 2_001))


def test_the_first_delay_of_a_ladder_counts_from_the_commit(bank, server, callout_queue, moving_clock):
    callouts.enqueue("Submit", request(), retry=RetryPolicy(delays=(60.0,)))
    assert callout_queue.run_all() == []
    moving_clock.move(timedelta(seconds=61))
    assert len(callout_queue.run_all()) == 1
