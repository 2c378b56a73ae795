"""What a running function knows about its own job."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from uuid import UUID

from isthmus import clock
from isthmus.jobs.conf import options
from isthmus.jobs.errors import JobAborted, LeaseLost, NoCurrentJob, TimeLimitExceeded
from isthmus.jobs.json_values import as_json_value
from isthmus.jobs.models import Job, JobDependency, JobLogLine
from isthmus.jobs.secret_arguments import Redactor
from isthmus.jobs.speed import Speed
from isthmus.jobs.states import JobState

__all__ = ["JobHandle", "Predecessor", "bind", "current_job", "current_job_or_none"]

_MESSAGE_LENGTH = 2_000


@dataclass(frozen=True)
class Predecessor:
    """A job that another one was enqueued after."""

    id: UUID
    function: str
    state: str
    result: object
    """What it returned, once it is Completed."""
    error: str
    """Why it failed or was aborted: class and message of its last error, or that its worker died; "" if it did not."""

    @classmethod
    def of(cls, job: Job) -> "Predecessor":
        """Return what is known of `job`."""
        went_wrong = job.state in {JobState.FAILED, JobState.ABORTED}
        return cls(job.pk, job.function, job.state, job.result, (job.reason or job.error) if went_wrong else "")


class JobHandle:
    """The running job, as its function sees it. May be used from several threads of the function."""

    def __init__(self, job: Job, *, time_limit_seconds: float) -> None:
        self.id: UUID = job.pk
        self.attempt: int = job.attempts
        """1 for the first time a worker took the job."""
        self.fencing_token: int = job.fencing_token
        """Grows with every attempt: give it to a store that refuses older ones."""
        self.idempotency_key: str = job.idempotency_key
        """The same for every attempt."""
        self.correlation_id: str = job.correlation_id
        self.user_id: int | None = job.user_id
        self.scheduled_for: datetime | None = job.scheduled_for
        """The time of its schedule that the job stands for."""
        self._time_limit_seconds = time_limit_seconds
        self.restart_time_limit()
        self._lock = Lock()
        self._lines: list[JobLogLine] = []
        self._lines_written = 0
        self._progress: dict[str, int | float | None] = {}
        self._speed = Speed()
        self.redactor = Redactor()
        """Takes the job's secret arguments out of what is written about it. For the engine."""
        self._stopped_by: type[JobAborted | LeaseLost] | None = None
        self.look: Callable[[], None] = _nothing_new
        """What a checkpoint asks first. For the engine."""

    def progress(self, done: int, total: int | None = None) -> None:
        """Show how far the job is; `total` is `None` where it is not known. Written with the next heartbeat."""
        with self._lock:
            rate = self._speed.after(max(done, 0))
            self._progress = {"progress_done": max(done, 0), "progress_total": total, "progress_rate": rate}

    def log(self, message: str, **fields: object) -> None:
        """Write a line that operators read beside the job; `fields` are JSON. Kept even if the job rolls back.

        Lines beyond `ISTHMUS_JOBS_LOG_LINES` an attempt are left out. Raises `ValueError` for fields that are not JSON.
        """
        plain = self.redactor.value(as_json_value(fields, limit_bytes=options.argument_bytes))
        with self._lock:
            self._lines_written += 1
            if self._lines_written > options.log_lines:
                return
            self._lines.append(
                JobLogLine(
                    job_id=self.id,
                    attempt=self.attempt,
                    message=self.redactor.text(message).replace("\x00", "")[:_MESSAGE_LENGTH],
                    fields=plain,
                    created_at=clock.now(),
                )
            )

    def checkpoint(self) -> None:
        """End here if the job was aborted, passed to another worker, or has run past its time limit.

        Raises `JobAborted`, `LeaseLost` or `TimeLimitExceeded`. Call it between steps that may not be cut in two.
        """
        self.look()
        if self._stopped_by:
            raise self._stopped_by
        if self.seconds_left <= 0:
            raise TimeLimitExceeded

    @property
    def seconds_left(self) -> float:
        """Seconds until the time limit; negative after it."""
        return self._deadline - clock.monotonic_seconds()

    def restart_time_limit(self) -> None:
        """Let the whole time limit begin again: a batch has it for each chunk. For the engine."""
        self._deadline = clock.monotonic_seconds() + self._time_limit_seconds

    @property
    def predecessors(self) -> tuple[Predecessor, ...]:
        """The jobs that this one was enqueued after, as they stand now; those that were purged are left out."""
        waits = JobDependency.objects.filter(job=self.id).select_related("predecessor").order_by("pk")
        return tuple(Predecessor.of(each.predecessor) for each in waits)

    @property
    def before(self) -> Predecessor | None:
        """The job that this one was enqueued after, such as a finalizer's; the first one of several."""
        return next(iter(self.predecessors), None)

    def stop(self, by: type[JobAborted | LeaseLost]) -> None:
        """Let the next checkpoint raise `by`. For the engine."""
        self._stopped_by = by

    def take_lines(self) -> list[JobLogLine]:
        """Return the lines not written yet, and forget them. For the engine."""
        with self._lock:
            taken, self._lines = self._lines, []
        return taken

    def put_back_lines(self, lines: list[JobLogLine]) -> None:
        """Keep lines that could not be written for the next time. For the engine."""
        with self._lock:
            self._lines = lines + self._lines

    def current_progress(self) -> dict[str, int | float | None]:
        """Return the columns that progress changes. For the engine."""
        with self._lock:
            return dict(self._progress)


def _nothing_new() -> None:
    """The heartbeat's thread tells."""


_current: ContextVar[JobHandle | None] = ContextVar("isthmus_current_job", default=None)


def current_job() -> JobHandle:
    """Return the job that runs here. Raises `NoCurrentJob` outside one."""
    handle = _current.get()
    if handle is None:
        raise NoCurrentJob
    return handle


def current_job_or_none() -> JobHandle | None:
    """Return the job that runs here, or `None` outside one."""
    return _current.get()


@contextmanager
def bind(handle: JobHandle) -> Iterator[JobHandle]:
    """Let `handle` be the current job while the block runs."""
    token = _current.set(handle)
    try:
        yield handle
    finally:
        _current.reset(token)
