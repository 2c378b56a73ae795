"""Who waits for whom: several predecessors, their success or only their end, finalizers."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from isthmus.jobs import Ended, chain, current_job, dependencies, queueable, transitions
from isthmus.jobs.actions import abort, retry
from isthmus.jobs.errors import ArgumentsRefused, JobNotRetryable
from isthmus.jobs.models import Job, JobDependency
from isthmus.jobs.sweeper import Sweeper, revive_lost

LEASE = timedelta(seconds=10)

pytestmark = pytest.mark.django_db

broken = set()


@pytest.fixture(autouse=True)
def nothing_is_broken():
    broken.clear()


@queueable()
def note(name: str) -> str:
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name


@queueable()
def tell_what_was_before() -> list:
    job = current_job()
    assert job.before == job.predecessors[0]
    return [[str(each.id), each.state, each.result, each.error] for each in job.predecessors]


def state_of(job):
    job.refresh_from_db()
    return job.state


# --- several predecessors ---
def test_a_job_starts_when_all_before_it_are_completed(jobs):
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = tell_what_was_before.enqueue(after=[first, second])
    assert (last.state, last.reason) == ("Holding", "waits for the 2 operations before it")
    ended = jobs.run_all()
    assert [(job.pk, job.state) for job in ended] == [(job.pk, "Completed") for job in (first, second, last)]
    assert ended[-1].result == [[str(job.pk), "Completed", name, ""] for job, name in ((first, "1"), (second, "2"))]


def test_a_job_is_aborted_as_soon_as_one_before_it_fails(jobs, moving_clock):
    broken.add("1")
    first, late = note.enqueue(name="1"), note.enqueue(name="2", delay=timedelta(hours=1))
    last, after_last = chain(note.step(name="3"), note.step(name="4"))
    JobDependency.objects.bulk_create([JobDependency(job=last, predecessor=each) for each in (first, late)])
    Job.objects.filter(pk=last.pk).update(state="Holding")
    jobs.run_all()
    assert (state_of(late), state_of(last), state_of(after_last)) == ("Queued", "Aborted", "Aborted")
    assert (last.reason, last.finished_at) == ("the operation before it is Failed", moving_clock.now())


def test_the_end_alone_can_be_waited_for(jobs):
    broken.update({"1"})
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = note.enqueue(name="3", after=[Ended(first), second])
    jobs.run_all()
    assert (state_of(first), state_of(last)) == ("Failed", "Completed")


def test_waiting_for_success_is_stricter_than_waiting_for_the_end(jobs):
    broken.add("1")
    first = note.enqueue(name="1")
    last = note.enqueue(name="2", after=[Ended(first), first, Ended(first)])
    jobs.run_all()
    assert state_of(last) == "Aborted"


def test_what_has_ended_already_is_not_waited_for(jobs):
    broken.add("bad")
    good, bad = note.enqueue(name="good"), note.enqueue(name="bad")
    jobs.run_all()
    assert note.enqueue(name="x", after=[good, Ended(bad)]).state == "Queued"
    assert note.enqueue(name="x", after=[good, bad]).state == "Aborted"


def test_what_is_gone_cannot_be_waited_for(jobs):
    gone = note.enqueue(name="1")
    Job.objects.filter(pk=gone.pk).delete()
    with pytest.raises(ArgumentsRefused, match="to wait for"):
        note.enqueue(name="2", after=gone)


@pytest.mark.parametrize("condition", ["completed", "ended"])
def test_the_sweeper_lets_go_who_was_left_behind(jobs, condition):
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = note.enqueue(name="3", after=[first, second])
    JobDependency.objects.update(condition=condition)
    # As if each of the two ended without seeing the other one's end.
    Job.objects.filter(pk__in=[first.pk, second.pk]).update(state="Completed")
    Sweeper("w").sweep()
    assert state_of(last) == "Queued"


def test_the_sweeper_aborts_who_was_left_behind_and_so_on(jobs):
    first = note.enqueue(name="1")
    second = note.enqueue(name="2", after=first)
    third = note.enqueue(name="3", after=second, finalizer=note.step(name="4"))
    Job.objects.filter(pk=first.pk).update(state="Failed")
    Sweeper("w").sweep()
    assert [state_of(job) for job in (second, third)] == ["Aborted", "Aborted"]
    assert Job.objects.get(kind="Finalizer").state == "Queued"


def test_who_still_waits_is_not_left_behind(jobs):
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = note.enqueue(name="3", after=[first, second])
    Job.objects.filter(pk=first.pk).update(state="Completed")
    Sweeper("w").sweep()
    assert state_of(last) == "Holding"


def test_the_number_of_followers_costs_no_query(jobs, django_assert_num_queries):
    def with_followers(number):
        first = note.enqueue(name="1")
        for _ in range(number):
            note.enqueue(name="2", after=first)
        taken = Job.objects.get(pk=first.pk)
        transitions.claim(taken, holder="w.1", lease=LEASE)
        transitions.start(taken)
        return taken

    few, many = with_followers(2), with_followers(50)
    with django_assert_num_queries(5) as captured:
        transitions.complete(few, None, {})
    with django_assert_num_queries(len(captured)):
        transitions.complete(many, None, {})
    assert set(Job.objects.filter(dependencies__predecessor=many).values_list("state", flat=True)) == {"Queued"}


def test_a_sweep_asks_the_same_however_many_wait(jobs, django_assert_num_queries):
    first = note.enqueue(name="1", delay=timedelta(hours=1))
    note.enqueue(name="2", after=first)
    with django_assert_num_queries(1):
        dependencies.settle_stranded()
    for _ in range(30):
        note.enqueue(name="2", after=[first, Ended(first)])
    with django_assert_num_queries(1):
        dependencies.settle_stranded()


# --- finalizers ---
@pytest.mark.django_db(transaction=True)
def test_a_finalizer_is_added_with_its_job_or_not_at_all(jobs):
    with transaction.atomic():
        note.enqueue(name="1", finalizer=tell_what_was_before.step())
        transaction.set_rollback(True)
    assert not Job.objects.exists()
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    finalizer = Job.objects.get(kind="Finalizer")
    assert (finalizer.state, finalizer.correlation_id != "") == ("Holding", True)
    assert (job.state, jobs.rings) == ("Queued", 1)


def finalized(jobs, job):
    jobs.run_all(ignore_delays=True)
    finalizer = Job.objects.get(kind="Finalizer")
    assert finalizer.state == "Completed"
    [[before, *told]] = finalizer.result
    assert before == str(job.pk)
    return told


def test_a_finalizer_is_told_of_success(jobs, correlation_id):
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step(), subject=("Lead", "00Q1"))
    assert finalized(jobs, job) == ["Completed", "1", ""]
    finalizer = Job.objects.get(kind="Finalizer")
    assert (finalizer.correlation_id, finalizer.subject_id) == (correlation_id, "00Q1")


def test_a_finalizer_is_told_of_failure(jobs):
    broken.add("1")
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    assert finalized(jobs, job) == ["Failed", None, "ValueError: 1 is broken"]


def test_a_finalizer_is_told_that_the_job_was_aborted(jobs):
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    abort(job, reason="no more need")
    assert finalized(jobs, job) == ["Aborted", None, "aborted: no more need"]


def test_a_finalizer_runs_after_the_last_of_too_many_deaths(jobs, moving_clock):
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    for _ in range(2):
        taken = Job.objects.get(pk=job.pk)
        assert transitions.claim(taken, holder="gone.1", lease=LEASE)
        moving_clock.move(LEASE)
        assert revive_lost() == 1
    assert finalized(jobs, job) == ["Failed", None, "worker died 2 times"]


def test_a_finalizer_runs_for_a_job_that_is_aborted_before_it_starts(jobs):
    broken.add("bad")
    bad = note.enqueue(name="bad")
    jobs.run_all()
    job = note.enqueue(name="1", after=bad, finalizer=tell_what_was_before.step())
    assert job.state == "Aborted"
    assert finalized(jobs, job) == ["Aborted", None, "the operation before it is Failed"]


def test_the_finalizer_of_a_chain_runs_when_any_of_it_failed(jobs):
    broken.add("1")
    *_, last = chain(note.step(name="1"), note.step(name="2"), finalizer=tell_what_was_before.step())
    assert finalized(jobs, last) == ["Aborted", None, "the operation before it is Failed"]


def test_while_a_job_of_a_key_is_live_no_second_finalizer_is_added(jobs):
    for _ in range(2):
        note.enqueue(name="1", unique_key="k", finalizer=tell_what_was_before.step())
    assert Job.objects.filter(kind="Finalizer").count() == 1


def test_a_finalizer_runs_again_after_the_end_of_a_retry(jobs):
    broken.add("1")
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    for _ in range(2):
        jobs.run_all()
        retry(job)
    broken.clear()
    jobs.run_all()
    states = [finalizer.result[0][1] for finalizer in Job.objects.filter(kind="Finalizer").order_by("created_at", "pk")]
    assert sorted(states) == ["Completed", "Failed", "Failed"]


def test_a_finalizer_that_has_not_begun_waits_for_the_retry(jobs):
    broken.add("1")
    job = note.enqueue(name="1", finalizer=tell_what_was_before.step())
    taken = Job.objects.get(pk=job.pk)
    transitions.claim(taken, holder="w.1", lease=LEASE)
    transitions.fail(taken, reason="r", error="e", trace="", progress={})
    [finalizer] = Job.objects.filter(kind="Finalizer")
    assert finalizer.state == "Queued"
    retry(job)
    assert state_of(finalizer) == "Holding"
    broken.clear()
    assert finalized(jobs, job) == ["Completed", "1", ""]


def test_a_retry_waits_for_all_before_it(jobs):
    broken.add("2")
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = note.enqueue(name="3", after=[first, second])
    jobs.run_all()
    with pytest.raises(JobNotRetryable, match="before it first"):
        retry(last)
    broken.clear()
    retry(second)
    assert retry(last).state == "Holding"
    jobs.run_all()
    assert state_of(last) == "Completed"


def test_two_that_end_at_once_leave_nobody_behind(transactional_db, jobs):
    """On PostgreSQL neither sees the other one's end: the sweep after it does."""
    if connection.vendor != "postgresql":
        pytest.skip("On SQLite one transaction writes at a time.")
    first, second = note.enqueue(name="1"), note.enqueue(name="2")
    last = note.enqueue(name="3", after=[first, second])
    taken = [Job.objects.get(pk=job.pk) for job in (first, second)]
    for each in taken:
        transitions.claim(each, holder="w.1", lease=LEASE)
        transitions.start(each)
    other = connection.copy("other")
    try:
        with transaction.atomic():
            transitions.complete(taken[0], None, {})
            with other.cursor() as cursor:
                cursor.execute("UPDATE jobs_job SET state = 'Completed' WHERE id = %s", [taken[1].pk])
    finally:
        other.close()
    assert state_of(last) == "Holding"
    dependencies.settle_stranded()
    assert state_of(last) == "Queued"
