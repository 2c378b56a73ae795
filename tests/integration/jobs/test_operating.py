"""What an operator can do: abort, retry; and running a job here and now."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from isthmus.access.errors import PermissionRefused
from isthmus.jobs import chain, queueable, transitions
from isthmus.jobs.actions import abort, retry, run_inline
from isthmus.jobs.errors import JobInsideTransaction, JobNotAbortable, JobNotRetryable
from isthmus.jobs.models import Job

attempts_to_fail = []


@queueable()
def note(name: str) -> str:
    if name in attempts_to_fail:
        attempts_to_fail.remove(name)
        raise ValueError(name)
    return name


@queueable(max_attempts=2, retry_delays=(60,))
def patient(name: str) -> str:
    raise ValueError(name)


@pytest.fixture(autouse=True)
def nothing_fails():
    attempts_to_fail.clear()


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("operator")


@pytest.mark.django_db
def test_an_aborted_job_never_runs(jobs, operator):
    job = note.enqueue(name="x")
    aborted = abort(job, operator, "wrong lead")
    assert (aborted.state, aborted.reason) == ("Aborted", "aborted by operator: wrong lead")
    assert aborted.finished_at is not None
    assert jobs.run_all() == []


@pytest.mark.django_db
def test_abort_takes_the_followers_along(jobs, operator):
    first, second, third = chain(note.step(name="1"), note.step(name="2"), note.step(name="3"))
    abort(second, operator, "")
    assert [job.pk for job in jobs.run_all()] == [first.pk]
    third.refresh_from_db()
    assert third.state == "Aborted"


@pytest.mark.django_db
def test_what_has_ended_cannot_be_aborted(jobs, operator):
    job = note.enqueue(name="x")
    [ended] = jobs.run_all()
    with pytest.raises(JobNotAbortable, match="Completed already"):
        abort(job, operator, "")
    ended.refresh_from_db()
    assert (ended.state, ended.reason) == ("Completed", "")


@pytest.mark.django_db
def test_who_may_not_operate_changes_nothing(jobs):
    stranger = User.objects.create_user("stranger")
    waiting = note.enqueue(name="x")
    with pytest.raises(PermissionRefused, match=r"console\.operate"):
        abort(waiting, stranger, "")
    waiting.refresh_from_db()
    assert waiting.state == "Queued"
    abort(waiting)
    with pytest.raises(PermissionRefused, match=r"console\.operate"):
        retry(waiting, stranger)
    waiting.refresh_from_db()
    assert waiting.state == "Aborted"


@pytest.mark.django_db
def test_a_retried_job_has_fresh_attempts_and_the_same_identity(jobs, operator):
    attempts_to_fail.append("x")
    job = note.enqueue(name="x")
    [failed] = jobs.run_all()
    assert (failed.state, failed.failures) == ("Failed", 1)
    again = retry(job, operator)
    assert (again.state, again.failures, again.finished_at, again.reason) == ("Queued", 0, None, "")
    assert again.idempotency_key == failed.idempotency_key
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.attempts) == (job.pk, "Completed", 2)


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["Holding", "Queued", "Preparing", "Processing", "Completed"])
def test_only_failed_and_aborted_jobs_can_be_retried(jobs, operator, state):
    job = note.enqueue(name="x")
    Job.objects.filter(pk=job.pk).update(state=state)
    with pytest.raises(JobNotRetryable, match=state):
        retry(job, operator)
    job.refresh_from_db()
    assert job.state == state


@pytest.mark.django_db
def test_a_chain_is_retried_from_its_beginning(jobs, operator):
    attempts_to_fail.append("1")
    first, second = chain(note.step(name="1"), note.step(name="2"))
    jobs.run_all()
    with pytest.raises(JobNotRetryable, match="before it first"):
        retry(second, operator)
    retry(first, operator)
    assert retry(second, operator).state == "Holding"
    assert [(job.pk, job.state) for job in jobs.run_all()] == [(first.pk, "Completed"), (second.pk, "Completed")]


@pytest.mark.django_db
def test_a_retry_does_not_break_a_unique_key(jobs, operator):
    attempts_to_fail.append("old")
    old = note.enqueue(name="old", unique_key="k")
    jobs.run_all()
    note.enqueue(name="new", unique_key="k")
    with pytest.raises(JobNotRetryable, match="under way"):
        retry(old, operator)
    old.refresh_from_db()
    assert old.state == "Failed"


@pytest.mark.django_db(transaction=True)
def test_an_inline_run_gives_the_ended_job(jobs):
    job = run_inline(note.enqueue(name="x"))
    assert (job.state, job.result, job.attempts) == ("Completed", "x", 1)
    assert run_inline(job).attempts == 1


@pytest.mark.django_db
def test_an_inline_run_works_inside_a_test_case(jobs):
    assert run_inline(note.enqueue(name="x")).state == "Completed"


@pytest.mark.django_db(transaction=True)
def test_an_inline_run_keeps_errors_to_the_job(jobs, moving_clock):
    job = run_inline(patient.enqueue(name="x"))
    assert (job.state, job.error) == ("Queued", "ValueError: x")
    assert job.run_at == moving_clock.now() + timedelta(seconds=60)
    assert run_inline(job).attempts == 1


@pytest.mark.django_db(transaction=True)
def test_an_inline_run_in_an_open_transaction_is_refused(jobs):
    with transaction.atomic():
        job = note.enqueue(name="x")
        with pytest.raises(JobInsideTransaction):
            run_inline(job)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("Queued", 0)


@pytest.mark.django_db(transaction=True)
def test_an_inline_run_waits_for_another_holder(jobs):
    job = note.enqueue(name="x")
    other = Job.objects.get(pk=job.pk)
    assert transitions.claim(other, holder="other", lease=timedelta(seconds=30))
    assert run_inline(job, wait_seconds=0).state == "Preparing"
    waits = threading.Event()

    def finish():
        waits.wait()
        transitions.start(other)
        transitions.complete(other, "from the other", {})
        connection.close()

    thread = threading.Thread(target=finish)
    thread.start()
    waits.set()
    ended = run_inline(job, wait_seconds=30)
    thread.join()
    assert (ended.state, ended.result, ended.attempts) == ("Completed", "from the other", 1)


@pytest.mark.django_db(transaction=True)
def test_many_inline_runs_at_once_run_the_job_once(jobs):
    job = note.enqueue(name="x")
    count, ended = 6, []
    barrier = threading.Barrier(count)

    def one():
        mine = Job.objects.get(pk=job.pk)
        barrier.wait()
        ended.append(run_inline(mine, wait_seconds=30))
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(each.state, each.attempts) for each in ended] == [("Completed", 1)] * count
