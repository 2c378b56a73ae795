"""What a django-q2 worker process calls."""

import os
from typing import Protocol

from django.db import DatabaseError, InterfaceError

from isthmus.jobs.draining import drain
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


def answer_bell() -> None:
    """Run what is ready. A wake-up that came twice or too late finds nothing, and does nothing."""
    try:
        drain(is_stopping=_is_stopping, on_overrun=_end_this_process)
    except (DatabaseError, InterfaceError) as error:
        # The rows are as they were, or their leases run out.
        log.warning("job.not_taken", error=type(error).__name__)


def _is_stopping() -> bool:
    return _stop_sign is not None and _stop_sign.is_set()


def _end_this_process() -> None:
    # The function neither returns nor ends at the time limit's exception; only the process's end frees this worker.
    os._exit(_OVERRUN_EXIT_STATUS)
