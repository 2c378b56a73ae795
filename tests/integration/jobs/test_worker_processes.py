"""Real workers: killed, stopped, restarted, with their database and broker away."""

import os
import signal
from datetime import datetime

import pytest

from tests.engines import postgres_url
from tests.processes import is_running, migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

REDIS_URLS = {"sqlite": "redis://127.0.0.1:6379/11", "postgresql": "redis://127.0.0.1:6379/12"}


def redis_answers():
    import redis

    try:
        return redis.from_url(REDIS_URLS["sqlite"], socket_connect_timeout=1).ping()
    except redis.RedisError:
        return False


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request):
    if request.param == "postgresql" and not postgres_url():
        pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
    return request.param


SETTINGS = {
    "ISTHMUS_APPS": "tests.job_samples",
    "ISTHMUS_JOBS_LEASE_SECONDS": "3",
    "ISTHMUS_JOBS_HEARTBEAT_SECONDS": "0.5",
    "ISTHMUS_JOBS_OVERRUN_SECONDS": "1",
}


@pytest.fixture
def instance(engine, tmp_path):
    """A platform whose workers the test starts and ends."""
    with migrated_instance(engine, tmp_path, postgres=postgres_url(), **SETTINGS) as started:
        yield started


@pytest.fixture(scope="module")
def served(engine, tmp_path_factory):
    """A platform with a worker that no test ends."""
    folder = tmp_path_factory.mktemp("served")
    with migrated_instance(engine, folder, postgres=postgres_url(), **SETTINGS) as started:
        started.worker = start_worker(started)
        yield started


def start_worker(instance, **environment):
    worker = instance.start("worker", **environment)
    wait_until(lambda: "worker.started" in worker.output, "the worker has started", timeout_seconds=120)
    return worker


def enqueue(instance, call):
    """Enqueue through the platform, and return the job's id as text."""
    return instance.python(f"from tests.job_samples import jobs\nprint(jobs.{call}.pk)")


def state_of(instance, job_id):
    [(state,)] = instance.rows(f"SELECT state FROM jobs_job WHERE id = '{database_id(instance, job_id)}'")
    return state


def database_id(instance, job_id):
    return job_id.replace("-", "") if instance.database_url.startswith("sqlite") else job_id


def ended(instance, job_id, state="Completed"):
    return lambda: state_of(instance, job_id) == state


def effects(instance, name):
    return [attempt for (attempt,) in instance.rows(f"SELECT attempt FROM job_samples_effect WHERE name = '{name}'")]


def entered(tmp_path, name, times=1):
    trace = tmp_path / f"{name}.entered"
    return lambda: trace.exists() and len(trace.read_text().splitlines()) >= times


def seconds_between(earlier, later):
    read = [datetime.fromisoformat(str(each)) for each in (earlier, later)]
    return (read[1] - read[0]).total_seconds()


def column(instance, job_id, names):
    [row] = instance.rows(f"SELECT {names} FROM jobs_job WHERE id = '{database_id(instance, job_id)}'")
    return row


def gated(sample, folder, name):
    return f"{sample}.enqueue(folder={str(folder)!r}, name={name!r})"


