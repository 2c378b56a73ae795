"""Which queued jobs workers may take now: those whose time has come and, where turns are kept, whose turn it is.

`ready_at` is that permission. A job that keeps no turns has it from the moment it is due. One with a concurrency key,
or of a function or kind that has a limit, gets it here only, under one lock, while fewer than the limit have it or run:
so what workers take needs no further check, however many there are.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Count, DateTimeField, Q, QuerySet, Value, When

from isthmus import clock
from isthmus.jobs import registry
from isthmus.jobs.conf import limits_of_kinds
from isthmus.jobs.models import Job
from isthmus.jobs.registry import Declaration
from isthmus.jobs.states import RUNNING, JobState

__all__ = ["admit_beside", "admit_everywhere", "expired", "keeps_turns", "make_due_ready", "ready_if_due"]

_HEADS = 50
"""How many of those next in line are looked at for one place."""
_GROUPS_AT_ONCE = 200
_READIED_AT_ONCE = 1_000
_LOCK_KEY = 0x69_73_74_68_6A_6F_62_73
"""Any number that nothing else in the database locks."""


def keeps_turns(declaration: Declaration, kind: str, concurrency_key: str) -> bool:
    """Return whether such a job has to wait for its turn."""
    return bool(concurrency_key) or declaration.concurrency is not None or kind in limits_of_kinds()


def make_due_ready(at_most: int = _READIED_AT_ONCE) -> int:
    """Let workers take what keeps no turns and whose time has come, the longest due first; return how many."""
    now = clock.now()
    due = Job.objects.due(now).filter(ready_at=None, is_gated=False)
    # By their keys: a long list is readied in pieces, and none of it is locked for long.
    keys = list(due.values_list("pk", flat=True)[:at_most])
    return Job.objects.filter(pk__in=keys, state=JobState.QUEUED, ready_at=None).update(ready_at=now)


def ready_if_due() -> Case:
    """Return what `ready_at` becomes when a job is queued: now, unless it waits for its time or its turn."""
    now = clock.now()
    return Case(
        When(is_gated=False, run_at__lte=now, then=Value(now)),
        default=Value(None),
        output_field=DateTimeField(null=True),
    )


def expired() -> list[Job]:
    """Return jobs that have not started and whose time is over."""
    waiting = Job.objects.filter(state__in=(JobState.HOLDING, JobState.QUEUED), expires_at__lte=clock.now())
    return list(waiting.order_by("expires_at").only("pk", "expires_at")[:_GROUPS_AT_ONCE])


def admit_beside(job: Job) -> int:
    """Give turns to those who may have waited for `job`: of its key, function or kind. Return how many got one."""
    if not job.is_gated:
        return 0
    with _alone():
        heads: dict[UUID, Job] = {}
        for group in _groups_of(job):
            heads |= {waiting.pk: waiting for waiting in _waiting().filter(group)[:_HEADS]}
        return _admit(list(heads.values()))


def admit_everywhere() -> int:
    """Give turns wherever there is room; return how many got one. For the sweeper: it looks past any busy key."""
    if not _waiting().exists():
        return 0
    with _alone():
        groups = _waiting().order_by().values_list("concurrency_key", "function", "kind").distinct()[:_GROUPS_AT_ONCE]
        found = [_Group(*group) for group in groups]
        room = _Room(found)
        heads: list[Job] = []
        for group in found:
            # A group without room costs nothing more, however many wait in it.
            if places := room.left(group):
                heads += _waiting().filter(concurrency_key=group.key, function=group.function, kind=group.kind)[:places]
        return _admit(heads)


class _Group(NamedTuple):
    """Jobs that wait for the same turns."""

    key: str
    function: str
    kind: str


def _group_of(job: Job) -> _Group:
    return _Group(job.concurrency_key, job.function, job.kind)


def _groups_of(job: Job) -> list[Q]:
    groups = [Q(concurrency_key=job.concurrency_key)] if job.concurrency_key else []
    if _limit_of_function(job.function) is not None:
        groups.append(Q(function=job.function))
    if job.kind in limits_of_kinds():
        groups.append(Q(kind=job.kind))
    return groups


def _waiting() -> QuerySet[Job]:
    waiting = Job.objects.filter(state=JobState.QUEUED, ready_at=None, is_gated=True, run_at__lte=clock.now())
    return waiting.order_by("-priority", "run_at", "pk").only("pk", "concurrency_key", "function", "kind")


def _admit(heads: list[Job]) -> int:
    room = _Room([_group_of(job) for job in heads])
    chosen = [job.pk for job in heads if room.take(_group_of(job))]
    return Job.objects.filter(pk__in=chosen, state=JobState.QUEUED, ready_at=None).update(ready_at=clock.now())


class _Room:
    """How many places are left for jobs of certain groups."""

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._limits_of_kinds = limits_of_kinds()
        names = {group.function for group in groups}
        self._limits = {name: limit for name in names if (limit := _limit_of_function(name)) is not None}
        self._taken: Counter[tuple[str, str]] = Counter()
        self._count("key", "concurrency_key", {group.key for group in groups if group.key})
        # No more than the limit can be found of these two.
        self._count("function", "function", set(self._limits))
        self._count("kind", "kind", {group.kind for group in groups} & set(self._limits_of_kinds))

    def left(self, group: _Group) -> int:
        """Return how many more of such jobs may be taken, at most `_HEADS`."""
        places = [_HEADS]
        if group.key:
            places.append(1 - self._taken["key", group.key])
        if group.function in self._limits:
            places.append(self._limits[group.function] - self._taken["function", group.function])
        if group.kind in self._limits_of_kinds:
            places.append(self._limits_of_kinds[group.kind] - self._taken["kind", group.kind])
        return max(min(places), 0)

    def take(self, group: _Group) -> bool:
        """Take one place; return False when there is none."""
        if not self.left(group):
            return False
        self._taken.update((("key", group.key), ("function", group.function), ("kind", group.kind)))
        return True

    def _count(self, what: str, field: str, values: set[str]) -> None:
        if not values:
            return
        # Whoever was aborted while it ran has its place until its worker has let it go.
        inside = Job.objects.filter(
            Q(state=JobState.QUEUED, ready_at__isnull=False)
            | Q(state__in=RUNNING)
            | Q(state=JobState.ABORTED, lease_expires_at__gt=clock.now()),
            is_gated=True,
            **{f"{field}__in": values},
        )
        found = inside.order_by().values_list(field).annotate(number=Count("pk"))
        self._taken.update({(what, value): number for value, number in found})


def _limit_of_function(name: str) -> int | None:
    declaration = registry.find_or_none(name)
    # One that is not known fails when it runs, and says why; nothing limits that.
    return declaration.concurrency if declaration else None


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time give turns; on SQLite the transaction itself sees to that."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        yield
