"""Runs a batch, a chunk after the other: each in a transaction that also writes, under the fence, where it stands.

A worker that dies leaves the batch at the chunk where it died. Progress forgives: once a chunk is over, the errors and
deaths before it are no longer counted.
"""

from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, OperationalError, transaction

from isthmus.errors import IsthmusError
from isthmus.jobs import execution, transitions
from isthmus.jobs.batch_sources import Chunk, Source, key_of, source_of
from isthmus.jobs.conf import options
from isthmus.jobs.errors import EveryItemFailed, JobAborted, LeaseLost
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.json_values import as_json_value
from isthmus.jobs.models import BatchFailure, BatchRun, Job
from isthmus.jobs.time_limits import time_limit
from isthmus.logs import get_logger

if TYPE_CHECKING:
    from isthmus.jobs.batches import Batch

__all__ = ["BatchExecution"]

log = get_logger(__name__)

_ITEM_ERROR_LENGTH = 500
_AFRESH: dict[str, Any] = {
    "position": None, "last_key": None, "is_begun": False, "is_read": False, "state": {}, "total": None,
    "done": 0, "failed": 0, "chunks": 0, "failed_chunks": 0,
}  # fmt: skip


class BatchExecution:
    """One attempt of a batch."""

    def __init__(self, batch: "type[Batch]", job: Job, handle: JobHandle, arguments: Mapping[str, object]) -> None:
        self._job, self._handle, self._size = job, handle, batch.size
        self._lease = execution.lease_for(batch.time_limit_seconds)
        self._run, _ = BatchRun.objects.get_or_create(job=job)
        if self._run.is_read and 0 < self._run.done <= self._run.failed:
            self._begin_afresh()
        self._batch = batch(arguments, self._copied_state())

    def run_chunks(self) -> None:
        """Run every chunk that is left. Raises `EveryItemFailed`, and what ends the attempt."""
        if not self._run.is_read:
            with time_limit(self._handle.seconds_left):
                source = source_of(self._batch.start(**self._batch.arguments), self._run)
                if not self._run.is_begun:
                    total, last_key = source.measure()
                    self._write(is_begun=True, total=total, last_key=last_key)
            self._tell_progress()
            while self._run_chunk(source):
                pass
            self._write(is_read=True, total=self._run.done)
        self._tell_progress()
        if 0 < self._run.done <= self._run.failed:
            raise EveryItemFailed(self._all_failed())
        self._handle.restart_time_limit()

    def finish(self) -> object:
        """End the batch, in the transaction that completes its job; return the job's result."""
        result = self._batch.finish()
        return {"items": self._run.done, "failed": self._run.failed} if result is None else result

    def _run_chunk(self, source: Source) -> bool:
        self._handle.restart_time_limit()
        self._handle.checkpoint()
        chunk = None if source.reads_rows else self._read(source)
        before = copy(self._run), self._job.failures, self._job.worker_deaths
        try:
            with transaction.atomic():
                if source.reads_rows:
                    chunk = self._read(source)
                if chunk is None:
                    return False
                with time_limit(self._handle.seconds_left):
                    marked = self._batch.work_on(chunk.items)
                state = as_json_value(self._batch.state, at="self.state", limit_bytes=options.argument_bytes)
                self._keep(chunk, self._described_items(chunk, marked), state=state)
        except (Exception, SystemExit) as error:
            # The commit itself may have been refused, by a constraint that the database checks last.
            self._run, self._job.failures, self._job.worker_deaths = before
            self._batch.state = self._copied_state()
            if chunk is None or self._ends_the_attempt(error):
                raise
            self._keep_failure(chunk, error)
        return True

    def _read(self, source: Source) -> Chunk | None:
        with time_limit(self._handle.seconds_left):
            return source.read(self._run, self._size)

    def _ends_the_attempt(self, error: BaseException) -> bool:
        """Return whether the chunk is not to blame, or may succeed in the next attempt."""
        if isinstance(error, JobAborted | LeaseLost):
            return True
        may_pass = isinstance(error, OperationalError | InterfaceError) or (
            isinstance(error, IsthmusError) and error.retryable
        )
        return may_pass and self._job.failures + 1 < self._job.max_attempts

    def _keep_failure(self, chunk: Chunk, error: BaseException) -> None:
        text, trace = execution.described(error, self._handle.redactor)
        number = self._run.chunks + 1
        has_room = self._run.failed_chunks < options.batch_traces
        items = [
            [place, self._shown(key_of(item, place)), ""] for item, place in zip(chunk.items, chunk.places, strict=True)
        ]
        with transaction.atomic():
            self._keep(chunk, items, error=text, trace=trace if has_room else "")
        self._handle.log(f"Chunk {number} failed.", items=len(items), error=text[:_ITEM_ERROR_LENGTH])
        log.warning(
            "batch.chunk_failed", job_id=str(self._job.pk), chunk=number, items=len(items), error=type(error).__name__
        )

    def _keep(self, chunk: Chunk, failed: list[list[Any]], *, error: str = "", trace: str = "", **changes: Any) -> None:
        run = self._run
        if failed:
            BatchFailure.objects.create(
                job=self._job, chunk=run.chunks + 1, items=failed, error=error, error_trace=trace
            )
        self._write(
            position=chunk.position,
            done=run.done + chunk.size,
            failed=run.failed + len(failed),
            chunks=run.chunks + 1,
            failed_chunks=run.failed_chunks + bool(error),
            **changes,
        )

    def _write(self, **changes: Any) -> None:
        """Write where the batch stands, if the job is still ours. Raises `JobAborted` or `LeaseLost`."""
        done, total = changes.get("done", self._run.done), changes.get("total", self._run.total)
        self._handle.progress(done, total)
        progress: transitions.Progress = {**self._handle.current_progress(), "failures": 0, "worker_deaths": 0}
        with transaction.atomic():
            # A commit whose answer was lost may have moved it on: then what is written here would be wrong.
            if not BatchRun.objects.filter(job=self._job, chunks=self._run.chunks).update(**changes):
                raise LeaseLost("The batch was moved on by somebody else.")
            if not transitions.beat(self._job.pk, self._job.fencing_token, lease=self._lease, progress=progress):
                raise execution.loss_of(self._job)
        for name, value in changes.items():
            setattr(self._run, name, value)
        self._job.failures = self._job.worker_deaths = 0

    def _begin_afresh(self) -> None:
        """An operator's retry of a batch of which nothing succeeded."""
        with transaction.atomic():
            BatchFailure.objects.filter(job=self._job).delete()
            self._write(**_AFRESH)

    def _described_items(self, chunk: Chunk, marked: Mapping[int, str]) -> list[list[Any]]:
        return [
            [
                chunk.places[index],
                self._shown(key_of(chunk.items[index], chunk.places[index])),
                self._shown(text)[:_ITEM_ERROR_LENGTH],
            ]
            for index, text in sorted(marked.items())
        ]

    def _shown(self, text: str) -> str:
        return self._handle.redactor.text(text).replace("\x00", "")

    def _copied_state(self) -> Any:
        return as_json_value(self._run.state, limit_bytes=options.argument_bytes)

    def _tell_progress(self) -> None:
        self._handle.progress(self._run.done, self._run.total)

    def _all_failed(self) -> str:
        first = BatchFailure.objects.filter(job=self._job).first()
        why = first and (first.error or first.items[0][2])
        return f"All {self._run.done} items failed. The first one: {why}"
