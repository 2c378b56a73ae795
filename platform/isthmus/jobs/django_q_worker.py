"""What a django-q2 worker process calls."""

import os
from typing import Protocol
from uuid import UUID

from django.db import DatabaseError, InterfaceError

from isthmus.jobs import execution
from isthmus.jobs.reporting import ThreadReporter
from isthmus.logs import get_logger

__all__ = ["answer_bell", "heed"]

log = get_logger(__name__)

_OVERRUN_EXIT_STATUS = 70


class StopSign(Protocol):
    """An event that the parent sets when it wants to end."""

    def is_set(self) -> bool:
        """Return whether no new job should be taken."""


_stop_sign: StopSign | None = None


def heed(stop_sign: StopSign) -> None:
    """Take no job once `stop_sign` is set. Called in the parent, before the workers are forked."""
    global _stop_sign
    _stop_sign = stop_sign


def answer_bell(job_id: str) -> None:
    """Run the job if it still waits. A wake-up that came twice or too late does nothing."""
    if _stop_sign is not None and _stop_sign.is_set():
        return
    try:
        execution.run(UUID(job_id), ThreadReporter(on_overrun=_end_this_process))
    except (DatabaseError, InterfaceError) as error:
        # The row is as it was, or its lease runs out: the sweeper rings again.
        log.warning("job.not_taken", job_id=job_id, error=type(error).__name__)


def _end_this_process() -> None:
    # The function neither returns nor ends at the time limit's exception; only the process's end frees this worker.
    os._exit(_OVERRUN_EXIT_STATUS)
