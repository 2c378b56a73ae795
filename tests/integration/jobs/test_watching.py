"""What others see: heartbeats, probes, the set-up pages, the bell on django-q2."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from isthmus import health
from isthmus.jobs import processes, queueable
from isthmus.jobs.django_q_worker import answer_bell
from isthmus.jobs.jobs import purge_ended_jobs
from isthmus.jobs.models import Job, ProcessHeartbeat, Schedule

pytestmark = pytest.mark.django_db


@queueable()
def note(name: str) -> str:
    return name


def ask(name):
    return {probe.name: told for probe, told in health.probe_all()}[name]


def test_a_process_has_one_heartbeat(moving_clock):
    name = processes.new_name()
    processes.beat("bus", name)
    first = processes.last_beat("bus")
    moving_clock.move(timedelta(seconds=5))
    processes.beat("bus", name)
    again = processes.last_beat("bus")
    assert (again.pk, again.started_at, again.beat_at) == (first.pk, first.started_at, moving_clock.now())
    assert processes.last_beat("worker") is None
    processes.stopped("bus", name)
    assert not ProcessHeartbeat.objects.exists()


def test_the_worker_probe_tells_of_a_missing_and_a_silent_worker(moving_clock):
    assert ask("worker").ok is False
    assert "manage.py worker" in ask("worker").summary
    processes.beat("worker", "w")
    moving_clock.move(timedelta(seconds=30))
    assert (ask("worker").ok, ask("worker").age_seconds) == (True, 30)
    moving_clock.move(timedelta(seconds=1))
    assert (ask("worker").ok, ask("worker").age_seconds) == (False, 31)


def test_the_queue_probe_tells_how_long_work_waits(jobs, moving_clock):
    assert (ask("queue").ok, ask("queue").age_seconds) == (True, 0)
    note.enqueue(name="x")
    moving_clock.move(timedelta(seconds=300))
    assert (ask("queue").ok, ask("queue").age_seconds) == (True, 300)
    moving_clock.move(timedelta(seconds=1))
    assert ask("queue").ok is False
    jobs.run_all()
    assert ask("queue").ok is True


@pytest.mark.django_db(transaction=True)
def test_an_answered_bell_runs_what_is_ready_and_a_second_one_does_nothing(jobs):
    ready = note.enqueue_many([{"name": str(number)} for number in range(7)])
    later = note.enqueue(name="later", delay=timedelta(hours=1))
    answer_bell()
    answer_bell()
    assert set(Job.objects.filter(state="Completed").values_list("pk", "attempts")) == {(job.pk, 1) for job in ready}
    later.refresh_from_db()
    assert (later.state, later.attempts) == ("Queued", 0)


def test_old_ended_jobs_are_purged_and_others_stay(jobs, moving_clock):
    old = note.enqueue(name="old")
    jobs.run_all()
    moving_clock.move(timedelta(days=30, seconds=1))
    follower = note.enqueue(name="follower", after=old)
    waiting = note.enqueue(name="waiting", delay=timedelta(days=1))
    assert purge_ended_jobs() == {"purged": 1}
    assert set(Job.objects.values_list("pk", flat=True)) == {follower.pk, waiting.pk}


@pytest.fixture
def administrator(client):
    client.force_login(User.objects.create_superuser("administrator"))
    return client


def test_the_set_up_pages_show_a_job_and_let_nobody_change_it(administrator, jobs):
    job = note.enqueue(name="x")
    jobs.run_all()
    assert administrator.get(reverse("admin:jobs_job_changelist")).status_code == 200
    assert administrator.get(reverse("admin:jobs_job_change", args=[job.pk])).status_code == 200
    assert administrator.get(reverse("admin:jobs_job_add")).status_code == 403
    assert administrator.post(reverse("admin:jobs_job_delete", args=[job.pk])).status_code == 403
    for name in ("lease", "processheartbeat", "schedule"):
        assert administrator.get(reverse(f"admin:jobs_{name}_changelist")).status_code == 200


def test_jobs_are_aborted_and_retried_in_the_set_up_pages(administrator, jobs):
    job = note.enqueue(name="x")
    for action, state in (("abort_chosen", "Aborted"), ("retry_chosen", "Queued")):
        chosen = {"action": action, "_selected_action": [str(job.pk)]}
        administrator.post(reverse("admin:jobs_job_changelist"), chosen)
        job.refresh_from_db()
        assert job.state == state


def test_a_schedule_for_an_unknown_function_is_not_saved(administrator):
    form = {
        "name": "s",
        "function": "os.getcwd",
        "arguments": "{}",
        "cron": "",
        "interval_seconds": "60",
        "enabled": "on",
    }
    form |= {"next_run_at_0": "", "next_run_at_1": "", "time_zone": "UTC", "missed": "once"}
    answer = administrator.post(reverse("admin:jobs_schedule_add"), form)
    assert "os.getcwd is not declared" in answer.content.decode()
    assert not Schedule.objects.exists()
    form["function"] = "isthmus.jobs.jobs.purge_ended_jobs"
    administrator.post(reverse("admin:jobs_schedule_add"), form)
    assert Schedule.objects.get().function == "isthmus.jobs.jobs.purge_ended_jobs"