# --- one worker serves them all ---
def test_what_is_enqueued_runs_once_and_soon(served):
    served.python("from tests.job_samples import jobs\nfor n in range(20): jobs.note.enqueue(name=f'soon-{n}')")
    effects_so_far = "SELECT count(*), count(DISTINCT name) FROM job_samples_effect WHERE name LIKE 'soon-%'"
    wait_until(lambda: served.rows(effects_so_far) == [(20, 20)], "twenty jobs took effect")
    mine = (
        "arguments LIKE '%soon-%'" if served.database_url.startswith("sqlite") else "arguments->>'name' LIKE 'soon-%'"
    )
    wait_until(
        lambda: served.rows(f"SELECT count(*) FROM jobs_job WHERE {mine} AND state = 'Completed'") == [(20,)],
        "twenty jobs are completed",
    )
    waits = sorted(
        seconds_between(*row) for row in served.rows(f"SELECT created_at, started_at FROM jobs_job WHERE {mine}")
    )
    assert waits[len(waits) // 2] < 5, "the bell is heard, not only the sweeper"
    assert served.rows(f"SELECT max(attempts), min(attempts) FROM jobs_job WHERE {mine}") == [(1, 1)]


def test_the_job_of_a_killed_child_is_taken_by_another(served, tmp_path):
    job_id = enqueue(served, gated("plain_with_gate", tmp_path, "child"))
    wait_until(entered(tmp_path, "child"), "the job is in the middle")
    (holder,) = column(served, job_id, "lease_holder")
    os.kill(int(holder.rpartition(".")[2]), signal.SIGKILL)
    wait_until(entered(tmp_path, "child", times=2), "another child has it")
    (tmp_path / "child.gate").touch()
    wait_until(ended(served, job_id), "the job is completed")
    assert effects(served, "child") == [2]
    assert served.worker.is_running


def test_a_job_lives_longer_than_its_lease_while_its_worker_lives(served, tmp_path):
    job_id = enqueue(served, gated("atomic_with_gate", tmp_path, "long"))
    wait_until(entered(tmp_path, "long"), "the job is in the middle")
    beat, lease = column(served, job_id, "heartbeat_at, lease_expires_at")
    if served.database_url.startswith("sqlite"):
        # One writer at a time: nothing can be renewed while the job's transaction is open, so its lease is long.
        assert seconds_between(beat, lease) > 300
    else:
        wait_until(
            lambda: seconds_between(lease, column(served, job_id, "lease_expires_at")[0]) > 4,
            "the lease was renewed beyond its first length",
        )
    (tmp_path / "long.gate").touch()
    wait_until(ended(served, job_id), "the job is completed")
    assert column(served, job_id, "attempts, worker_deaths") == (1, 0)


def test_an_aborted_job_ends_at_its_next_checkpoint(served, tmp_path):
    ids = [enqueue(served, gated("until_aborted", tmp_path, name)) for name in ("first", "second")]
    for name in ("first", "second"):
        wait_until(entered(tmp_path, name), "both children are busy")
    for job_id in ids:
        served.python(
            "from isthmus.jobs.actions import abort\nfrom isthmus.jobs.models import Job\n"
            f"abort(Job.objects.get(pk='{job_id}'))"
        )
    after = enqueue(served, "note.enqueue(name='after-abort')")
    wait_until(ended(served, after), "a child is free again")
    assert [state_of(served, job_id) for job_id in ids] == ["Aborted", "Aborted"]


def test_time_limits_are_kept_even_by_who_ignores_them(served, tmp_path):
    slow = enqueue(served, gated("too_slow", tmp_path, "slow"))
    deaf = enqueue(served, gated("deaf_to_its_limit", tmp_path, "deaf"))
    wait_until(ended(served, slow, "Failed"), "the slow job is interrupted")
    assert column(served, slow, "error")[0].startswith("TimeLimitExceeded")
    wait_until(ended(served, deaf, "Failed"), "the deaf job is given up", timeout_seconds=90)
    assert column(served, deaf, "reason, attempts") == ("worker died 2 times", 2)
    after = enqueue(served, "note.enqueue(name='after-limits')")
    wait_until(ended(served, after), "the child was replaced")


def test_failures_are_retried_by_the_sweeper(served):
    job_id = enqueue(served, "fails_first.enqueue(name='again')")
    wait_until(ended(served, job_id), "the second attempt succeeds")
    assert effects(served, "again") == [2]


def test_a_program_started_by_a_job_heeds_signals(served):
    job_id = enqueue(served, "starts_a_program.enqueue()")
    wait_until(ended(served, job_id), "the job is completed")
    assert int(column(served, job_id, "result")[0]) == -signal.SIGTERM


def test_a_worker_outlives_a_restart_of_its_database(served, engine):
    if engine == "sqlite":
        pytest.skip("A file does not restart.")
    for _ in range(3):
        served.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    after = enqueue(served, "note.enqueue(name='after-restart')")
    wait_until(ended(served, after), "a job runs after")
    assert effects(served, "after-restart") == [1]
    assert served.worker.is_running


def test_two_workers_share_the_work_and_run_nothing_twice(served):
    start_worker(served)
    served.python(
        "from django.db import transaction\nfrom tests.job_samples import jobs\n"
        "with transaction.atomic():\n    for n in range(40): jobs.note.enqueue(name=f'shared-{n}')"
    )
    query = "SELECT count(*), count(DISTINCT name) FROM job_samples_effect WHERE name LIKE 'shared-%'"
    wait_until(lambda: served.rows(query)[0][1] == 40, "all jobs took effect", timeout_seconds=60)
    wait_until(
        lambda: served.rows("SELECT count(*) FROM jobs_job WHERE finished_at IS NULL") == [(0,)], "all jobs are ended"
    )
    assert served.rows(query) == [(40, 40)]


# --- workers that end ---
def test_the_jobs_of_a_killed_worker_run_again_and_take_effect_once(instance, tmp_path):
    worker = start_worker(instance)
    # On SQLite an atomic job keeps all other writers waiting, so the plain one has to be in the middle before.
    plain = enqueue(instance, gated("plain_with_gate", tmp_path, "plain"))
    wait_until(entered(tmp_path, "plain"), "the plain job is in the middle")
    atomic = enqueue(instance, gated("atomic_with_gate", tmp_path, "atomic"))
    wait_until(entered(tmp_path, "atomic"), "the atomic job is in the middle")
    members = worker.members()
    assert len(members) >= 4
    worker.kill(signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, members)), "no orphan is left", timeout_seconds=5)
    assert effects(instance, "atomic") == effects(instance, "plain") == []
    (tmp_path / "plain.gate").touch()
    (tmp_path / "atomic.gate").touch()
    start_worker(instance)
    wait_until(ended(instance, plain), "the plain job is completed")
    wait_until(ended(instance, atomic), "the atomic job is completed")
    assert effects(instance, "plain") == effects(instance, "atomic") == [2]
    mine = "SELECT DISTINCT attempts, worker_deaths, failures FROM jobs_job WHERE kind = 'Queueable'"
    assert instance.rows(mine) == [(2, 1, 0)]


