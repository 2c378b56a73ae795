"""Batches: chunk by chunk, nothing twice, what fails stays beside the rest."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError

from isthmus.access.errors import PermissionRefused
from isthmus.errors import IsthmusError
from isthmus.jobs import Batch, Ended, chain, current_job, execution, queueable
from isthmus.jobs.actions import abort, retry, retry_failed
from isthmus.jobs.errors import ArgumentsRefused, JobNotRetryable
from isthmus.jobs.jobs import purge_ended_jobs
from isthmus.jobs.models import BatchFailure, BatchRun, Job
from isthmus.jobs.reporting import DirectReporter
from isthmus.jobs.schedules import ensure_schedule
from isthmus.jobs.sweeper import revive_lost

pytestmark = pytest.mark.django_db


class Busy(IsthmusError):
    """The other side is busy."""

    retryable = True


class Killed(BaseException):
    """What ends a worker without a word."""


class Script:
    """What the samples do at which item, and what they were given."""

    def __init__(self):
        self.chunks, self.at, self.starts, self.finished = [], {}, 0, []

    def reached(self, names):
        self.chunks.append(names)
        for name in names:
            if act := self.at.get(name):
                act()


script = Script()


@pytest.fixture(autouse=True)
def fresh_script():
    script.__init__()


def raising(error, times=None):
    """Return an act that raises, some times or always."""
    left = [times]

    def act():
        if left[0] is None or left[0] > 0:
            left[0] = left[0] and left[0] - 1
            raise error

    return act


class MarkGroups(Batch):
    """Renames groups."""

    size = 3
    retry_delays = (0,)

    def start(self, prefix: str):
        script.starts += 1
        return Group.objects.filter(name__startswith=prefix)

    def execute(self, chunk):
        for group in chunk:
            Group.objects.filter(pk=group.pk).update(name=f"done {group.name}")
        self.state["seen"] = self.state.get("seen", 0) + len(chunk)
        script.reached([group.name for group in chunk])
        for group in chunk:
            if group.name.endswith("odd"):
                self.fail(group, ValueError("odd"))

    def finish(self):
        script.finished.append(self.state["seen"])
        Group.objects.create(name="finished")
        return {"seen": self.state["seen"]}


class Count(Batch):
    """Goes through numbers."""

    size = 2

    def start(self, numbers: list):
        script.starts += 1
        return (number for number in numbers)

    def execute(self, chunk):
        script.reached(chunk)
        for number in chunk:
            if number < 0:
                self.fail(number, "negative")


class MakeGroups(Batch):
    """Adds groups."""

    size = 2

    def start(self, names: list):
        for name in names:
            script.reached([f"read {name}"])
            yield name

    def execute(self, chunk):
        for name in chunk:
            Group.objects.create(name=name)


class KeepsOdd(Batch):
    def start(self):
        return [1, 2, 3]

    def execute(self, chunk):
        self.state["at"] = object()


@queueable()
def tell() -> list:
    return [each.state for each in current_job().predecessors]


def groups(*names):
    return [Group.objects.create(name=f"g{name}") for name in names]


def done():
    return sorted(name.removeprefix("done ") for name in Group.objects.values_list("name", flat=True) if "done" in name)


# --- declaring ---
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"size": 0}, "positive"),
        ({"start": Batch.start}, "method start"),
        ({"execute": Batch.execute}, "method execute"),
        ({"start": lambda self, delay: []}, "parameter 'delay'"),
    ],
)
def test_a_batch_that_cannot_run_is_refused_when_it_is_defined(wrong, says):
    members = {"start": lambda self: [], "execute": lambda self, chunk: None, "__qualname__": "Wrong"}
    with pytest.raises(TypeError, match=says):
        type("Wrong", (Batch,), {**members, **wrong})


def test_a_batch_inside_a_function_is_refused():
    with pytest.raises(TypeError, match="class of a module"):

        class Inner(Batch):
            def start(self):
                return []

            def execute(self, chunk): ...


def test_a_base_of_batches_is_no_batch():
    class Base(Batch, abstract=True): ...

    assert not hasattr(Base, "declaration")


def test_two_batches_of_one_name_are_refused():
    def define(body):
        return type("Twin", (Batch,), {"start": lambda self: [], "execute": body, "__qualname__": "Twin"})

    define(lambda self, chunk: None)
    with pytest.raises(ValueError, match="declared twice"):
        define(lambda self, chunk: chunk.clear())


def test_arguments_fit_start(jobs):
    with pytest.raises(ArgumentsRefused, match="MarkGroups"):
        MarkGroups.enqueue()
    with pytest.raises(ArgumentsRefused, match="MarkGroups"):
        MarkGroups.enqueue(prefix="g", other=1)
    with pytest.raises(TypeError, match="enqueue it"):
        MarkGroups.declaration.function(prefix="g")


# --- the way through ---
def test_rows_are_worked_on_in_chunks_and_state_is_carried(jobs):
    groups(*range(1, 9))
    job = MarkGroups.enqueue(prefix="g")
    [ended] = jobs.run_all()
    assert (ended.pk, ended.kind, ended.state, ended.result) == (job.pk, "Batch", "Completed", {"seen": 8})
    assert script.chunks == [["g1", "g2", "g3"], ["g4", "g5", "g6"], ["g7", "g8"]]
    assert (ended.progress_done, ended.progress_total) == (8, 8)
    run = BatchRun.objects.get(job=job)
    assert (run.total, run.done, run.failed, run.chunks, run.failed_chunks) == (8, 8, 0, 3, 0)


def test_a_batch_of_nothing_completes(jobs):
    class_state = Count.enqueue(numbers=[])
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.result) == (class_state.pk, "Completed", {"items": 0, "failed": 0})
    assert script.chunks == []


def test_rows_that_come_and_go_do_no_harm(jobs):
    first, _, _, fourth, *_ = groups(*range(1, 9))

    def come_and_go():
        # The first chunk's row is gone, one ahead is, and others come at the end.
        Group.objects.filter(pk__in=[first.pk, fourth.pk]).delete()
        groups(98, 99)

    script.at["g3"] = come_and_go
    MarkGroups.enqueue(prefix="g")
    [ended] = jobs.run_all()
    assert script.chunks == [["g1", "g2", "g3"], ["g5", "g6", "g7"], ["g8"]]
    assert (ended.state, ended.progress_done, ended.progress_total) == ("Completed", 7, 7)


def test_any_iterable_will_do(jobs):
    Count.enqueue(numbers=[1, 2, 3])
    [ended] = jobs.run_all()
    assert script.chunks == [[1, 2], [3]]
    assert (ended.state, ended.result, ended.progress_total) == ("Completed", {"items": 3, "failed": 0}, 3)


class Odd(Batch):
    def start(self, what: str):
        return {
            "nothing": None,
            "text": "abc",
            "sliced": Group.objects.order_by("pk")[:5],
            "combined": Group.objects.all().union(Group.objects.all()),
            "values": Group.objects.values("pk"),
        }[what]

    def execute(self, chunk):
        script.reached(chunk)


@pytest.mark.parametrize("what", ["nothing", "text", "sliced", "combined", "values"])
def test_what_cannot_be_gone_through_is_refused(jobs, what):
    groups(1)
    Odd.enqueue(what=what)
    [ended] = jobs.run_all()
    assert (ended.state, ended.attempts) == ("Failed", 1)
    assert ended.error.startswith("BatchSourceRefused: start() returned")
    assert script.chunks == []


class ByUuid(Batch):
    size = 2

    def start(self):
        return Job.objects.filter(kind="Sample")

    def execute(self, chunk):
        script.reached([job.reason for job in chunk])
        if len(script.chunks) == 1:
            raise ValueError("the first ones")


def test_rows_with_other_keys_are_found_again(jobs):
    keys = sorted(uuid.UUID(int=number) for number in range(1, 6))
    Job.objects.bulk_create(
        [Job(pk=key, kind="Sample", function="x", state="Completed", reason=f"{key.int}") for key in keys]
    )
    first = ByUuid.enqueue()
    jobs.run_all()
    assert script.chunks == [["1", "2"], ["3", "4"], ["5"]]
    retry_failed(first)
    jobs.run_all()
    assert script.chunks[3:] == [["1", "2"]]


# --- failures ---
def test_a_chunk_that_raises_is_rolled_back_and_kept_and_the_others_go_on(jobs):
    groups(*range(1, 9))
    script.at["g5"] = raising(ValueError("five"))
    job = MarkGroups.enqueue(prefix="g")
    [ended] = jobs.run_all()
    assert (ended.state, ended.result, ended.attempts) == ("Completed", {"seen": 5}, 1)
    assert done() == ["g1", "g2", "g3", "g7", "g8"]
    failure = BatchFailure.objects.get(job=job)
    assert (failure.chunk, [key for _, key, _ in failure.items]) == (
        2,
        [
            str(pk)
            for pk in Group.objects.filter(name__in=["g4", "g5", "g6"]).values_list("pk", flat=True).order_by("pk")
        ],
    )
    assert failure.error == "ValueError: five"
    assert "raise error" in failure.error_trace
    run = BatchRun.objects.get(job=job)
    assert (run.done, run.failed, run.chunks, run.failed_chunks) == (8, 3, 3, 1)
    assert [line.message for line in ended.log_lines.all()] == ["Chunk 2 failed."]


def test_single_items_are_marked_and_the_rest_of_their_chunk_stays(jobs):
    groups(1, "2odd", 3, 4)
    job = MarkGroups.enqueue(prefix="g")
    [ended] = jobs.run_all()
    assert (ended.state, ended.result) == ("Completed", {"seen": 4})
    assert len(done()) == 4
    [[place, key, error]] = BatchFailure.objects.get(job=job).items
    assert (place, key, error) == (Group.objects.get(name="done g2odd").pk, str(place), "ValueError: odd")
    assert BatchRun.objects.get(job=job).failed_chunks == 0


def test_an_error_takes_the_marks_of_its_chunk_along(jobs):
    groups(1, "2odd", 3)
    script.at["g3"] = raising(ValueError("three"))
    job = MarkGroups.enqueue(prefix="g")
    jobs.run_all()
    assert [error for _, _, error in BatchFailure.objects.get(job=job).items] == ["", "", ""]


class FailsStrangers(Batch):
    def start(self):
        return [1]

    def execute(self, chunk):
        self.fail(2, "no")


def test_only_items_of_the_chunk_can_be_marked(jobs):
    FailsStrangers.enqueue()
    [ended] = jobs.run_all()
    assert "fail() takes an item of the chunk" in ended.error


def test_a_batch_of_which_every_item_failed_is_failed_and_not_finished(jobs):
    groups(1, 2)
    script.at["g1"] = raising(ValueError("one"))
    MarkGroups.enqueue(prefix="g")
    [ended] = jobs.run_all()
    assert (ended.state, ended.attempts, script.finished) == ("Failed", 1, [])
    assert ended.error == "EveryItemFailed: All 2 items failed. The first one: ValueError: one"


def test_a_retry_of_it_begins_afresh(jobs):
    groups(1, 2, 3, 4)
    script.at |= {"g1": raising(ValueError("one"), times=1), "g4": raising(ValueError("four"), times=1)}
    job = MarkGroups.enqueue(prefix="g")
    jobs.run_all()
    retry(job)
    [ended] = jobs.run_all()
    assert (ended.state, ended.result) == ("Completed", {"seen": 4})
    assert not BatchFailure.objects.exists()


def test_state_that_is_no_json_fails_its_chunk(jobs):
    KeepsOdd.enqueue()
    [ended] = jobs.run_all()
    assert (ended.state, BatchFailure.objects.get().error) == (
        "Failed",
        "NotJson: self.state.at is of type object; pass ids, text, numbers, lists and dicts.",
    )


@pytest.mark.parametrize("error", [Busy(), OperationalError("deadlock detected")])
def test_an_error_that_may_pass_is_tried_again_at_its_chunk(jobs, error):
    groups(*range(1, 8))
    script.at |= {"g4": raising(error, times=2), "g7": raising(error, times=2)}
    MarkGroups.enqueue(prefix="g")
    ended = jobs.run_all(ignore_delays=True)[-1]
    # Twice at one chunk and twice at another: a chunk between them forgives.
    assert (ended.state, ended.attempts, ended.result) == ("Completed", 5, {"seen": 7})
    assert script.chunks.count(["g1", "g2", "g3"]) == 1
    assert not BatchFailure.objects.exists()


def test_one_that_does_not_pass_is_kept_in_the_end(jobs):
    groups(*range(1, 5))
    script.at["g1"] = raising(Busy())
    job = MarkGroups.enqueue(prefix="g")
    ended = jobs.run_all(ignore_delays=True)[-1]
    assert (ended.state, ended.attempts, ended.result) == ("Completed", 3, {"seen": 1})
    assert BatchFailure.objects.get(job=job).error == "Busy: The other side is busy."


def test_traces_are_kept_up_to_a_bound_and_keys_all(jobs, settings):
    settings.ISTHMUS_JOBS_BATCH_TRACES = 1
    script.at |= {1: raising(ValueError("a")), 3: raising(ValueError("b"))}
    Count.enqueue(numbers=[1, 2, 3, 4, 5])
    jobs.run_all()
    kept = [(bool(each.error_trace), [key for _, key, _ in each.items]) for each in BatchFailure.objects.all()]
    assert kept == [(True, ["1", "2"]), (False, ["3", "4"])]


class Dangling(Batch):
    """Refers to a user that is not there: the database says so when the chunk commits."""

    size = 2

    def start(self):
        return [1, 2, 3, 4, 5]

    def execute(self, chunk):
        self.state["seen"] = [*self.state.get("seen", []), *chunk]
        script.reached(chunk)
        Job.objects.create(function="x", state="Aborted", user_id=10**6 if 3 in chunk else None)

    def finish(self):
        return self.state["seen"]


@pytest.mark.django_db(transaction=True)
def test_a_chunk_whose_commit_is_refused_is_kept_as_failed(jobs):
    job = Dangling.enqueue()
    [ended] = jobs.run_all()
    assert (ended.pk, ended.state, ended.result) == (job.pk, "Completed", [1, 2, 5])
    assert script.chunks == [[1, 2], [3, 4], [5]]
    failure = BatchFailure.objects.get(job=job)
    assert (failure.chunk, failure.error.split(":")[0]) == (2, "IntegrityError")
    run = BatchRun.objects.get(job=job)
    assert (run.done, run.failed, run.chunks, run.failed_chunks) == (5, 2, 3, 1)
    assert Job.objects.filter(function="x").count() == 2


# --- death, abort, fences ---
def die_in(job, at):
    script.at[at] = raising(Killed(), times=1)
    with pytest.raises(Killed):
        execution.run(job.pk, DirectReporter())


def test_after_a_death_it_goes_on_at_the_chunk_where_it_died(jobs, moving_clock):
    groups(*range(1, 9))
    job = MarkGroups.enqueue(prefix="g")
    die_in(job, "g5")
    assert done() == ["g1", "g2", "g3"]
    moving_clock.move(timedelta(hours=1))
    assert revive_lost() == 1
    [ended] = jobs.run_all()
    assert (ended.state, ended.result, ended.attempts) == ("Completed", {"seen": 8}, 2)
    assert script.chunks == [["g1", "g2", "g3"], ["g4", "g5", "g6"], ["g4", "g5", "g6"], ["g7", "g8"]]
    assert script.finished == [8]


def test_an_iterable_is_passed_over_up_to_there(jobs, moving_clock):
    job = Count.enqueue(numbers=[1, 2, 3, 4, 5])
    die_in(job, 3)
    moving_clock.move(timedelta(hours=1))
    revive_lost()
    [ended] = jobs.run_all()
    assert script.chunks == [[1, 2], [3, 4], [3, 4], [5]]
    assert (ended.state, ended.result, script.starts) == ("Completed", {"items": 5, "failed": 0}, 2)


def test_deaths_at_one_place_fail_it_in_the_end_and_progress_forgives(jobs, moving_clock):
    groups(*range(1, 9))
    job = MarkGroups.enqueue(prefix="g")
    deaths = ["g1", "g1", "g1", "g4", "g4", "g4", "g4"]
    for at in deaths:
        die_in(job, at)
        moving_clock.move(timedelta(hours=1))
        revive_lost()
    job.refresh_from_db()
    assert (job.state, job.reason, job.attempts) == ("Failed", "worker died 4 times", 7)
    retry(job)
    [ended] = jobs.run_all()
    assert ended.state == "Completed"
    assert len(done()) == 8


def test_an_aborted_batch_stops_and_can_go_on(jobs, moving_clock):
    groups(*range(1, 9))
    job = MarkGroups.enqueue(prefix="g")
    die_in(job, "g5")
    abort(job)
    assert jobs.run_all() == []
    retry(job)
    [ended] = jobs.run_all()
    assert (ended.state, ended.result) == ("Completed", {"seen": 8})
    assert script.chunks.count(["g1", "g2", "g3"]) == 1


def test_an_abort_ends_it_before_its_next_chunk(jobs):
    job = MakeGroups.enqueue(names=["1", "2", "3", "4", "5"])
    script.at["read 3"] = lambda: abort(Job.objects.get(pk=job.pk), reason="enough")
    [ended] = jobs.run_all()
    assert (ended.state, ended.reason) == ("Aborted", "aborted: enough")
    assert sorted(Group.objects.values_list("name", flat=True)) == ["1", "2"]
    assert BatchRun.objects.get(job=job).done == 2
    script.at.clear()
    retry(job)
    [ended] = jobs.run_all()
    assert (ended.state, ended.result) == ("Completed", {"items": 5, "failed": 0})


def test_who_lost_the_lease_commits_no_chunk(jobs):
    job = MakeGroups.enqueue(names=["1", "2", "3", "4", "5"])
    script.at["read 3"] = lambda: Job.objects.filter(pk=job.pk).update(fencing_token=99)
    jobs.run_all()
    job.refresh_from_db()
    assert (job.state, job.fencing_token, job.progress_done) == ("Processing", 99, 2)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["1", "2"]
    assert BatchRun.objects.get(job=job).done == 2


def test_what_was_committed_unseen_is_not_kept_as_failed(jobs):
    """The answer to a commit was lost: the chunk counts, and the next attempt sees that."""
    job = MakeGroups.enqueue(names=["1", "2", "3", "4", "5"])

    def commit_unseen():
        script.at.clear()
        BatchRun.objects.filter(job=job).update(chunks=2, done=4, position=4)

    script.at["read 3"] = commit_unseen
    jobs.run_all(ignore_delays=True)
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("Completed", 2)
    assert sorted(Group.objects.values_list("name", flat=True)) == ["1", "2", "5"]
    assert not BatchFailure.objects.exists()


def test_an_error_in_finish_repeats_finish_alone(jobs):
    groups(1, 2)
    Group.objects.create(name="finished")
    job = MarkGroups.enqueue(prefix="g")
    jobs.run_all(ignore_delays=True)
    job.refresh_from_db()
    assert (job.state, job.attempts, len(script.chunks)) == ("Failed", 3, 1)
    Group.objects.get(name="finished").delete()
    retry(job)
    [ended] = jobs.run_all()
    assert (ended.state, ended.result, len(script.chunks)) == ("Completed", {"seen": 2}, 1)


def test_its_lease_is_renewed_with_each_chunk(jobs, moving_clock):
    groups(1, 2, 3, 4)
    leases = []

    def look():
        moving_clock.move(timedelta(seconds=5))
        leases.append(Job.objects.get(state="Processing").lease_expires_at)

    script.at |= {"g1": look, "g4": look}
    MarkGroups.enqueue(prefix="g")
    jobs.run_all()
    assert leases[1] - leases[0] == timedelta(seconds=5)


# --- what follows, what is tried again ---
@pytest.fixture
def operator():
    return User.objects.create_superuser("operator")


def test_only_what_failed_is_tried_again(jobs, operator):
    groups(*range(1, 9), "9odd")
    script.at["g5"] = raising(ValueError("five"), times=1)
    first = MarkGroups.enqueue(prefix="g", subject=("Lead", "00Q1"), user=operator)
    jobs.run_all()
    Group.objects.filter(name="done g9odd").update(name="g9")
    Group.objects.filter(name="g6").delete()
    Group.objects.filter(name="finished").delete()
    second = retry_failed(first, operator)
    assert (second.kind, second.arguments, second.subject_id, second.user) == (
        "Batch",
        {"prefix": "g"},
        "00Q1",
        operator,
    )
    [ended] = jobs.run_all()
    assert script.chunks[3:] == [["g4", "g5"], ["g9"]]
    run = BatchRun.objects.get(job=second)
    assert (ended.state, run.retry_of, run.total, run.done, run.failed) == ("Completed", first, 4, 4, 0)


def test_failed_numbers_are_found_again(jobs):
    script.at[3] = raising(ValueError("three"), times=1)
    first = Count.enqueue(numbers=[1, -2, 3, 4, 5, -6, 7])
    jobs.run_all()
    second = retry_failed(first)
    jobs.run_all()
    assert script.chunks[4:] == [[-2, 3], [4, -6]]
    third = retry_failed(second)
    jobs.run_all()
    assert script.chunks[6:] == [[-2, -6]]
    third.refresh_from_db()
    assert third.state == "Failed"


def test_what_failed_is_tried_again_once(jobs):
    first = Count.enqueue(numbers=[1, -2])
    jobs.run_all()
    retry_failed(first)
    with pytest.raises(JobNotRetryable, match="tried again already"):
        retry_failed(first)
    assert Job.objects.count() == 2


@pytest.mark.parametrize("numbers", [[1, 2], [-1]])
def test_where_nothing_failed_or_all_did_there_is_no_such_retry(jobs, numbers):
    first = Count.enqueue(numbers=numbers)
    with pytest.raises(JobNotRetryable, match="completed batch"):
        retry_failed(first)
    jobs.run_all()
    with pytest.raises(JobNotRetryable, match="completed batch"):
        retry_failed(first)


def test_what_is_no_batch_has_no_such_retry(jobs):
    job = tell.enqueue()
    jobs.run_all()
    with pytest.raises(JobNotRetryable, match="completed batch"):
        retry_failed(job)


def test_whoever_may_not_operate_retries_nothing(jobs):
    first = Count.enqueue(numbers=[1, -2])
    jobs.run_all()
    with pytest.raises(PermissionRefused, match=r"console\.operate"):
        retry_failed(first, User.objects.create_user("stranger"))
    assert Job.objects.count() == 1


def test_a_batch_is_kept_while_its_retry_reads_from_it(jobs, moving_clock):
    first = Count.enqueue(numbers=[1, -2])
    jobs.run_all()
    second = retry_failed(first)
    moving_clock.move(timedelta(days=31))
    assert purge_ended_jobs() == {"purged": 0}
    jobs.run_all()
    assert script.chunks[-1] == [-2]
    moving_clock.move(timedelta(days=31))
    assert purge_ended_jobs() == {"purged": 2}
    assert not BatchRun.objects.filter(job=second).exists()


def test_a_retry_whose_batch_was_removed_touches_nothing(jobs):
    first = Count.enqueue(numbers=[1, -2])
    jobs.run_all()
    retry_failed(first)
    Job.objects.filter(pk=first.pk).delete()
    [ended] = jobs.run_all()
    assert (ended.state, len(script.chunks)) == ("Failed", 1)
    assert "was removed" in ended.error


def test_a_batch_is_a_link_of_a_chain_and_has_a_finalizer(jobs):
    *_, last = chain(Count.step(numbers=[1, -1]), tell.step(), finalizer=Count.step(numbers=[7]))
    assert [job.state for job in jobs.run_all()] == ["Completed"] * 3
    last.refresh_from_db()
    assert last.result == ["Completed"]
    assert tell.enqueue(after=Ended(last)).state == "Queued"


def test_a_batch_can_be_scheduled(jobs, moving_clock):
    ensure_schedule("count", Count, interval=timedelta(minutes=1), arguments={"numbers": [1]})
    jobs.run_due_schedules()
    moving_clock.move(timedelta(minutes=1))
    [ended] = jobs.run_due_schedules()
    assert (ended.kind, ended.state) == ("Scheduled", "Completed")


def test_the_queries_of_a_chunk_do_not_grow_with_it(jobs, django_assert_max_num_queries):
    def cost(numbers):
        job = Count.enqueue(numbers=list(range(numbers)))
        with django_assert_max_num_queries(80) as captured:
            execution.run(job.pk, DirectReporter())
        return len(captured)

    first = cost(2)
    assert cost(4) - first == cost(6) - cost(4) <= 8
