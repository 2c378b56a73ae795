"""A worker is killed in the midst of a bulk action: another one goes on, and no row is done twice."""

import signal

import pytest

from tests.engines import postgres_url
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROWS = 600
ASK = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from isthmus import clock
from isthmus.console import bulk
from isthmus.console.listings import find_listing
from isthmus.jobs.models import Job
later = clock.now() + timedelta(days=1)
Job.objects.bulk_create(Job(function="sample.later", run_at=later) for _ in range({ROWS}))
user = User.objects.create_superuser("olga")
chosen = bulk.Selection(
    listing=find_listing("operations"),
    act=bulk.find_act("operations", "abort"),
    filters={{"q": "sample.later"}},
    keys=None,
    asked_at=clock.now(),
)
print(bulk.start(chosen, user, expected={ROWS}).pk)
"""
DONE = "SELECT done, refused, finished_at IS NOT NULL FROM console_bulkoperation"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_worker_that_is_killed_leaves_no_row_out_and_does_none_twice(engine, tmp_path):
    address = postgres_url() or ""
    if engine == "postgresql" and not address:
        pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
    with migrated_instance(
        engine,
        tmp_path,
        postgres=address,
        ISTHMUS_JOBS_LEASE_SECONDS="1.5",
        ISTHMUS_JOBS_HEARTBEAT_SECONDS="0.3",
    ) as instance:
        instance.python(ASK)
        worker = instance.start("worker")
        wait_until(lambda: instance.rows(DONE)[0][0] >= 20, "some rows are done")
        worker.kill_group(signal.SIGKILL)
        done, _refused, is_finished = instance.rows(DONE)[0]
        assert done < ROWS
        assert not is_finished

        instance.start("worker")
        wait_until(lambda: instance.rows(DONE)[0][2], "another worker ends it", timeout_seconds=120)
        # A second abort of the same row would have been refused.
        assert instance.rows(DONE)[0][:2] == (ROWS, 0)
        [(number,)] = instance.rows(
            "SELECT count(*) FROM jobs_job WHERE function = 'sample.later' AND state = 'Aborted'"
        )
        assert number == ROWS
