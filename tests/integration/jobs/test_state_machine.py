"""Whatever happens in whatever order: ended stays ended, one holder counts, tokens only grow."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from isthmus import clock
from isthmus.jobs import Ended, actions, bells, dependencies, queueable, transitions
from isthmus.jobs.bells import SilentBell
from isthmus.jobs.errors import JobNotRetryable
from isthmus.jobs.models import Job
from isthmus.jobs.sweeper import revive_lost

LEASE = timedelta(seconds=10)
MAX_ATTEMPTS = 2
FOLLOWER, FINALIZER = 1, 3
ENDED = {"Completed", "Failed", "Aborted"}
RUNNING = {"Preparing", "Processing"}


@queueable(max_attempts=MAX_ATTEMPTS)
def sample() -> None: ...


class Jobs(RuleBasedStateMachine):
    """Two jobs, one that follows both, a finalizer of the first; workers that finish, fail and die, operators, time.

    The follower needs the success of the first and the end of the second.
    """

    claims = Bundle("claims")

    def __init__(self):
        super().__init__()
        Job.objects.all().delete()
        self.clock = clock.MovableClock(datetime(2026, 1, 1, tzinfo=UTC))
        self._stack = [clock.use(self.clock), bells.use(SilentBell())]
        for context in self._stack:
            context.__enter__()
        self.job = sample.enqueue(finalizer=sample.step())
        self.other = sample.enqueue()
        self.follower = sample.enqueue(after=[self.job, Ended(self.other)])
        self.finalizer = Job.objects.get(kind="Finalizer")
        self.states, self.tokens = {}, {}
        self.retried, self.ever_retried = set(), set()

    def teardown(self):
        for context in reversed(self._stack):
            context.__exit__(None, None, None)

    def fresh(self, which):
        return Job.objects.get(pk=(self.job, self.follower, self.other, self.finalizer)[which].pk)

    def is_free(self, which):
        """Whether all that this one waits for is over as it wants."""
        if which == FINALIZER:
            return self.fresh(0).state in ENDED
        return which != FOLLOWER or (self.fresh(0).state == "Completed" and self.fresh(2).state in ENDED)

    def is_current(self, claim):
        row = Job.objects.get(pk=claim.pk)
        return row.fencing_token == claim.fencing_token and row.state in RUNNING

    @rule(target=claims, which=st.integers(0, 3))
    def claim(self, which):
        job = self.fresh(which)
        was = job.state
        due = job.run_at <= clock.now()
        taken = transitions.claim(job, holder=f"dead.{which}", lease=LEASE)
        assert taken == (was == "Queued" and due)
        return job if taken else multiple()

    @rule(claim=claims)
    def start(self, claim):
        row = Job.objects.get(pk=claim.pk)
        expected = row.state == "Preparing" and row.fencing_token == claim.fencing_token
        assert transitions.start(claim) == expected

    @rule(claim=claims)
    def beat(self, claim):
        assert transitions.beat(claim.pk, claim.fencing_token, lease=LEASE, progress={}) == self.is_current(claim)

    @rule(claim=consumes(claims))
    def complete(self, claim):
        row = Job.objects.get(pk=claim.pk)
        expected = row.state == "Processing" and row.fencing_token == claim.fencing_token
        assert transitions.complete(claim, claim.fencing_token, {}) == expected
        if expected:
            assert Job.objects.get(pk=claim.pk).result == claim.fencing_token

    @rule(claim=consumes(claims))
    def fail_for_good(self, claim):
        expected = self.is_current(claim)
        assert transitions.fail(claim, reason="r", error="e", trace="", progress={}) == expected

    @rule(claim=consumes(claims), seconds=st.integers(0, 20))
    def fail_for_now(self, claim, seconds):
        expected = self.is_current(claim)
        delay = timedelta(seconds=seconds)
        assert transitions.requeue_after_error(claim, error="e", trace="", delay=delay, progress={}) == expected

    @rule(which=st.integers(0, 3))
    def abort(self, which):
        expected = self.fresh(which).state not in ENDED
        assert transitions.abort(self.fresh(which).pk, "r") == expected

    @rule(which=st.integers(0, 3))
    def retry(self, which):
        job = self.fresh(which)
        is_doomed = which == FOLLOWER and self.fresh(0).state in {"Failed", "Aborted"}
        expected = job.state in {"Failed", "Aborted"} and not is_doomed
        was_free = self.is_free(which)
        try:
            again = actions.retry(job)
        except JobNotRetryable:
            assert not expected
            return
        assert expected
        assert again.state == ("Queued" if was_free else "Holding")
        self.retried.add(job.pk)
        self.ever_retried.add(job.pk)
        if which == 0:
            self.finalizer = Job.objects.get(dependencies__is_finalizer=True)

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds):
        self.clock.move(timedelta(seconds=seconds))

    @rule()
    def sweep(self):
        revive_lost()
        dependencies.settle_stranded()

    @invariant()
    def the_rules_hold(self):
        rows = {job.pk: job for job in Job.objects.all()}
        for job in rows.values():
            self.ended_stays_ended(job)
            self.the_row_is_consistent(job)
            assert job.fencing_token >= self.tokens.get(job.pk, 0)
            self.tokens[job.pk] = job.fencing_token
        self.retried.clear()
        if rows[self.follower.pk].state in {"Queued", *RUNNING, "Completed"}:
            assert rows[self.job.pk].state == "Completed"
            # The second one's end is enough, and an operator may begin it anew later.
            assert rows[self.other.pk].state in ENDED or self.other.pk in self.ever_retried
        if rows[self.finalizer.pk].state in {"Queued", "Completed", "Failed"}:
            assert rows[self.job.pk].state in ENDED

    def ended_stays_ended(self, job):
        before = self.states.get(job.pk)
        if before in ENDED and job.state != before:
            assert job.pk in self.retried
            assert before != "Completed"
        self.states[job.pk] = job.state

    def the_row_is_consistent(self, job):
        # Who was aborted while it ran keeps its lease until its function has returned.
        has_lease = job.lease_expires_at is not None
        assert has_lease or job.state not in RUNNING
        assert not has_lease or job.state in {*RUNNING, "Aborted"}
        assert (job.lease_holder != "") == has_lease
        assert (job.finished_at is not None) == (job.state in ENDED)
        assert job.worker_deaths <= MAX_ATTEMPTS + 1
        if job.state == "Failed" and job.worker_deaths > MAX_ATTEMPTS:
            assert job.reason == f"worker died {job.worker_deaths} times"


class StateMachineTest(TestCase):
    """Runs the machine with a database that is clean for each example."""

    def test_every_order_of_events_keeps_the_rules(self):
        run_state_machine_as_test(Jobs, settings=settings(max_examples=25, stateful_step_count=30, deadline=None))
