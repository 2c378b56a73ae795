"""Whatever fails, dies, comes and goes: each item takes effect once or is among what failed."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import Group
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from isthmus import clock
from isthmus.jobs import Batch, bells, execution
from isthmus.jobs.actions import retry, retry_failed
from isthmus.jobs.bells import SilentBell
from isthmus.jobs.models import BatchFailure, BatchRun, Job
from isthmus.jobs.reporting import DirectReporter
from isthmus.jobs.sweeper import revive_lost

ENDED = {"Completed", "Failed", "Aborted"}


class Killed(BaseException):
    """What ends a worker without a word."""


class History:
    """What happens at which call of execute."""

    def __init__(self, raising=(), marked=(), deaths=(), gone=(), late_deaths=0):
        self.raising, self.marked, self.deaths, self.gone = set(raising), set(marked), set(deaths), set(gone)
        self.late_deaths, self.calls = late_deaths, 0


history = History()


class AddPlus(Batch):
    """Adds a plus to each name: twice would be seen."""

    size = 3
    max_attempts = 2

    def start(self):
        return Group.objects.filter(name__startswith="item")

    def execute(self, chunk):
        history.calls += 1
        for group in chunk:
            Group.objects.filter(pk=group.pk).update(name=f"{group.name}+")
            if group.pk in history.marked:
                self.fail(group, "marked")
        self.state["count"] = self.state.get("count", 0) + len(chunk)
        if history.calls in history.gone:
            Group.objects.filter(name__startswith="item", pk__gt=chunk[-1].pk).order_by("pk").first().delete()
            Group.objects.create(name=f"late {history.calls}")
        if history.calls in history.deaths:
            raise Killed
        if history.raising & {group.pk for group in chunk}:
            raise ValueError("raised")

    def finish(self):
        if history.late_deaths:
            history.late_deaths -= 1
            raise Killed
        Group.objects.create(name=f"finished {self.state['count']}")


def run_to_its_end(job, moving):
    """Run attempt after attempt, workers dying as the history has it; an operator retries what died too often."""
    for _ in range(100):
        try:
            execution.run(job.pk, DirectReporter())
        except Killed:
            moving.move(timedelta(hours=1))
            revive_lost()
        job.refresh_from_db()
        if job.state == "Failed" and "died" in job.reason:
            retry(job)
        elif job.state in ENDED:
            return
        moving.move(timedelta(hours=1))
    raise AssertionError("It never ends.")


def failed_places(job):
    return [place for each in BatchFailure.objects.filter(job=job) for place, *_ in each.items]


class BatchHistories(TestCase):
    """Each example has rows of its own."""

    @settings(max_examples=40)
    @given(
        count=st.integers(1, 11),
        raising=st.sets(st.integers(0, 10), max_size=3),
        marked=st.sets(st.integers(0, 10), max_size=3),
        deaths=st.sets(st.integers(1, 8), max_size=5),
        gone=st.sets(st.integers(1, 3), max_size=1),
        late_deaths=st.integers(0, 2),
    )
    def test_each_item_takes_effect_once_or_is_among_what_failed(
        self, count, raising, marked, deaths, gone, late_deaths
    ):
        keys = [Group.objects.create(name=f"item {number}").pk for number in range(count)]
        moving = clock.MovableClock(datetime(2026, 1, 1, tzinfo=UTC))
        history.__init__(
            raising={keys[each] for each in raising if each < count},
            marked={keys[each] for each in marked if each < count},
            deaths=deaths,
            # Only a chunk with rows behind it can take one of them away.
            gone=gone if count > 9 else (),
            late_deaths=late_deaths,
        )
        with clock.use(moving), bells.use(SilentBell()):
            job = AddPlus.enqueue()
            run_to_its_end(job, moving)
            self.check(job, keys)
            if job.state == "Completed" and failed_places(job):
                self.check_retry(job, moving)

    def check(self, job, keys):
        run = BatchRun.objects.get(job=job)
        failed, names = failed_places(job), dict(Group.objects.filter(pk__in=keys).values_list("pk", "name"))
        whole = {place for each in BatchFailure.objects.filter(job=job) if each.error for place, *_ in each.items}
        assert len(failed) == len(set(failed)) == run.failed
        assert {pk for pk, name in names.items() if not name.endswith("+")} == whole & names.keys()
        assert not [name for name in names.values() if name.endswith("++")]
        assert set(failed) - whole == history.marked & names.keys() - whole
        assert (job.state == "Failed") == (run.failed == run.done)
        finished = list(Group.objects.filter(name__startswith="finished").values_list("name", flat=True))
        assert finished == ([f"finished {run.done - len(whole)}"] if job.state == "Completed" else [])

    def check_retry(self, job, moving):
        """What failed alone is tried again; what is gone, or is no longer among the batch's, is passed over."""
        history.__init__()
        Group.objects.filter(name__startswith="finished").delete()
        failed = failed_places(job)
        untouched = dict(Group.objects.exclude(pk__in=failed).values_list("pk", "name"))
        again = retry_failed(job)
        run_to_its_end(again, moving)
        again.refresh_from_db()
        assert again.state == "Completed"
        assert BatchRun.objects.get(job=again).done == len(failed)
        assert dict(Group.objects.filter(pk__in=untouched).values_list("pk", "name")) == untouched
        assert all(name.endswith("+") for name in Group.objects.filter(pk__in=failed).values_list("name", flat=True))
        assert Job.objects.filter(state="Completed").count() >= 2
