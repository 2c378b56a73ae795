"""What a thread beside the job does: heartbeats, progress and log lines while the job runs, news of an abort."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from isthmus.jobs import current_job, execution, queueable, transitions
from isthmus.jobs.actions import abort
from isthmus.jobs.models import Job, JobLogLine
from isthmus.jobs.reporting import ThreadReporter
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

gate = threading.Event()
inside = threading.Event()


@queueable()
def report_and_wait() -> str:
    job = current_job()
    job.log("begun", step=1)
    job.progress(1, 2)
    inside.set()
    gate.wait(60)
    job.checkpoint()
    job.progress(2, 2)
    job.log("ended", step=2)
    return "ended"


@queueable(atomic=True)
def write_and_wait() -> None:
    Group.objects.create(name="desk")
    inside.set()
    gate.wait(60)


@pytest.fixture(autouse=True)
def closed_gate(settings):
    settings.ISTHMUS_JOBS_HEARTBEAT_SECONDS = 0.1
    gate.clear()
    inside.clear()


def run_in_a_thread(job):
    def run():
        with ThreadReporter() as reporter:
            execution.run(job.pk, reporter)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert inside.wait(60)
    return thread


def test_a_running_job_is_seen_from_outside(jobs):
    job = report_and_wait.enqueue()
    thread = run_in_a_thread(job)
    begun = Job.objects.get(pk=job.pk)
    wait_until(lambda: Job.objects.get(pk=job.pk).progress_done == 1, "its progress is seen")
    wait_until(JobLogLine.objects.filter(message="begun").exists, "its line is seen")
    wait_until(lambda: Job.objects.get(pk=job.pk).heartbeat_at > begun.heartbeat_at, "its heart beats")
    assert Job.objects.get(pk=job.pk).state == "Processing"
    gate.set()
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.result, job.progress_done, job.progress_total) == ("Completed", "ended", 2, 2)
    assert [line.message for line in job.log_lines.all()] == ["begun", "ended"]


def test_an_abort_is_noticed_at_the_next_checkpoint(jobs):
    job = report_and_wait.enqueue()
    thread = run_in_a_thread(job)
    abort(job, None, "enough")
    pause = threading.Event()
    pause.wait(1)
    gate.set()
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.reason, job.result, job.failures) == ("Aborted", "aborted: enough", None, 0)
    assert [line.message for line in job.log_lines.all()] == ["begun"]


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer: nobody could take the lease.")
def test_the_effects_of_an_atomic_job_are_undone_when_its_lease_passed_on(jobs):
    job = write_and_wait.enqueue()
    thread = run_in_a_thread(job)
    Job.objects.filter(pk=job.pk).update(lease_expires_at=job.created_at - timedelta(days=1))
    assert transitions.revive(Job.objects.get(pk=job.pk))
    gate.set()
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.worker_deaths, job.finished_at) == ("Queued", 1, None)
    assert not Group.objects.exists()
    [ended] = jobs.run_all()
    assert (ended.state, ended.attempts) == ("Completed", 2)
    assert Group.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="Elsewhere a heartbeat waits for nobody.")
def test_on_sqlite_a_heartbeat_that_must_wait_costs_the_job_nothing(jobs):
    job = report_and_wait.enqueue()
    thread = run_in_a_thread(job)
    with transaction.atomic():
        Group.objects.create(name="a writer that takes its time")
        pause = threading.Event()
        pause.wait(1)
    gate.set()
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.attempts, job.worker_deaths) == ("Completed", 1, 0)
