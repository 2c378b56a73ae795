"""One job, from its claim to its end, inside this process."""

import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User

from isthmus import correlation
from isthmus.errors import IsthmusError
from isthmus.jobs import current_job, current_job_or_none, queueable, transitions
from isthmus.jobs.actions import abort
from isthmus.jobs.errors import NoCurrentJob
from isthmus.jobs.hooks import register_job_context, register_job_context_temporarily
from isthmus.jobs.models import Job
from isthmus.objects.capture import acting_user


class Wrong(IsthmusError):
    """The answer is wrong for good."""


class Busy(IsthmusError):
    """The other side is busy."""

    retryable = True


@queueable()
def add(left: int, right: int) -> int:
    return left + right


@queueable(max_attempts=3, retry_delays=(1, 10))
def fail_with(kind: str) -> None:
    password = "hunter2"  # a local variable that must not leak
    errors = {"wrong": Wrong("No such lead."), "busy": Busy(), "bug": KeyError("missing"), "exit": SystemExit(3)}
    raise errors[kind] from (ValueError("deeper") if password else None)


@queueable(atomic=True, max_attempts=2, retry_delays=(0,))
def make_group(name: str, fail_on_attempts: list) -> str:
    Group.objects.create(name=name)
    if current_job().attempt in fail_on_attempts:
        raise Busy
    return name


@queueable()
def return_something_odd() -> object:
    return object()


@queueable()
def report(lines: int) -> None:
    job = current_job()
    for number in range(lines):
        job.log("line", number=number)
        job.progress(number + 1, lines)


@queueable()
def tell_about_itself() -> dict:
    job = current_job()
    return {
        "attempt": job.attempt,
        "fencing_token": job.fencing_token,
        "idempotency_key": job.idempotency_key,
        "correlation_id": correlation.current(),
    }


@queueable()
def tell_who_acts() -> str:
    return acting_user().get_username()


@queueable(atomic=True)
def make_group_while_it_is_aborted(name: str) -> None:
    Group.objects.create(name=name)
    abort(Job.objects.get(pk=current_job().id), None, "changed our mind")
    current_job().checkpoint()
    raise RuntimeError("not reached")


@queueable(atomic=True)
def make_group_and_lose_the_lease(name: str) -> None:
    Group.objects.create(name=name)
    Job.objects.filter(pk=current_job().id).update(fencing_token=99)


@queueable(time_limit_seconds=0.05, max_attempts=1)
def never_return() -> None:
    threading.Event().wait()


pytestmark = pytest.mark.django_db


def test_a_job_completes_with_its_result(jobs):
    job = add.enqueue(left=2, right=3)
    assert (job.state, job.attempts) == ("Queued", 0)
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.result, ended.attempts, ended.fencing_token) == (job.pk, "Completed", 5, 1, 1)
    assert (ended.lease_holder, ended.lease_expires_at) == ("", None)
    assert ended.started_at <= ended.finished_at


def test_an_error_that_may_pass_is_retried_after_its_delays(jobs, moving_clock):
    job = fail_with.enqueue(kind="busy")
    for attempt, delay in ((1, 1), (2, 10)):
        [ended] = jobs.run_all()
        assert (ended.state, ended.attempts, ended.failures) == ("Queued", attempt, attempt)
        assert ended.run_at == moving_clock.now() + timedelta(seconds=delay)
        assert ended.ready_at is None
        assert jobs.run_all() == []
        moving_clock.move(timedelta(seconds=delay))
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.attempts) == (job.pk, "Failed", 3)
    assert ended.error == ended.reason == "Busy: The other side is busy."
    assert ended.error_trace == ""


def test_an_error_that_cannot_pass_ends_the_job_at_once(jobs):
    fail_with.enqueue(kind="wrong")
    [ended] = jobs.run_all(ignore_delays=True)
    assert (ended.state, ended.attempts, ended.error) == ("Failed", 1, "Wrong: No such lead.")


def test_an_unexpected_error_leaves_its_source_lines_but_no_values(jobs):
    fail_with.enqueue(kind="bug")
    [ended] = jobs.run_all()
    assert ended.state == "Queued"
    assert ended.error == "KeyError: 'missing'"
    assert 'raise errors[kind] from (ValueError("deeper") if password else None)' in ended.error_trace
    assert "ValueError: deeper" in ended.error_trace
    assert "hunter2" not in ended.error_trace.replace('password = "hunter2"', "")


def test_a_function_that_exits_fails_its_attempt_only(jobs):
    fail_with.enqueue(kind="exit")
    [ended] = jobs.run_all()
    assert (ended.state, ended.error) == ("Queued", "SystemExit: 3")


