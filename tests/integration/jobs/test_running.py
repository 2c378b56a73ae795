"""One job, from enqueue to its end, inside this process."""

import pytest

from isthmus.jobs import queueable


@queueable()
def add(left: int, right: int) -> int:
    return left + right


@pytest.mark.django_db
def test_a_job_completes_with_its_result(jobs):
    job = add.enqueue(left=2, right=3)
    assert (job.state, job.attempts) == ("Queued", 0)
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.result, ended.attempts) == (job.pk, "Completed", 5, 1)
    assert ended.finished_at is not None
    assert ended.lease_holder == ""
