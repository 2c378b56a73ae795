"""What the sweeper finds: lost wake-ups, dead workers, followers left behind."""

from datetime import timedelta

import pytest
from django.db import connection

from isthmus.jobs import bells, chain, processes, queueable, transitions
from isthmus.jobs.bells import SilentBell
from isthmus.jobs.models import Job, ProcessHeartbeat
from isthmus.jobs.sweeper import Sweeper, ready_due, revive_lost

LEASE = timedelta(seconds=10)


@queueable(max_attempts=2)
def note(name: str) -> str:
    return name


def claimed(job, holder="gone.1"):
    taken = Job.objects.get(pk=job.pk)
    assert transitions.claim(taken, holder=holder, lease=LEASE)
    assert transitions.start(taken)
    return taken


pytestmark = pytest.mark.django_db


@pytest.fixture
def living_holder():
    """A holder of which nothing tells that it is dead: on SQLite, one whose lock file is held."""
    if connection.vendor != "sqlite":
        return "elsewhere.1"
    from isthmus.jobs import process_locks

    return process_locks.holder_name()


@pytest.mark.django_db(transaction=True)
def test_a_committed_job_whose_wake_up_was_lost_can_be_taken_all_the_same():
    with bells.use(SilentBell()):
        job = note.enqueue(name="x")
    assert [taken.pk for taken in transitions.take(5, holder="w.1", lease=LEASE)] == [job.pk]


def test_a_delayed_job_is_ready_when_it_is_due(jobs, moving_clock):
    job = note.enqueue(name="x", delay=timedelta(seconds=30))
    assert (ready_due(), jobs.rings) == (0, 0)
    assert transitions.take(5, holder="w.1", lease=LEASE) == []
    moving_clock.move(timedelta(seconds=30))
    assert (ready_due(), jobs.rings) == (1, 1)
    assert (ready_due(), jobs.rings) == (0, 1)
    assert [taken.pk for taken in transitions.take(5, holder="w.1", lease=LEASE)] == [job.pk]


def test_a_job_whose_lease_ran_out_runs_again(jobs, moving_clock, living_holder):
    job = claimed(note.enqueue(name="x"), living_holder)
    moving_clock.move(LEASE - timedelta(seconds=1))
    assert revive_lost() == 0
    moving_clock.move(timedelta(seconds=1))
    assert revive_lost() == 1
    job.refresh_from_db()
    assert (job.state, job.worker_deaths, job.failures, job.lease_holder) == ("Queued", 1, 0, "")
    assert ready_due() == 1
    [ended] = jobs.run_all()
    assert (ended.state, ended.attempts, ended.fencing_token) == ("Completed", 2, 2)


def test_a_heartbeat_keeps_the_job(moving_clock, living_holder):
    job = claimed(note.enqueue(name="x"), living_holder)
    for _ in range(5):
        moving_clock.move(timedelta(seconds=8))
        assert transitions.beat(job.pk, job.fencing_token, lease=LEASE, progress={"progress_done": 1})
        assert revive_lost() == 0
    job.refresh_from_db()
    assert (job.state, job.progress_done) == ("Processing", 1)


def test_a_job_that_kills_its_workers_fails_in_the_end(jobs, moving_clock):
    job = note.enqueue(name="x")
    for death in (1, 2, 3):
        claimed(job)
        moving_clock.move(LEASE)
        assert revive_lost() == 1
        job.refresh_from_db()
        assert job.worker_deaths == death
    assert (job.state, job.reason) == ("Failed", "worker died 3 times")
    assert job.finished_at == moving_clock.now()


def test_who_lost_the_lease_can_change_nothing(jobs, moving_clock):
    job = note.enqueue(name="x")
    old = claimed(job)
    moving_clock.move(LEASE)
    revive_lost()
    new = claimed(job)
    assert not transitions.complete(old, "old", {})
    assert not transitions.beat(old.pk, old.fencing_token, lease=LEASE, progress={})
    assert not transitions.fail(old, reason="old", error="old", trace="", progress={})
    assert not transitions.requeue_after_error(old, error="old", trace="", delay=timedelta(), progress={})
    assert transitions.complete(new, "new", {})
    job.refresh_from_db()
    assert (job.state, job.result, job.error) == ("Completed", "new", "")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="Elsewhere heartbeats tell, not locks.")
def test_on_sqlite_the_end_of_a_process_is_noticed_before_its_lease(moving_clock, living_holder):
    dead, alive = note.enqueue(name="dead"), note.enqueue(name="alive")
    claimed(dead, "ended-process.1")
    claimed(alive, living_holder)
    assert revive_lost() == 1
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, alive.state) == ("Queued", "Processing")


def test_what_a_stopping_worker_held_is_no_death():
    mine, others = note.enqueue(name="mine"), note.enqueue(name="others")
    claimed(mine, "worker-a.17")
    claimed(others, "worker-ab.17")
    assert transitions.give_back("worker-a") == 1
    mine.refresh_from_db()
    others.refresh_from_db()
    assert (mine.state, mine.worker_deaths, mine.ready_at) == ("Queued", 0, None)
    assert others.state == "Processing"


def test_a_follower_that_missed_the_end_of_its_predecessor_is_let_go(jobs, moving_clock):
    first, second = chain(note.step(name="1"), note.step(name="2"))
    # As if the predecessor ended while the follower was not committed yet.
    Job.objects.filter(pk=first.pk).update(state="Completed")
    Sweeper("w").sweep()
    second.refresh_from_db()
    assert second.state == "Queued"
    assert second.ready_at == moving_clock.now()


def test_a_sweep_beats_and_forgets_the_long_silent(jobs, moving_clock):
    processes.beat("worker", "old")
    moving_clock.move(timedelta(days=2))
    sweeper = Sweeper("new")
    sweeper.sweep()
    assert list(ProcessHeartbeat.objects.values_list("kind", "name")) == [("worker", "new")]
    first = processes.last_beat("worker").beat_at
    sweeper.sweep()
    assert processes.last_beat("worker").beat_at == first
    moving_clock.move(timedelta(seconds=2))
    sweeper.sweep()
    assert processes.last_beat("worker").beat_at == first + timedelta(seconds=2)


def test_a_sweep_of_a_quiet_platform_writes_nothing_and_asks_little(jobs, moving_clock, django_assert_max_num_queries):
    sweeper = Sweeper("w")
    sweeper.sweep()
    with django_assert_max_num_queries(8) as captured:
        sweeper.sweep()
    assert not [query["sql"] for query in captured if not query["sql"].startswith("SELECT")]
