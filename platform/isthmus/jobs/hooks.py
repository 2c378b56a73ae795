"""What other apps wrap around every run of a job: limits of a transaction, the acting user, spans."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from isthmus.jobs.models import Job

__all__ = ["JobContext", "around_job", "register_job_context", "register_job_context_temporarily"]

JobContext = Callable[[Job], AbstractContextManager[object]]

_contexts: list[JobContext] = []


def register_job_context(context: JobContext) -> None:
    """Enter `context(job)` around every attempt of every job, outside the transaction of an atomic one.

    Contexts are entered in the order of registration. One that raises on entry fails the attempt. Raises `ValueError`
    when it is registered already.
    """
    if context in _contexts:
        raise ValueError(f"{context!r} is registered already.")
    _contexts.append(context)


@contextmanager
def register_job_context_temporarily(context: JobContext) -> Iterator[None]:
    """Register while the block runs (for tests)."""
    register_job_context(context)
    try:
        yield
    finally:
        _contexts.remove(context)


@contextmanager
def around_job(job: Job) -> Iterator[None]:
    """Enter everything that is registered."""
    with ExitStack() as stack:
        for context in _contexts:
            stack.enter_context(context(job))
        yield
