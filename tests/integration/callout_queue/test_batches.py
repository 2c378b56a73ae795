"""Many records in chunks: progress, partial failure, restart."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

import callouts
from callouts.queue import batches
from callouts.queue.errors import BatchRefused
from callouts.queue.models import BatchChunk, CalloutBatch, QueuedCallout
from tests import queue_functions
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def bulk(server):
    """Let `/bulk` answer, and refuse what `refuse` says of the ids it gets."""
    refused = set()

    def answer(arrived):
        ids = json.loads(arrived.body)["ids"]
        status = 400 if "broken" in ids else 200
        return Answer(status, json.dumps({"refused": [one for one in ids if one in refused]}).encode())

    server.answers["/bulk"] = answer
    return refused


def start(records, **arguments):
    queue_functions.builds.clear()
    arguments = {"chunk_size": 2, **arguments}
    return callouts.send_batch("Publish", queue_functions.chunk_request, records, **arguments)


def run(jobs, callout_queue):
    for _ in range(3):
        jobs.run_all()
        callout_queue.run_all()
    jobs.run_all()


def progress(batch):
    found = batches.progress_of(CalloutBatch.objects.get(pk=batch.pk))
    return (found.total, found.succeeded, found.failed, found.in_doubt, found.open)


def fresh(batch):
    return CalloutBatch.objects.get(pk=batch.pk)


def test_a_batch_leaves_in_chunks_after_the_commit(bank, server, bulk, jobs, callout_queue):
    with transaction.atomic():
        groups = [Group.objects.create(name=f"g{number}") for number in range(5)]
        batch = start(Group.objects.order_by("pk"), idempotent=True)
    assert progress(batch) == (5, 0, 0, 0, 5)
    run(jobs, callout_queue)
    sent = sorted(json.loads(one.body)["ids"] for one in server.requests)
    keys = [str(group.pk) for group in groups]
    assert sorted(one for ids in sent for one in ids) == sorted(keys)
    assert [len(one) for one in sent].count(2) == 2
    assert {one.headers["idempotency-key"] for one in server.requests} == {f"batch-{batch.pk}-{n}" for n in (1, 2, 3)}
    assert (fresh(batch).state, progress(batch)) == ("completed", (5, 5, 0, 0, 0))


def test_a_rolled_back_batch_sends_nothing(bank, server, bulk, jobs, callout_queue):
    with transaction.atomic():
        start(["1", "2"])
        transaction.set_rollback(True)
    run(jobs, callout_queue)
    assert server.connections == 0


def test_single_records_that_were_refused_fail_and_are_restarted_alone(bank, server, bulk, jobs, callout_queue):
    bulk.update({"2", "5"})
    batch = start(["1", "2", "3", "4", "5"], read=queue_functions.refused_of)
    run(jobs, callout_queue)
    assert (fresh(batch).state, progress(batch)) == ("partly_failed", (5, 3, 2, 0, 0))
    assert BatchChunk.objects.get(batch=batch, number=1).failures == {"2": "closed"}
    bulk.clear()
    assert batches.restart(batch) == 1
    run(jobs, callout_queue)
    assert json.loads(server.requests[-1].body)["ids"] == ["2", "5"]
    assert len(server.requests) == 4
    assert (fresh(batch).state, progress(batch)) == ("completed", (5, 5, 0, 0, 0))


def test_chunks_that_failed_or_could_not_be_built_are_restarted(bank, server, bulk, jobs, callout_queue):
    batch = start(["1", "broken", "3", "4", "5"], context="fail")
    run(jobs, callout_queue)
    assert (fresh(batch).state, progress(batch)) == ("partly_failed", (5, 1, 4, 0, 0))
    told = BatchChunk.objects.get(batch=batch, number=2).error
    assert told == "KeyError while its request was built; the log has its trace."
    CalloutBatch.objects.update(context=None)
    server.answers["/bulk"] = lambda _: Answer(200, b"{}")
    assert batches.restart(batch) == 2
    run(jobs, callout_queue)
    assert (fresh(batch).state, progress(batch)) == ("completed", (5, 5, 0, 0, 0))


def test_a_build_that_was_cut_off_goes_on_where_it_stopped(bank, server, bulk, jobs, callout_queue):
    batch = start([str(number) for number in range(6)])
    first = BatchChunk.objects.get(batch=batch, number=1)
    first.batch = batch
    batches._build_chunk(first)
    assert QueuedCallout.objects.count() == 1
    run(jobs, callout_queue)
    assert sorted(map(tuple, queue_functions.builds)) == [("0", "1"), ("2", "3"), ("4", "5")]
    assert len(server.requests) == 3


def test_what_is_in_doubt_is_shown_and_not_restarted(bank, server, jobs, callout_queue):
    server.faults["/bulk"] = server.faults["/close-after-request"]
    batch = start(["1", "2"])
    run(jobs, callout_queue)
    assert (fresh(batch).state, progress(batch)) == ("partly_failed", (2, 0, 0, 2, 0))
    with pytest.raises(BatchRefused):
        batches.restart(batch)


def test_a_cancelled_batch_gives_up_what_has_not_left(bank, server, bulk, jobs, callout_queue):
    batch = start(["1", "2", "3"])
    jobs.run_all()
    assert batches.cancel(batch) == 2
    run(jobs, callout_queue)
    assert (fresh(batch).state, server.connections) == ("cancelled", 0)
    with pytest.raises(BatchRefused):
        batches.cancel(batch)


def test_a_user_who_is_gone_sends_nothing(bank, server, bulk, jobs, callout_queue):
    user = get_user_model().objects.create_user("ada")
    batch = start(["1"], user=user)
    user.delete()
    run(jobs, callout_queue)
    assert server.connections == 0
    assert "ada, on whose behalf" in BatchChunk.objects.get(batch=batch).error


@pytest.mark.parametrize(
    "arguments",
    [
        {"records": []},
        {"records": ["1"], "chunk_size": 0},
        {"records": ["1"], "chunk_size": 10_001},
        {"records": ["1"], "read": queue_functions.without_outcome},
    ],
)
def test_batches_that_make_no_sense_are_refused(bank, arguments):
    with pytest.raises(BatchRefused):
        start(**arguments)
    assert not CalloutBatch.objects.exists()
