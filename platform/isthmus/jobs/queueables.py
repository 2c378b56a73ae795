"""The decorator that makes a function a background operation, and chains of them."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, ParamSpec, TypeVar, cast

from isthmus.access.policy import AnyUser
from isthmus.jobs import registry
from isthmus.jobs.actions import enqueue_function, enqueue_many
from isthmus.jobs.dependencies import Predecessors
from isthmus.jobs.models import Job
from isthmus.jobs.registry import Declaration, Step
from isthmus.jobs.secret_arguments import secret_parameters

__all__ = ["RESERVED", "Queueable", "Step", "chain", "queueable"]

P = ParamSpec("P")
R = TypeVar("R")

RESERVED = frozenset(
    {"after", "concurrency_key", "delay", "expires_in", "finalizer", "priority", "subject", "unique_key", "user"}
)
"""The parameters of `enqueue` itself."""


class Queueable(Generic[P, R]):
    """A function that can be called as ever, or run in the background."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        functools.update_wrapper(cast("Callable[P, R]", self), declaration.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now; no job, no retries."""
        return cast("R", self.declaration.function(*args, **kwargs))

    def enqueue(
        self,
        *,
        delay: timedelta = timedelta(),
        unique_key: str | None = None,
        after: Predecessors = None,
        finalizer: Step | None = None,
        user: AnyUser = None,
        subject: tuple[str, str] | None = None,
        priority: int | None = None,
        concurrency_key: str | None = None,
        expires_in: timedelta | None = None,
        **arguments: object,
    ) -> Job:
        """Add a job that calls the function with `arguments`; see `isthmus.jobs.actions.enqueue_function`."""
        return enqueue_function(
            self.declaration,
            arguments,
            delay=delay,
            unique_key=unique_key,
            after=after,
            finalizer=finalizer,
            user=user,
            subject=subject,
            priority=priority,
            concurrency_key=concurrency_key,
            expires_in=expires_in,
        )

    def enqueue_many(
        self, arguments: Iterable[Mapping[str, object]], *, user: AnyUser = None, priority: int | None = None
    ) -> list[Job]:
        """Add a job for each of the arguments, hundreds in one statement; see `isthmus.jobs.actions.enqueue_many`."""
        return enqueue_many(self, arguments, user=user, priority=priority)

    def step(self, **arguments: object) -> Step:
        """Return a link for `chain`, or a `finalizer`."""
        return Step(self.declaration, arguments)


def queueable(
    *,
    max_attempts: int = 1,
    retry_delays: Sequence[float] = (1, 10, 60),
    atomic: bool = False,
    time_limit_seconds: float = 300,
    kind: str = "Queueable",
    priority: int = 0,
    concurrency: int | None = None,
) -> Callable[[Callable[P, R]], Queueable[P, R]]:
    """Declare a function of a module as a background operation.

    Arguments and result are JSON. `max_attempts`: how often it may end with an error before the job is Failed, and
    how many deaths of its worker are forgiven; an error class with `retryable = False` below `IsthmusError` ends it
    at once. `retry_delays`: seconds before the second, third … attempt; the last one repeats. `atomic`: all that
    the function writes to the database commits together with the state Completed, or not at all (exactly-once
    effects). After `time_limit_seconds` the attempt ends with `TimeLimitExceeded`. `priority`: jobs of the greatest
    are taken first. `concurrency`: how many jobs of the function run at a time; `None`: as many as there are workers.
    Raises `TypeError` for a function that cannot be found by name or uses a name that `enqueue` needs.
    """
    if max_attempts < 1 or time_limit_seconds <= 0 or any(delay < 0 for delay in retry_delays):
        raise TypeError("max_attempts and time_limit_seconds are positive, retry_delays not negative.")
    if concurrency is not None and concurrency < 1:
        raise TypeError("concurrency is positive, or None for no limit.")

    def declare(function: Callable[P, R]) -> Queueable[P, R]:
        _check(function)
        declaration = Declaration(
            name=f"{function.__module__}.{function.__qualname__}",
            function=function,
            kind=kind,
            max_attempts=max_attempts,
            retry_delays=tuple(retry_delays),
            atomic=atomic,
            time_limit_seconds=time_limit_seconds,
            priority=priority,
            concurrency=concurrency,
        )
        registry.declare(declaration)
        return Queueable(declaration)

    return declare


def chain(
    *steps: Step, finalizer: Step | None = None, user: AnyUser = None, subject: tuple[str, str] | None = None
) -> list[Job]:
    """Add jobs that run one after the other, each only if the one before it completed. Call it in a transaction.

    `finalizer` runs once the last one has ended; it is not among the jobs that are returned.
    """
    jobs: list[Job] = []
    for number, step in enumerate(steps, start=1):
        jobs.append(
            enqueue_function(
                step.declaration,
                step.arguments,
                after=jobs[-1:],
                finalizer=finalizer if number == len(steps) else None,
                user=user,
                subject=subject,
            )
        )
    return jobs


def _check(function: Callable[..., Any]) -> None:
    if "." in function.__qualname__ or function.__name__ == "<lambda>":
        raise TypeError(f"{function.__qualname__}: a queueable is a function of a module, so that workers find it.")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__}: a queueable is an ordinary function, not a coroutine.")
    if taken := RESERVED & set(inspect.signature(function).parameters):
        raise TypeError(
            f"{function.__qualname__}: enqueue() itself has a parameter {min(taken)!r}; name yours otherwise."
        )
    secret_parameters(function)