def test_a_batch_goes_on_at_the_chunk_where_its_worker_was_killed(instance, tmp_path):
    worker = start_worker(instance)
    call = (
        f"GatedBatch.enqueue(folder={str(tmp_path)!r}, name='batch', numbers=11, gate_at=7, "
        "finalizer=jobs.tell_of_the_end.step(name='batch'))"
    )
    batch = enqueue(instance, call)
    wait_until(entered(tmp_path, "batch"), "the third chunk is in the middle")
    worker.kill(signal.SIGKILL)
    wait_until(lambda: not worker.members(), "the worker is gone")
    assert instance.rows("SELECT done, chunks FROM jobs_batchrun") == [(6, 2)]
    (tmp_path / "batch.gate").touch()
    start_worker(instance)
    wait_until(ended(instance, batch), "the batch is completed")
    wait_until(lambda: effects(instance, "batch-Completed"), "the finalizer has run")
    # Two chunks by the first attempt, the others by the second, nothing twice, nothing left out.
    assert [effects(instance, f"batch-{number}") for number in range(11)] == [[1]] * 6 + [[2]] * 5
    assert (effects(instance, "batch-finished"), effects(instance, "batch-Completed")) == ([2], [1])
    assert instance.rows("SELECT done, failed, chunks FROM jobs_batchrun") == [(11, 0, 4)]
    assert column(instance, batch, "progress_done, progress_total") == (11, 11)


def test_a_stopping_worker_lets_jobs_end_takes_no_other_and_gives_back_the_rest(instance, tmp_path):
    worker = start_worker(instance, ISTHMUS_JOBS_STOP_GRACE_SECONDS="4", ISTHMUS_WORKER_PROCESSES="2")
    ending = enqueue(instance, gated("plain_with_gate", tmp_path, "ending"))
    wait_until(entered(tmp_path, "ending"), "one job is in the middle")
    staying = enqueue(instance, gated("plain_with_gate", tmp_path, "staying"))
    wait_until(entered(tmp_path, "staying"), "the other job is in the middle")
    waiting = enqueue(instance, "note.enqueue(name='waiting')")
    worker.kill_group(signal.SIGTERM)
    wait_until(lambda: "worker.stopping" in worker.output, "no other job is begun")
    (tmp_path / "ending.gate").touch()
    assert worker.wait(60) == 0
    assert worker.members() == []
    assert "in_order=False jobs_given_back=1" in worker.output
    assert [state_of(instance, each) for each in (ending, staying, waiting)] == ["Completed", "Queued", "Queued"]
    (tmp_path / "staying.gate").touch()
    again = start_worker(instance)
    wait_until(ended(instance, staying), "the job that was given back is completed")
    wait_until(ended(instance, waiting), "the job that waited is completed")
    assert column(instance, staying, "attempts, worker_deaths") == (2, 0)
    again.kill(signal.SIGTERM)
    assert again.wait(60) == 0
    assert again.members() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_ends_a_worker_in_order(instance, number):
    worker = start_worker(instance)
    worker.kill_group(number)
    assert worker.wait(60) == 0
    assert worker.members() == []
    assert "in_order=True" in worker.output
    assert instance.rows("SELECT * FROM jobs_processheartbeat") == []


# --- Redis rings ---
@pytest.mark.skipif("not redis_answers()", reason="No Redis on 127.0.0.1:6379.")
def test_redis_rings_as_well_and_its_loss_loses_nothing(instance, engine):
    import redis

    server = redis.from_url(REDIS_URLS[engine])
    server.flushdb()
    instance.environment["ISTHMUS_BROKER_URL"] = REDIS_URLS[engine]
    job_id = enqueue(instance, "note.enqueue(name='a')")
    assert server.llen("isthmus:bell") == 1
    server.flushdb()
    worker = start_worker(instance)
    wait_until(ended(instance, job_id), "the worker looked for itself", timeout_seconds=30)
    second = enqueue(instance, "note.enqueue(name='b')")
    wait_until(ended(instance, second), "Redis told of the job")
    [(created, begun)] = instance.rows(
        f"SELECT created_at, started_at FROM jobs_job WHERE id = '{database_id(instance, second)}'"
    )
    assert seconds_between(created, begun) < 2
    worker.kill_group(signal.SIGTERM)
    assert worker.wait(60) == 0


def test_without_its_broker_a_worker_works_all_the_same(instance, engine):
    if engine != "sqlite":
        pytest.skip("The broker is Redis for both databases.")
    instance.environment["ISTHMUS_BROKER_URL"] = "redis://127.0.0.1:9/0"
    worker = start_worker(instance)
    job_id = enqueue(instance, "note.enqueue(name='a')")
    wait_until(ended(instance, job_id), "the worker looked for itself", timeout_seconds=30)
    wait_until(lambda: "broker.away" in worker.output, "the worker says that its broker is away")
    worker.kill_group(signal.SIGTERM)
    assert worker.wait(60) == 0
