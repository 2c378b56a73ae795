"""Who is taken first, who has to wait for a turn, and whose time is over."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from isthmus import clock
from isthmus.jobs import bells, chain, queueable, readiness, transitions
from isthmus.jobs.actions import abort, run_inline
from isthmus.jobs.bells import SilentBell
from isthmus.jobs.draining import drain
from isthmus.jobs.errors import ArgumentsRefused
from isthmus.jobs.models import Job
from isthmus.jobs.sweeper import abort_expired, ready_due, revive_lost
from isthmus.jobs.transitions import Start
from tests import console_samples as samples

LEASE = timedelta(seconds=10)


@queueable(retry_delays=(0,), max_attempts=2)
def note(name: str) -> str:
    return name


@queueable(priority=5)
def urgent(name: str) -> str:
    return name


@queueable(concurrency=2)
def two_at_a_time(name: str) -> str:
    return name


def take(limit=50, holder="elsewhere.1"):
    ready_due()
    return transitions.take(limit, holder=holder, lease=LEASE)


def names(jobs):
    return [job.arguments["name"] for job in jobs]


def end(job):
    assert transitions.start(job)
    assert transitions.complete(job, None, {})
    readiness.admit_beside(job)


@pytest.mark.django_db
class TestPriority:
    def test_the_greatest_is_taken_first_and_among_equals_the_one_that_waits_longest(self, jobs, moving_clock):
        for name, priority in (("first", None), ("low", -1), ("high", 7), ("second", 0)):
            note.enqueue(name=name, priority=priority)
            moving_clock.move(timedelta(seconds=1))
        urgent.enqueue(name="urgent")
        assert names(take(2)) == ["high", "urgent"]
        assert names(take()) == ["first", "second", "low"]

    def test_what_waits_for_its_time_is_in_nobodys_way(self, jobs, moving_clock):
        note.enqueue(name="later", priority=9, delay=timedelta(minutes=1))
        note.enqueue(name="now")
        assert names(take()) == ["now"]
        moving_clock.move(timedelta(minutes=1))
        assert names(take()) == ["later"]

    def test_a_priority_has_bounds(self):
        with pytest.raises(ArgumentsRefused, match="-1000 to 1000"):
            note.enqueue(name="x", priority=1_001)


@pytest.mark.django_db
class TestTurns:
    def test_of_one_key_one_is_taken_at_a_time_in_order(self, jobs, moving_clock):
        for name, priority in (("a", 0), ("b", 0), ("c", 3)):
            note.enqueue(name=name, concurrency_key="account-1", priority=priority)
            moving_clock.move(timedelta(seconds=1))
        note.enqueue(name="other", concurrency_key="account-2")
        [running, other] = take()
        assert names([running, other]) == ["c", "other"]
        assert take() == []
        end(running)
        assert names(take()) == ["a"]

    def test_of_a_limited_function_so_many_run_and_others_pass_by(self, jobs):
        for number in range(5):
            two_at_a_time.enqueue(name=str(number))
        note.enqueue(name="other")
        taken = take()
        assert Counter(job.function.rpartition(".")[2] for job in taken) == {"two_at_a_time": 2, "note": 1}
        end(taken[0])
        assert len(take()) == 1

    def test_a_kind_can_be_limited_by_the_operator(self, jobs, settings):
        settings.ISTHMUS_JOBS_KIND_CONCURRENCY = "Queueable=1"
        first, second = note.enqueue(name="1"), urgent.enqueue(name="2")
        [taken] = take()
        assert taken.pk in {first.pk, second.pk}
        end(taken)
        assert len(take()) == 1

    def test_a_busy_key_hides_nobody_however_many_wait_for_it(self, jobs):
        for number in range(120):
            note.enqueue(name=str(number), concurrency_key="busy", priority=9)
        note.enqueue(name="free", concurrency_key="free")
        assert sorted(names(take())) == ["0", "free"]

    def test_an_error_gives_the_turn_to_the_next_in_order(self, jobs, moving_clock):
        first = note.enqueue(name="first", concurrency_key="k")
        moving_clock.move(timedelta(seconds=1))
        note.enqueue(name="second", concurrency_key="k")
        [taken] = take()
        transitions.start(taken)
        delay = timedelta(seconds=5)
        assert transitions.requeue_after_error(taken, error="e", trace="", delay=delay, progress={})
        assert names(take()) == ["second"]
        moving_clock.move(delay)
        assert take() == [], "the second has the turn"
        assert Job.objects.get(pk=first.pk).state == "Queued"

    def test_an_aborted_job_has_its_place_until_its_function_has_returned(self, jobs, moving_clock):
        job = note.enqueue(name="first", concurrency_key="k")
        moving_clock.move(timedelta(seconds=1))
        note.enqueue(name="second", concurrency_key="k")
        [taken] = take()
        transitions.start(taken)
        abort(job)
        assert take() == []
        transitions.let_go(taken)
        assert names(take()) == ["second"]

    def test_a_dead_worker_of_an_aborted_job_holds_no_place(self, jobs, moving_clock):
        job = note.enqueue(name="first", concurrency_key="k")
        moving_clock.move(timedelta(seconds=1))
        note.enqueue(name="second", concurrency_key="k")
        take()
        abort(job)
        moving_clock.move(LEASE)
        revive_lost()
        assert names(take()) == ["second"]

    def test_waiting_jobs_can_be_aborted_and_the_next_one_moves_up(self, jobs):
        first = note.enqueue(name="first", concurrency_key="k")
        note.enqueue(name="second", concurrency_key="k")
        ready_due()
        abort(first)
        assert names(take()) == ["second"]

    def test_a_job_without_its_turn_is_not_run_out_of_turn(self, jobs):
        note.enqueue(name="first", concurrency_key="k")
        second = note.enqueue(name="second", concurrency_key="k")
        ready_due()
        assert run_inline(second, wait_seconds=0).state == "Queued"

    def test_all_of_them_run_in_the_end(self, jobs):
        for number in range(6):
            note.enqueue(name=str(number), concurrency_key="k")
        assert names(jobs.run_all()) == ["0", "1", "2", "3", "4", "5"]

    def test_a_key_has_a_length_and_many_are_not_added_at_once_for_turns(self):
        with pytest.raises(ArgumentsRefused, match="1 to 255"):
            note.enqueue(name="x", concurrency_key="")
        with pytest.raises(TypeError, match="one by one"):
            two_at_a_time.enqueue_many([{"name": "x"}])


@pytest.mark.django_db(transaction=True)
def test_the_next_turn_is_given_when_one_ends_not_when_somebody_sweeps():
    with bells.use(SilentBell()):
        for number in range(5):
            note.enqueue(name=str(number), concurrency_key="k")
        assert drain(is_stopping=lambda: False) == 5
    assert set(Job.objects.values_list("state", "attempts")) == {("Completed", 1)}


@pytest.mark.django_db
class TestExpiry:
    def test_what_has_not_started_in_time_is_aborted_with_those_behind_it(self, jobs, moving_clock):
        late = note.enqueue(name="late", expires_in=timedelta(seconds=5), delay=timedelta(seconds=10))
        follower = note.enqueue(name="follower", after=late)
        moving_clock.move(timedelta(seconds=5))
        assert abort_expired() == 1
        late.refresh_from_db()
        follower.refresh_from_db()
        assert (late.state, late.reason, late.finished_at) == (
            "Aborted",
            "expired before it started",
            moving_clock.now(),
        )
        assert follower.state == "Aborted"

    def test_it_is_not_taken_between_its_end_and_the_sweep(self, jobs, moving_clock):
        job = note.enqueue(name="x", expires_in=timedelta(seconds=5))
        moving_clock.move(timedelta(seconds=5))
        assert transitions.take(5, holder="w.1", lease=LEASE) == []
        assert run_inline(job, wait_seconds=0).state == "Queued"

    def test_what_runs_does_not_expire_and_a_retry_is_asked_for_without_a_time(self, jobs, moving_clock):
        job = note.enqueue(name="x", expires_in=timedelta(seconds=5))
        [taken] = take()
        moving_clock.move(timedelta(seconds=6))
        assert abort_expired() == 0
        assert transitions.start(taken)
        assert transitions.fail(taken, reason="r", error="e", trace="", progress={})
        job.refresh_from_db()
        assert transitions.requeue_by_operator(job, state="Queued")
        assert abort_expired() == 0
        assert [ended.state for ended in jobs.run_all()] == ["Completed"]


@pytest.mark.django_db
class TestTaking:
    def test_one_statement_takes_many_and_a_second_worker_gets_others(self, jobs, django_assert_num_queries):
        note.enqueue_many([{"name": str(number)} for number in range(6)])
        with django_assert_num_queries(1):
            mine = transitions.take(4, holder="one.1", lease=LEASE)
        theirs = transitions.take(4, holder="two.1", lease=LEASE)
        assert (len(mine), len(theirs)) == (4, 2)
        assert not {job.pk for job in mine} & {job.pk for job in theirs}
        assert {(job.state, job.attempts, job.fencing_token, job.lease_holder) for job in mine} == {
            ("Preparing", 1, 1, "one.1")
        }
        fresh = Job.objects.get(pk=mine[0].pk)
        assert (fresh.lease_expires_at, fresh.arguments) == (mine[0].lease_expires_at, mine[0].arguments)

    def test_what_was_not_begun_is_given_back_as_if_it_had_not_been_taken(self, jobs):
        note.enqueue(name="x")
        [taken] = take()
        assert transitions.untake([taken]) == 1
        assert transitions.untake([taken]) == 0
        assert not transitions.start(taken)
        [again] = take()
        assert (again.attempts, again.fencing_token) == (1, 2)

    def test_the_end_of_one_and_the_start_of_the_next_are_one_statement(self, jobs, django_assert_num_queries):
        note.enqueue_many([{"name": "1"}, {"name": "2"}])
        first, second = take()
        transitions.start(first)
        with django_assert_num_queries(1):
            assert transitions.complete(first, {"a": [1]}, {"progress_done": 3}, then=Start(second, LEASE))
        assert second.state == "Processing"
        rows = {job.pk: job for job in Job.objects.all()}
        ended, begun = rows[first.pk], rows[second.pk]
        assert (ended.state, ended.result, ended.progress_done, ended.lease_holder) == ("Completed", {"a": [1]}, 3, "")
        assert (begun.state, begun.result, begun.progress_done, begun.finished_at) == ("Processing", None, 0, None)
        assert begun.started_at is not None
        assert begun.lease_holder == "elsewhere.1"

    @pytest.mark.parametrize("lost", ["ended", "next"])
    def test_each_of_the_two_counts_for_itself(self, jobs, lost):
        note.enqueue_many([{"name": "1"}, {"name": "2"}])
        first, second = take()
        transitions.start(first)
        transitions.abort((first if lost == "ended" else second).pk, "r")
        assert transitions.complete(first, "r", {}, then=Start(second, LEASE)) == (lost == "next")
        assert second.state == ("Processing" if lost == "ended" else "Preparing")
        assert transitions.start(second) is False


@pytest.mark.django_db(transaction=True)
def test_workers_that_take_at_once_take_different_jobs():
    with bells.use(SilentBell()):
        note.enqueue_many([{"name": str(number)} for number in range(60)])
    taken, barrier = [], threading.Barrier(3)

    def work(number):
        barrier.wait()
        while found := transitions.take(7, holder=f"w.{number}", lease=LEASE):
            taken.extend(job.pk for job in found)
        connection.close()

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == len(set(taken)) == 60


@pytest.mark.django_db(transaction=True)
def test_keys_are_kept_when_workers_end_and_add_at_once():
    """Threads add, take and end jobs of three keys: never two of a key are taken, and all end."""
    done, stop, trouble = [], threading.Event(), []

    def work(number):
        try:
            while not stop.is_set() or Job.objects.live().exists():
                for job in transitions.take(4, holder=f"w.{number}", lease=LEASE):
                    busy = Job.objects.filter(
                        concurrency_key=job.concurrency_key, state__in=["Preparing", "Processing"]
                    )
                    if busy.count() != 1:
                        trouble.append(job.concurrency_key)
                    end(job)
                    done.append(job.pk)
                ready_due()
        finally:
            connection.close()

    with bells.use(SilentBell()):
        threads = [threading.Thread(target=work, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        for number in range(24):
            note.enqueue(name=str(number), concurrency_key=f"key-{number % 3}")
        stop.set()
        for thread in threads:
            thread.join(90)
    assert trouble == []
    assert len(done) == len(set(done)) == 24


class Turns(RuleBasedStateMachine):
    """Jobs with keys and limits, added, taken, ended, failed, aborted, revived in any order."""

    def __init__(self):
        super().__init__()
        Job.objects.all().delete()
        self.clock = clock.MovableClock(datetime(2026, 1, 1, tzinfo=UTC))
        self._stack = [clock.use(self.clock), bells.use(SilentBell())]
        for context in self._stack:
            context.__enter__()
        self.running = []

    def teardown(self):
        for context in reversed(self._stack):
            context.__exit__(None, None, None)

    @rule(key=st.sampled_from([None, "a", "b"]), limited=st.booleans(), priority=st.integers(-1, 1))
    def add(self, key, limited, priority):
        (two_at_a_time if limited else note).enqueue(name="x", concurrency_key=key, priority=priority)

    @rule()
    def sweep(self):
        revive_lost()
        ready_due()

    @rule(limit=st.integers(1, 4))
    def take(self, limit):
        self.running += transitions.take(limit, holder="elsewhere.1", lease=LEASE)

    @precondition(lambda self: self.running)
    @rule(how=st.sampled_from(["complete", "retry", "fail", "abort", "untake", "die"]), data=st.data())
    def end(self, how, data):
        job = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if how == "die":
            self.clock.move(LEASE)
            return
        if how == "untake":
            transitions.untake([job])
            return
        transitions.start(job)
        if how == "complete":
            transitions.complete(job, None, {})
        elif how == "retry":
            transitions.requeue_after_error(job, error="e", trace="", delay=timedelta(), progress={})
        elif how == "fail":
            transitions.fail(job, reason="r", error="e", trace="", progress={})
        else:
            transitions.abort(job.pk, "r")
            transitions.let_go(job)
        readiness.admit_beside(job)

    @invariant()
    def no_more_than_the_limits_are_inside(self):
        inside = [
            job
            for job in Job.objects.all()
            if job.state in {"Preparing", "Processing"} or (job.state == "Queued" and job.ready_at)
        ]
        keys = Counter(job.concurrency_key for job in inside if job.concurrency_key)
        assert not keys or max(keys.values()) == 1
        assert sum(job.function.endswith("two_at_a_time") for job in inside) <= 2

    @invariant()
    def nobody_waits_where_there_is_room(self):
        ready_due()
        waiting = Job.objects.filter(state="Queued", ready_at=None, run_at__lte=clock.now())
        assert all(job.is_gated for job in waiting)
        if waiting:
            assert readiness.admit_everywhere() == 0


class TurnsTest(TestCase):
    """Runs the machine with a database that is clean for each example."""

    def test_turns_are_kept_in_any_order_of_events(self):
        settings = hypothesis_settings(max_examples=20, stateful_step_count=25, deadline=None)
        run_state_machine_as_test(Turns, settings=settings)


@pytest.mark.django_db
def test_followers_are_ready_with_the_end_of_their_predecessor(jobs):
    first, second = chain(note.step(name="1"), note.step(name="2"), user=User.objects.create_user("ada"))
    [taken] = take()
    assert taken.pk == first.pk
    end(taken)
    assert [job.pk for job in transitions.take(5, holder="w.1", lease=LEASE)] == [second.pk]


# --- what is told, and what breaks ---
@pytest.mark.django_db
def test_the_page_says_what_a_queued_job_waits_for(jobs, moving_clock, client):
    client.force_login(samples.user_with("view"))

    def told(job):
        return client.get(f"/operations/{job.pk}/").content.decode()

    first = note.enqueue(name="first", concurrency_key="account-1", priority=7)
    moving_clock.move(timedelta(seconds=1))
    second = note.enqueue(name="second", concurrency_key="account-1", expires_in=timedelta(hours=1))
    limited = [two_at_a_time.enqueue(name=str(number)) for number in range(3)]
    later = note.enqueue(name="later", delay=timedelta(minutes=5))
    ready_due()
    assert "Waits for a worker that is free." in told(first)
    assert "<dt>Priority</dt><dd>7</dd>" in told(first)
    assert "one at a time runs of this key" in told(second)
    assert "<dt>Expires</dt>" in told(second)
    assert sum("as many of its function or kind run" in told(job) for job in limited) == 1
    assert "Waits for its time." in told(later)


@pytest.mark.django_db
def test_a_module_that_breaks_in_any_way_fails_its_jobs_and_stops_no_sweep(jobs, tmp_path, monkeypatch):
    (tmp_path / "breaks_on_import.py").write_text("raise NameError('half deployed')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    job = note.enqueue(name="x", concurrency_key="k")
    Job.objects.filter(pk=job.pk).update(function="breaks_on_import.work")
    [ended] = jobs.run_all()
    assert (ended.state, ended.error.partition(":")[0]) == ("Failed", "UnknownFunction")
    assert "NameError: half deployed" in ended.error


@pytest.mark.django_db
def test_what_was_aborted_before_it_was_begun_leaves_its_place_when_it_is_given_back(jobs):
    note.enqueue(name="first", concurrency_key="k")
    [taken] = take()
    transitions.abort(taken.pk, "r")
    assert transitions.untake([taken]) == 0
    taken.refresh_from_db()
    assert (taken.state, taken.lease_holder, taken.lease_expires_at) == ("Aborted", "", None)


@pytest.mark.django_db
def test_the_longest_due_are_readied_first(jobs, moving_clock):
    for name in ("first", "second"):
        note.enqueue(name=name, delay=timedelta(seconds=5))
        moving_clock.move(timedelta(seconds=1))
    moving_clock.move(timedelta(seconds=5))
    for name in ("first", "second"):
        assert readiness.make_due_ready(at_most=1) == 1
        assert names(transitions.take(5, holder="w.1", lease=LEASE)) == [name]
