"""What the pages of operations show: progress with an estimate, chains, a batch with what failed in it."""

from datetime import timedelta

import pytest
from django.urls import reverse

from isthmus.jobs import Batch, queueable
from isthmus.jobs.console import spoken_rate
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.models import BatchFailure, BatchRun, Job, Schedule
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


@queueable()
def note() -> None: ...


class Numbers(Batch):
    size = 30

    def start(self, numbers: list):
        return numbers

    def execute(self, chunk):
        if -1 in chunk:
            raise ValueError(f"minus {samples.HOSTILE}")
        for number in chunk:
            if number > 100:
                self.fail(number, f"too large {samples.HOSTILE}")


@pytest.fixture
def operator(client):
    client.force_login(samples.user_with("view", "operate"))
    return client


def page(client, job):
    return client.get(reverse("jobs:detail", args=[job.pk])).content.decode()


# --- progress ---
def test_a_rate_is_what_was_done_lately(moving_clock):
    handle = JobHandle(Job(), time_limit_seconds=60)
    handle.progress(100, 1_000)
    assert handle.current_progress()["progress_rate"] is None
    moving_clock.move(timedelta(seconds=10))
    handle.progress(150, 1_000)
    assert handle.current_progress()["progress_rate"] == 5
    for _ in range(130):
        moving_clock.move(timedelta(seconds=1))
        handle.progress(handle.current_progress()["progress_done"] + 2, 1_000)
    # The fast beginning is forgotten after two minutes.
    assert handle.current_progress()["progress_rate"] == pytest.approx(2, rel=0.05)
    handle.progress(3, 1_000)
    assert handle.current_progress()["progress_rate"] is None


def test_a_thousand_steps_in_a_second_cost_no_memory(moving_clock):
    handle = JobHandle(Job(), time_limit_seconds=60)
    for number in range(5_000):
        moving_clock.move(timedelta(milliseconds=1))
        handle.progress(number)
    assert len(handle._speed._samples) < 10
    assert handle.current_progress()["progress_rate"] == pytest.approx(1_000, rel=0.01)


def test_the_page_estimates_the_time_that_is_left(operator, moving_clock):
    job = samples.make_job(
        state="Processing", error="", progress_done=400, progress_total=1_000, progress_rate=2.5, started_at=None
    )
    text = page(operator, job)
    assert "2.5 a second" in text
    assert "about 4 min 0 s" in text
    assert "about 4 min 0 s left" in operator.get(reverse("jobs:list")).content.decode()
    Job.objects.filter(pk=job.pk).update(state="Completed")
    assert "Time left" not in page(operator, job)
    assert "0 s left" not in operator.get(reverse("jobs:list")).content.decode()


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (None, ""),
        (0, ""),
        (1234, "1,234 a second"),
        (2.54, "2.5 a second"),
        (0.5, "30 a minute"),
        (0.01, "36.0 an hour"),
    ],
)
def test_a_rate_is_said_in_a_fitting_unit(rate, said):
    assert spoken_rate(rate) == said


# --- chains ---
def test_the_chain_is_shown_from_both_sides(operator, jobs):
    first, second = note.enqueue(), note.enqueue(finalizer=note.step())
    last = note.enqueue(after=[first, second])
    text = page(operator, last)
    assert [text.count(f'href="{reverse("jobs:detail", args=[job.pk])}"') for job in (first, second)] == [1, 1]
    assert text.count(">After<") == 2
    text = page(operator, second)
    assert (text.count(">Then<"), text.count(">Finally<")) == (1, 1)
    assert ">After the end of<" in page(operator, Job.objects.get(kind="Finalizer"))


# --- batches ---
def test_a_batch_shows_what_failed_and_tries_that_again(operator, jobs):
    job = Numbers.enqueue(numbers=[*range(30), 200, 201, *range(28), *([-1] * 30)])
    jobs.run_all()
    text = page(operator, job)
    assert "Completed, 32 failed" in text
    assert "32 of 90" in text
    assert "3, 1 failed" in text
    assert samples.HOSTILE not in text
    assert "too large &lt;script&gt;" in text
    assert "and 5 more" in text
    assert "Retry only failed" in text
    assert "Completed, 32 failed" in operator.get(reverse("jobs:list")).content.decode()
    answer = operator.post(reverse("jobs:retry-failed", args=[job.pk]))
    retried = BatchRun.objects.get(retry_of=job).job
    assert answer.headers["Location"] == reverse("jobs:detail", args=[retried.pk])
    assert str(job.pk) in page(operator, retried)
    text = page(operator, job)
    assert "Retry only failed" not in text
    assert str(retried.pk) in text
    answer = operator.post(reverse("jobs:retry-failed", args=[job.pk]), follow=True)
    assert "was tried again already" in answer.content.decode()


def test_whoever_only_looks_finds_no_such_button(client, jobs):
    job = Numbers.enqueue(numbers=[1, 200])
    jobs.run_all()
    client.force_login(samples.user_with("view"))
    assert "Retry only failed" not in page(client, job)
    assert client.post(reverse("jobs:retry-failed", args=[job.pk])).status_code == 403
    assert Job.objects.count() == 1


def test_many_failures_cost_the_page_no_query(operator, jobs, django_assert_num_queries, django_assert_max_num_queries):
    few = Numbers.enqueue(numbers=[1, 200])
    jobs.run_all()
    page(operator, few)
    with django_assert_max_num_queries(30) as captured:
        page(operator, few)
    BatchFailure.objects.bulk_create(
        [BatchFailure(job=few, chunk=number, items=[[number, str(number), "x"]]) for number in range(2, 60)]
    )
    with django_assert_num_queries(len(captured)):
        text = page(operator, few)
    assert "lists all" in text


def test_many_schedules_cost_the_page_no_query(
    operator, jobs, django_assert_num_queries, django_assert_max_num_queries
):
    def add(name):
        job = Numbers.enqueue(numbers=[1, 200])
        jobs.run_all()
        Schedule.objects.create(name=name, function="x", interval_seconds=60, last_job=job)

    address = reverse("jobs:schedules")
    add("first")
    operator.get(address)
    with django_assert_max_num_queries(20) as captured:
        operator.get(address)
    for number in range(5):
        add(str(number))
    with django_assert_num_queries(len(captured)):
        assert operator.get(address).content.decode().count("Completed, 1 failed") == 6
