"""`manage.py job`: what the page does, for scripts."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from isthmus.jobs import Batch, current_job, queueable
from isthmus.jobs.models import BatchRun, Job
from isthmus.jobs.views import JobFilters
from isthmus.vault.secret import MASK, Secret

pytestmark = pytest.mark.django_db

failing = []


@pytest.fixture(autouse=True)
def nothing_fails():
    failing.clear()


@queueable(kind="Sample", max_attempts=2, retry_delays=(30,))
def note(name: str, password: Secret | None = None) -> dict:
    current_job().log("Noting.", name=name)
    if name in failing:
        raise ValueError(f"{name} fails")
    return {"noted": name}


class Numbers(Batch):
    size = 2

    def start(self, numbers: list):
        return numbers

    def execute(self, chunk):
        if failing:
            raise ValueError("chunk fails")
        for number in chunk:
            if number < 0:
                self.fail(number, "negative")


def told(*arguments):
    out = io.StringIO()
    call_command("job", *arguments, stdout=out)
    return out.getvalue()


def told_json(*arguments):
    return [json.loads(line) for line in told(*arguments, "--json").splitlines()]


def refused(*arguments):
    with pytest.raises(CommandError) as error:
        told(*arguments)
    return error.value.returncode, str(error.value)


# --- list ---
def test_the_list_is_narrowed_like_the_page(jobs, moving_clock):
    old = note.enqueue(name="old")
    jobs.run_all()
    moving_clock.move(timedelta(hours=2))
    new = note.enqueue(name="new", subject=("Lead", "00Q1"))
    assert [each["id"] for each in told_json("list")] == [str(new.pk), str(old.pk)]
    for filters, expected in (
        (["--state", "Completed"], [old]),
        (["--state", "live"], [new]),
        (["--kind", "sample", "--since", "1h"], [new]),
        (["--kind", "other"], []),
        (["--q", "00Q1"], [new]),
        (["--q", str(old.pk)], [old]),
        (["--most", "1"], [new]),
    ):
        assert [each["id"] for each in told_json("list", *filters)] == [str(job.pk) for job in expected]
    assert told("list", "--state", "Completed").startswith(f"{old.pk}  Completed ")


def test_every_filter_of_the_page_is_one_of_the_command(jobs):
    for name, field in JobFilters.base_fields.items():
        choices = [key for key, _ in getattr(field, "choices", []) if key] or ["x"]
        for choice in choices:
            assert told("list", f"--{name}", choice) == ""


@pytest.mark.parametrize("wrong", [["--state", "Lost"], ["--most", "0"], ["--q", "x" * 201], ["--colour", "red"], []])
def test_wrong_usage_has_a_status_of_its_own(wrong):
    if wrong[:1] in (["--state"], ["--colour"], []):
        # The parser ends the process with 2 where it is called from a shell.
        with pytest.raises(CommandError):
            told(*(["list", *wrong] if wrong else []))
        return
    assert refused("list", *wrong)[0] == 2


def test_a_list_costs_the_same_however_long(jobs, django_assert_num_queries):
    for number in range(5):
        note.enqueue(name=str(number))
        Numbers.enqueue(numbers=[number])
    jobs.run_all()
    with django_assert_num_queries(1):
        assert len(told_json("list")) == 10


# --- show ---
def test_everything_about_one_is_shown(jobs):
    before = note.enqueue(name="before")
    job = note.enqueue(name="x", password="hunter2", after=before)
    jobs.run_all()
    [found] = told_json("show", str(job.pk))
    assert (found["state"], found["result"], found["after"]) == ("Completed", {"noted": "x"}, [str(before.pk)])
    assert found["arguments"] == {"name": "x", "password": MASK}
    assert [(line["message"], line["fields"]) for line in found["log"]] == [("Noting.", {"name": "x"})]
    text = told("show", str(job.pk))
    assert "state: Completed" in text
    assert "hunter2" not in text


def test_what_failed_in_a_batch_is_shown_whole(jobs):
    job = Numbers.enqueue(numbers=[1, -2, 3, *([-1] * 60)])
    jobs.run_all()
    [found] = told_json("show", str(job.pk))
    assert found["batch"] == {"total": 63, "done": 63, "failed": 61, "chunks": 32, "failed_chunks": 0}
    assert found["failures"][0] == {"chunk": 1, "items": [["-2", "negative"]]}
    assert sum(len(each["items"]) for each in found["failures"]) == 61


@pytest.mark.parametrize("act", ["show", "retry", "abort", "run"])
def test_what_is_not_there_has_a_status_of_its_own(act):
    status, text = refused(act, "00000000-0000-0000-0000-000000000001")
    assert (status, "There is no operation" in text) == (4, True)
    if act != "run":
        assert refused(act, "seven")[0] == 2


# --- acts ---
def test_one_is_aborted_and_tried_again(jobs):
    job = note.enqueue(name="x")
    [found] = told_json("abort", str(job.pk), "--reason", "no need")
    assert (found["state"], found["reason"]) == ("Aborted", "aborted: no need")
    status, text = refused("abort", str(job.pk))
    assert (status, text.startswith("JOB_NOT_ABORTABLE")) == (1, True)
    assert told("retry", str(job.pk)).split()[:2] == [str(job.pk), "Queued"]
    assert refused("retry", str(job.pk))[0] == 1


def test_what_failed_is_tried_again_alone(jobs):
    job = Numbers.enqueue(numbers=[1, -2])
    assert refused("retry", str(job.pk), "--only-failed")[0] == 1
    jobs.run_all()
    [found] = told_json("retry", str(job.pk), "--only-failed")
    assert BatchRun.objects.get(retry_of=job).job_id == Job.objects.get(pk=found["id"]).pk


# --- run ---
def test_a_queued_one_is_run_here(jobs):
    job = note.enqueue(name="x")
    [found] = told_json("run", str(job.pk))
    assert (found["id"], found["state"], found["result"]) == (str(job.pk), "Completed", {"noted": "x"})
    # One that has ended is told as it ended.
    assert told("run", str(job.pk)).split()[1] == "Completed"


def test_a_function_is_enqueued_and_waited_for(jobs):
    name = f"{__name__}.note"
    [found] = told_json("run", name, "--argument", 'name="x"', "--argument", 'password="hunter2"')
    assert (found["function"], found["state"], found["result"]) == (name, "Completed", {"noted": "x"})


def test_one_that_does_not_complete_has_its_status(jobs):
    failing.append("x")
    status, text = refused("run", f"{__name__}.Numbers", "--argument", "numbers=[1]")
    assert (status, "Failed: EveryItemFailed" in text) == (1, True)


def test_the_wait_has_a_bound(jobs):
    failing.append("x")
    status, text = refused("run", f"{__name__}.note", "--argument", 'name="x"', "--wait", "0.3")
    assert (status, "Queued: it has not ended yet" in text) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["no.such.function"], 4),
        ([f"{__name__}.failing"], 4),
        ([f"{__name__}.note"], 1),
        ([f"{__name__}.note", "--argument", "name"], 2),
        ([f"{__name__}.note", "--argument", "name=x"], 2),
    ],
)
def test_what_cannot_be_run_says_why(jobs, arguments, status):
    assert refused("run", *arguments)[0] == status
    assert not Job.objects.exists()


def test_arguments_go_with_a_function(jobs):
    job = note.enqueue(name="x")
    assert refused("run", str(job.pk), "--argument", "name=1")[0] == 2
