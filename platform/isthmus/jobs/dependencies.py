"""Which jobs wait for which: a follower starts when all that it waits for is over as it wants, or is aborted.

Two predecessors may end at once without seeing each other, and one may end before its follower is committed: then
nobody lets the follower go. The sweeper finds those (`settle_stranded`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from isthmus import clock
from isthmus.jobs import bells
from isthmus.jobs.errors import ArgumentsRefused
from isthmus.jobs.models import Job, JobDependency
from isthmus.jobs.readiness import ready_if_due
from isthmus.jobs.states import NON_TERMINAL, TERMINAL, JobState

__all__ = [
    "Ended",
    "Predecessors",
    "depend",
    "first_state",
    "hold_finalizers",
    "settle_followers",
    "settle_stranded",
    "waiting_reason",
    "waits_for",
]

_MOST_AT_ONCE = 200
_COMPLETED, _ENDED = JobDependency.Condition.COMPLETED, JobDependency.Condition.ENDED
_BROKEN = (JobState.FAILED, JobState.ABORTED)


@dataclass(frozen=True)
class Ended:
    """A predecessor that has to end, however it does: `report.enqueue(after=Ended(job))`."""

    job: Job


Predecessors = Job | Ended | Iterable[Job | Ended] | None
"""What `after=` takes. A bare job must be Completed."""


def waits_for(after: Predecessors) -> list[JobDependency]:
    """Return what a job that is enqueued with `after` will wait for, not saved yet."""
    several = [] if after is None else [after] if isinstance(after, Job | Ended) else list(after)
    found: dict[UUID, JobDependency] = {}
    for each in several:
        job, condition = (each.job, _ENDED) if isinstance(each, Ended) else (each, _COMPLETED)
        if job.pk not in found or condition == _COMPLETED:
            found[job.pk] = JobDependency(predecessor=job, condition=condition)
    return list(found.values())


def first_state(waits: Sequence[JobDependency]) -> tuple[JobState, str]:
    """Return where a job that waits for these begins, and why. Raises `ArgumentsRefused` if one of them is gone."""
    if not waits:
        return JobState.QUEUED, ""
    states = dict(Job.objects.filter(pk__in=[each.predecessor_id for each in waits]).values_list("pk", "state"))
    is_ready = True
    for each in waits:
        state = states.get(each.predecessor_id)
        if state is None:
            raise ArgumentsRefused(f"There is no operation {each.predecessor_id} to wait for.")
        if each.condition == _COMPLETED and state in _BROKEN:
            return JobState.ABORTED, f"the operation before it is {state}"
        is_ready = is_ready and state in TERMINAL
    if is_ready:
        return JobState.QUEUED, ""
    # If the last one ends before this row is committed, the sweeper lets this one go.
    return JobState.HOLDING, waiting_reason(len(waits))


def waiting_reason(number: int) -> str:
    """Return why a job holds that waits for so many."""
    return "waits for the operation before it" if number == 1 else f"waits for the {number} operations before it"


def depend(job: Job, waits: Sequence[JobDependency], *, is_finalizer: bool = False) -> None:
    """Write down what the job waits for, in the transaction that adds it."""
    for each in waits:
        each.job, each.is_finalizer = job, is_finalizer
    JobDependency.objects.bulk_create(waits)


def settle_followers(job_ids: Iterable[UUID]) -> None:
    """After these jobs ended: let go what has nothing else to wait for; abort what waited for success, and so on."""
    ended = list(job_ids)
    while ended:
        now, ended = ended[:_MOST_AT_ONCE], ended[_MOST_AT_ONCE:]
        waiting = JobDependency.objects.filter(predecessor__in=now, job__state=JobState.HOLDING)
        ended += _settle(list(waiting.values_list("job", flat=True).distinct()))


def settle_stranded() -> None:
    """Do the same for followers that nobody settled when their last predecessor ended."""
    stranded = Job.objects.filter(_is_doomed() | ~_has_to_wait(), state=JobState.HOLDING)
    settle_followers(_settle(list(stranded.values_list("pk", flat=True)[:_MOST_AT_ONCE])))


def hold_finalizers(job: Job) -> list[Job]:
    """Let the finalizers of a job that is retried wait for its new end; return those that ran or run already.

    The ones that are returned are no longer its finalizers: others take their place.
    """
    of_it = JobDependency.objects.filter(predecessor=job, is_finalizer=True)
    Job.objects.filter(pk__in=of_it.values("job"), state=JobState.QUEUED).update(
        state=JobState.HOLDING, reason=waiting_reason(1), ready_at=None
    )
    used = of_it.exclude(job__state=JobState.HOLDING).select_related("job__user")
    found = [each.job for each in used]
    of_it.filter(job__in=found).update(is_finalizer=False)
    return found


def _settle(waiting: Sequence[UUID]) -> list[UUID]:
    """Let these holding jobs go or abort them, or leave them; return what was aborted."""
    if not waiting:
        return []
    holding = Job.objects.filter(pk__in=waiting, state=JobState.HOLDING)
    aborted: list[UUID] = []
    for state in _BROKEN:
        doomed = list(holding.filter(Exists(_broken(state))).values_list("pk", flat=True))
        if doomed:
            reason = f"the operation before it is {state}"
            holding.filter(pk__in=doomed).update(state=JobState.ABORTED, reason=reason, finished_at=clock.now())
            aborted += doomed
    let_go = holding.filter(~_is_doomed(), ~_has_to_wait())
    if let_go.update(state=JobState.QUEUED, reason="", ready_at=ready_if_due()):
        bells.ring_after_commit()
    return aborted


def _is_doomed() -> Exists:
    return Exists(_broken(*_BROKEN))


def _broken(*states: JobState) -> "QuerySet[JobDependency]":
    return JobDependency.objects.filter(job=OuterRef("pk"), condition=_COMPLETED, predecessor__state__in=states)


def _has_to_wait() -> Exists:
    return Exists(JobDependency.objects.filter(job=OuterRef("pk"), predecessor__state__in=NON_TERMINAL))
