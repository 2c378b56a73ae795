"""Whatever is killed while jobs run: none is lost, and none takes effect twice beyond what its fence allows.

A plain job's effect and the note of its end are two commits, so a crash between them repeats it, under the same
idempotency key; each repetition is counted as a worker's death or as a failure. An atomic job's are one.
"""

import os
import re
import signal
import threading
import time

import pytest

from tests.engines import postgres_url
from tests.integration.jobs.test_worker_processes import SETTINGS, redis_answers, start_worker
from tests.postgres_server import own_postgres, postgres_programs
from tests.processes import Instance, is_running, migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

PLAIN, ATOMIC = 50, 30
ENQUEUE = f"""
from tests.job_samples import jobs
jobs.plain_step.enqueue_many([{{"name": f"plain-{{n}}"}} for n in range({PLAIN})])
jobs.atomic_step.enqueue_many([{{"name": f"atomic-{{n}}"}} for n in range({ATOMIC})])
for n in range(10):
    jobs.plain_step.enqueue(name=f"keyed-{{n}}", concurrency_key="one")
"""
ALL = PLAIN + ATOMIC + 10


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    if request.param == "postgresql" and not postgres_url():
        pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
    return request.param


@pytest.fixture(params=["database", "redis"])
def broker(request):
    if request.param == "redis" and not redis_answers():
        pytest.skip("No Redis on 127.0.0.1:6379.")
    return request.param


def environment_of(broker):
    if broker == "database":
        return SETTINGS
    # Not where other tests count the rings; to share it with one's like only costs a ring.
    return {**SETTINGS, "ISTHMUS_BROKER_URL": "redis://127.0.0.1:6379/13"}


def completed(instance):
    [(count,)] = instance.rows("SELECT count(*) FROM jobs_job WHERE state = 'Completed' AND function LIKE 'tests.%'")
    return count


def holders(instance):
    return [name for (name,) in instance.rows("SELECT DISTINCT lease_holder FROM jobs_job WHERE lease_holder <> ''")]


def every_promise_holds(instance):
    wait_until(lambda: completed(instance) == ALL, "all jobs are completed", timeout_seconds=150)
    rows = instance.rows(
        # One row for each job that took effect.
        "SELECT name, count(*) FROM job_samples_effect GROUP BY name"
    )
    effects = dict(rows)
    assert len(effects) == ALL
    assert {count for name, count in rows if name.startswith("atomic")} == {1}
    by_name = "json_extract(arguments, '$.name')" if "sqlite" in instance.database_url else "arguments->>'name'"
    repeated = instance.rows(f"SELECT {by_name}, worker_deaths + failures FROM jobs_job WHERE function LIKE 'tests.%'")
    assert [(name, deaths) for name, deaths in repeated if effects[name] > 1 + deaths] == []


def kill_a_child(instance):
    """Kill a process that runs a job just now."""
    for holder in holders(instance):
        pid = int(holder.rpartition(".")[2])
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
            return


def test_killed_workers_and_clusters(engine, broker, tmp_path):
    with migrated_instance(engine, tmp_path, postgres=postgres_url(), **environment_of(broker)) as instance:
        first, _second = start_worker(instance), start_worker(instance)
        instance.python(ENQUEUE)
        for goal in (10, 25):
            wait_until(lambda goal=goal: completed(instance) >= goal, f"{goal} jobs are completed")
            kill_a_child(instance)
        first.kill(signal.SIGKILL)
        wait_until(lambda: completed(instance) >= 45, "45 jobs are completed")
        third = start_worker(instance)
        kill_a_child(instance)
        every_promise_holds(instance)
        assert third.is_running


def test_a_killed_database(broker, tmp_path):
    if postgres_programs() is None:
        pytest.skip("The programs of PostgreSQL are not installed.")
    with own_postgres() as server:
        instance = Instance(server.url, tmp_path, **environment_of(broker))
        try:
            instance.run("migrate", "--run-syncdb", "--verbosity", "0", timeout_seconds=300)
            worker = start_worker(instance)
            instance.python(ENQUEUE)
            for goal in (10, 40):
                wait_until(lambda goal=goal: completed(instance) >= goal, f"{goal} jobs are completed")
                server.kill()
                threading.Event().wait(0.5)
                server.start()
            every_promise_holds(instance)
            assert worker.is_running
        finally:
            instance.end()


def test_the_job_of_a_killed_worker_runs_again_within_fifteen_seconds(engine, tmp_path):
    """With the leases as they are shipped."""
    with migrated_instance(engine, tmp_path, postgres=postgres_url(), ISTHMUS_APPS="tests.job_samples") as instance:
        for _ in range(2):
            start_worker(instance)
        call = f"jobs.plain_with_gate.enqueue(folder={str(tmp_path)!r}, name='x')"
        instance.python(f"from tests.job_samples import jobs\n{call}")
        trace = tmp_path / "x.entered"
        wait_until(trace.exists, "the job is in the middle")
        [holder] = holders(instance)
        # The worker's main process is named in the holder; the others end with it.
        os.kill(int(re.search(r"-(\d+)-", holder)[1]), signal.SIGKILL)
        killed_at = time.monotonic()
        wait_until(lambda: len(trace.read_text().splitlines()) == 2, "it runs again", timeout_seconds=30)
        assert time.monotonic() - killed_at < 15
        (tmp_path / "x.gate").touch()
        wait_until(lambda: completed(instance) == 1, "it is completed")