def test_an_atomic_job_keeps_nothing_of_a_failed_attempt(jobs):
    make_group.enqueue(name="desk", fail_on_attempts=[1])
    [ended] = jobs.run_all()
    assert (ended.state, ended.attempts) == ("Completed", 2)
    assert Group.objects.filter(name="desk").count() == 1
    make_group.enqueue(name="gone", fail_on_attempts=[1, 2])
    [ended] = jobs.run_all()
    assert ended.state == "Failed"
    assert not Group.objects.filter(name="gone").exists()


def test_an_atomic_job_that_is_aborted_leaves_nothing(jobs):
    # The abort is part of the job's own transaction here, so it is undone with it: what counts is that nothing stays.
    make_group_while_it_is_aborted.enqueue(name="desk")
    jobs.run_all()
    assert not Group.objects.exists()


def test_an_atomic_job_that_lost_its_lease_leaves_nothing(jobs):
    make_group_and_lose_the_lease.enqueue(name="desk")
    [ended] = jobs.run_all()
    assert not Group.objects.exists()
    assert ended.result is None
    assert ended.error.startswith("LeaseLost")


def test_a_result_that_is_not_json_fails_the_job(jobs):
    return_something_odd.enqueue()
    [ended] = jobs.run_all()
    assert ended.state == "Failed"
    assert "the result is of type object" in ended.error


def test_progress_and_log_lines_are_kept(jobs):
    report.enqueue(lines=3)
    [ended] = jobs.run_all()
    assert (ended.progress_done, ended.progress_total) == (3, 3)
    assert [(line.message, line.fields, line.attempt) for line in ended.log_lines.all()] == [
        ("line", {"number": number}, 1) for number in range(3)
    ]


def test_log_lines_beyond_the_limit_are_left_out(jobs, settings):
    settings.ISTHMUS_JOBS_LOG_LINES = 2
    report.enqueue(lines=5)
    [ended] = jobs.run_all()
    assert ended.log_lines.count() == 2
    assert ended.progress_done == 5


def test_the_correlation_of_the_enqueuer_is_bound_while_the_job_runs(jobs, correlation_id):
    job = tell_about_itself.enqueue()
    with correlation.bind("another"):
        [ended] = jobs.run_all()
    assert ended.result == {
        "attempt": 1,
        "fencing_token": 1,
        "idempotency_key": f"job-{job.pk}",
        "correlation_id": correlation_id,
    }


def test_a_job_acts_for_its_user_else_for_the_platform(jobs):
    tell_who_acts.enqueue(user=User.objects.create_user("ada"))
    tell_who_acts.enqueue()
    assert [ended.result for ended in jobs.run_all()] == ["ada", "automated-process"]


def test_outside_a_job_there_is_no_current_job():
    assert current_job_or_none() is None
    with pytest.raises(NoCurrentJob):
        current_job()


def test_a_registered_context_surrounds_the_function(jobs):
    seen = []

    @contextmanager
    def context(job):
        seen.append(("enter", job.function.rpartition(".")[2], current_job().id == job.pk))
        yield
        seen.append(("leave", job.function.rpartition(".")[2], True))

    with register_job_context_temporarily(context):
        with pytest.raises(ValueError, match="already"):
            register_job_context(context)
        add.enqueue(left=1, right=1)
        jobs.run_all()
    add.enqueue(left=1, right=1)
    jobs.run_all()
    assert seen == [("enter", "add", True), ("leave", "add", True)]


def test_a_context_that_refuses_fails_the_attempt(jobs):
    @contextmanager
    def context(_job):
        raise Wrong("Not here.")
        yield

    with register_job_context_temporarily(context):
        add.enqueue(left=1, right=1)
        [ended] = jobs.run_all()
    assert (ended.state, ended.error) == ("Failed", "Wrong: Not here.")


def test_a_job_whose_function_is_gone_fails_and_says_so(jobs):
    job = add.enqueue(left=1, right=1)
    Job.objects.filter(pk=job.pk).update(function="isthmus.jobs.jobs.renamed_since")
    [ended] = jobs.run_all()
    assert ended.state == "Failed"
    assert ended.error == "UnknownFunction: isthmus.jobs.jobs.renamed_since is not declared with @queueable."


def test_a_job_past_its_time_limit_is_interrupted(jobs):
    never_return.enqueue()
    [ended] = jobs.run_all()
    assert (ended.state, ended.error) == ("Failed", "TimeLimitExceeded: The operation ran longer than its time limit.")


def test_a_job_is_claimed_once(jobs):
    job = add.enqueue(left=1, right=1)
    first, second = Job.objects.get(pk=job.pk), Job.objects.get(pk=job.pk)
    assert transitions.claim(first, holder="one", lease=timedelta(seconds=10)) is True
    assert transitions.claim(second, holder="two", lease=timedelta(seconds=10)) is False
    assert Job.objects.get(pk=job.pk).lease_holder == "one"
    assert jobs.run_all() == []
