"""What enqueue promises: with the caller's transaction or not at all, once for each key, in order for a chain."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection, transaction

from isthmus.jobs import chain, enqueue, queueable
from isthmus.jobs.errors import ArgumentsRefused, UnknownFunction
from isthmus.jobs.models import Job


@queueable(kind="Sample")
def note(name: str) -> str:
    return name


@queueable()
def refuse(name: str) -> None:
    raise ArgumentsRefused(f"{name} is refused.")


@pytest.mark.django_db
def test_a_job_keeps_what_it_was_given(jobs, correlation_id, moving_clock):
    user = User.objects.create_user("ada")
    job = note.enqueue(name="x", user=user, subject=("Lead", "00Q1"), delay=timedelta(minutes=5))
    job.refresh_from_db()
    assert job.function == f"{__name__}.note"
    assert (job.kind, job.arguments, job.user, job.subject_type, job.subject_id) == (
        "Sample",
        {"name": "x"},
        user,
        "Lead",
        "00Q1",
    )
    assert (job.run_at, job.ready_at) == (moving_clock.now() + timedelta(minutes=5), None)
    assert job.correlation_id == correlation_id
    assert list(Job.objects.about("Lead", "00Q1")) == [job]


@pytest.mark.django_db
def test_an_anonymous_user_is_nobody(jobs):
    assert note.enqueue(name="x", user=AnonymousUser()).user is None


@pytest.mark.django_db
def test_a_delayed_job_runs_when_its_time_has_come(jobs, moving_clock):
    note.enqueue(name="x", delay=timedelta(seconds=30))
    assert jobs.run_all() == []
    moving_clock.move(timedelta(seconds=30))
    [ended] = jobs.run_all()
    assert ended.state == "Completed"


@pytest.mark.django_db
def test_a_function_can_be_named(jobs):
    enqueue(f"{__name__}.note", {"name": "by name"})
    enqueue(note, {"name": "by itself"})
    assert sorted(ended.result for ended in jobs.run_all()) == ["by itself", "by name"]


@pytest.mark.django_db
def test_what_is_refused_leaves_nothing(jobs):
    with pytest.raises(UnknownFunction):
        enqueue("isthmus.jobs.jobs.nothing")
    with pytest.raises(ArgumentsRefused):
        note.enqueue()
    for key in ("", "x" * 256):
        with pytest.raises(ArgumentsRefused, match="1 to 255"):
            note.enqueue(name="x", unique_key=key)
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_enqueued_in_a_transaction_takes_effect_with_its_commit(jobs):
    with transaction.atomic():
        job = note.enqueue(name="x")
        assert jobs.rings == 0
    assert jobs.rings == 1
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state) == (job.pk, "Completed")


@pytest.mark.django_db(transaction=True)
def test_a_job_enqueued_in_a_rolled_back_transaction_leaves_nothing(jobs):
    with transaction.atomic():
        note.enqueue(name="x")
        transaction.set_rollback(True)
    assert jobs.rings == 0
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_delayed_job_rings_no_bell_yet(jobs):
    note.enqueue(name="x", delay=timedelta(hours=1))
    assert jobs.rings == 0


@pytest.mark.django_db
def test_while_a_job_of_a_key_has_not_ended_there_is_no_other(jobs):
    first = note.enqueue(name="first", unique_key="lead-5")
    assert note.enqueue(name="second", unique_key="lead-5").pk == first.pk
    assert note.enqueue(name="other", unique_key="lead-6").pk != first.pk
    jobs.run_all()
    third = note.enqueue(name="third", unique_key="lead-5")
    assert third.pk != first.pk
    assert Job.objects.filter(unique_key="lead-5").count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_with_one_key_one_job_is_added(jobs):
    count = 12
    barrier, found = threading.Barrier(count), []

    def one():
        barrier.wait()
        found.append(note.enqueue(name="x", unique_key="only-one").pk)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == count
    assert set(found) == {Job.objects.get().pk}


@pytest.mark.django_db
def test_a_chain_runs_in_order(jobs):
    first, second, third = chain(note.step(name="1"), note.step(name="2"), note.step(name="3"))
    assert [job.state for job in (first, second, third)] == ["Queued", "Holding", "Holding"]
    assert second.reason == "waits for the operation before it"
    ended = jobs.run_all()
    assert [(job.pk, job.state, job.result, job.reason) for job in ended] == [
        (first.pk, "Completed", "1", ""),
        (second.pk, "Completed", "2", ""),
        (third.pk, "Completed", "3", ""),
    ]


@pytest.mark.django_db
def test_after_a_failure_the_rest_of_the_chain_is_aborted(jobs):
    first, second, third = chain(refuse.step(name="1"), note.step(name="2"), note.step(name="3"))
    assert [job.pk for job in jobs.run_all()] == [first.pk]
    second.refresh_from_db()
    third.refresh_from_db()
    assert (second.state, second.reason, second.attempts) == ("Aborted", "the operation before it is Failed", 0)
    assert (third.state, third.reason, third.attempts) == ("Aborted", "the operation before it is Aborted", 0)


@pytest.mark.django_db
def test_what_follows_an_ended_job_is_decided_at_once(jobs):
    good, bad = note.enqueue(name="1"), refuse.enqueue(name="2")
    jobs.run_all()
    assert note.enqueue(name="3", after=good).state == "Queued"
    late = note.enqueue(name="4", after=bad)
    assert (late.state, late.reason) == ("Aborted", "the operation before it is Failed")
    assert late.finished_at is not None


@pytest.mark.django_db
def test_a_delay_and_a_predecessor_must_both_be_over(jobs, moving_clock):
    first = note.enqueue(name="1")
    second = note.enqueue(name="2", after=first, delay=timedelta(minutes=1))
    assert [job.pk for job in jobs.run_all()] == [first.pk]
    second.refresh_from_db()
    assert second.state == "Queued"
    moving_clock.move(timedelta(minutes=1))
    assert [job.pk for job in jobs.run_all()] == [second.pk]
