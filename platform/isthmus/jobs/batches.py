"""Batches: many items, worked on in chunks.

class Recalculate(Batch):
    size = 500

    def start(self, region: str) -> QuerySet[Order]:
        return Order.objects.filter(region=region)

    def execute(self, chunk: list[Order]) -> None:
        for order in chunk:
            order.recalculate()
        self.state["orders"] = self.state.get("orders", 0) + len(chunk)

    def finish(self) -> dict[str, int]:
        return {"orders": self.state["orders"]}

job = Recalculate.enqueue(region="north")
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from isthmus.jobs import registry
from isthmus.jobs.batch_execution import BatchExecution
from isthmus.jobs.handle import JobHandle
from isthmus.jobs.models import Job
from isthmus.jobs.queueables import RESERVED, Queueable
from isthmus.jobs.registry import Declaration, Step
from isthmus.jobs.secret_arguments import secret_parameters

__all__ = ["Batch"]


class Batch:
    """Base of batches; a subclass in a module is declared by being defined. `abstract=True` defines a base only.

    Each chunk is a transaction, which also keeps where the batch stands and `self.state`: a worker's death loses the
    chunk at hand and repeats none that was committed. A chunk whose `execute` raises is rolled back and kept as failed,
    and the others go on; an error of the database, or one with `retryable = True`, is first tried again in the next
    attempts. The job ends Completed with what failed beside it; Failed when every item failed. Operators can retry what
    failed alone.
    """

    size: ClassVar[int] = 200
    """Items in a chunk."""
    max_attempts: ClassVar[int] = 3
    """How many errors or deaths in a row, without a chunk between them, end the job."""
    retry_delays: ClassVar[tuple[float, ...]] = (1, 10, 60)
    time_limit_seconds: ClassVar[float] = 300
    """For each chunk, and for `start` and `finish`."""
    kind: ClassVar[str] = "Batch"
    declaration: ClassVar[Declaration]
    enqueue: ClassVar[Callable[..., Job]]
    """Add a job that runs the batch with the arguments of `start`; takes what `Queueable.enqueue` takes."""
    step: ClassVar[Callable[..., Step]]
    """Return a link for `chain`, or a `finalizer`."""

    def __init__(self, arguments: Mapping[str, object], state: dict[str, Any]) -> None:
        """Made by the platform, for each attempt."""
        self.arguments = dict(arguments)
        """What the batch was enqueued with; secret ones as `Secret`."""
        self.state = state
        """JSON that is carried from chunk to chunk; what a chunk that failed did to it is undone."""
        self._items: list[Any] = []
        self._marked: dict[int, str] = {}

    def __init_subclass__(cls, *, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            cls.declaration = _declared(cls)
            door = Queueable[..., object](cls.declaration)
            cls.enqueue, cls.step = door.enqueue, door.step

    def start(self, *_: Any, **arguments: Any) -> Any:
        """Return a QuerySet of model instances, or another iterable.

        Asked again by each attempt, so it changes nothing. Of a QuerySet the rows are visited in the order of their
        primary key, up to the greatest there was when the batch began: rows that come and go do no harm. Another
        iterable is passed over up to where the batch stood: its order must be stable.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what start() returns.")

    def execute(self, chunk: list[Any]) -> None:
        """Work on the items, in a transaction. Callouts leave through `callouts.enqueue`."""
        raise NotImplementedError(f"{type(self).__name__} does not say what execute() does.")

    def finish(self) -> object:
        """Called once, in the transaction that completes the job; return its result (`None`: the counts)."""
        return None

    def fail(self, item: object, error: BaseException | str) -> None:
        """Mark one item of the chunk as failed; the others stay. Raises `ValueError` for what is not in the chunk."""
        places = [index for index, each in enumerate(self._items) if each is item or each == item]
        if not places:
            raise ValueError("fail() takes an item of the chunk that execute() works on.")
        # Of several equal ones each call marks another.
        unmarked = [index for index in places if index not in self._marked]
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self._marked[(unmarked or places)[0]] = text

    def work_on(self, items: list[Any]) -> dict[int, str]:
        """Execute one chunk; return which items were marked as failed, and why. For the engine."""
        self._items, self._marked = items, {}
        try:
            if items:
                self.execute(items)
            return self._marked
        finally:
            self._items, self._marked = [], {}


def _declared(batch: type[Batch]) -> Declaration:
    _check(batch)
    declaration = Declaration(
        name=f"{batch.__module__}.{batch.__qualname__}",
        function=_stand_in(batch),
        kind=batch.kind,
        max_attempts=batch.max_attempts,
        retry_delays=tuple(batch.retry_delays),
        atomic=True,
        time_limit_seconds=batch.time_limit_seconds,
        ahead=_ahead(batch),
        body=batch.execute,
    )
    registry.declare(declaration)
    return declaration


def _check(batch: type[Batch]) -> None:
    name = batch.__qualname__
    if "." in name:
        raise TypeError(f"{name}: a batch is a class of a module, so that workers find it.")
    if batch.size < 1 or batch.max_attempts < 1 or batch.time_limit_seconds <= 0:
        raise TypeError(f"{name}: size, max_attempts and time_limit_seconds are positive.")
    for method in ("start", "execute"):
        if getattr(batch, method) is getattr(Batch, method):
            raise TypeError(f"{name}: a batch has a method {method}().")
    if taken := RESERVED & set(inspect.signature(batch.start).parameters):
        raise TypeError(f"{name}: enqueue() itself has a parameter {min(taken)!r}; name yours otherwise.")
    secret_parameters(batch.start)


def _stand_in(batch: type[Batch]) -> Callable[..., object]:
    """Return what stands for the batch where a function is wanted: it takes the arguments of `start`."""

    def call(**_: object) -> object:
        raise TypeError(f"{batch.__qualname__} is a batch: enqueue it.")

    signature = inspect.signature(batch.start)
    _, *others = signature.parameters.values()
    call.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]  # `inspect` reads it
    call.__wrapped__ = batch.start  # type: ignore[attr-defined]  # whose globals resolve annotations
    return call


def _ahead(batch: type[Batch]) -> Callable[..., Callable[[], object]]:
    def run_chunks(job: Job, handle: JobHandle, arguments: Mapping[str, object]) -> Callable[[], object]:
        execution = BatchExecution(batch, job, handle, arguments)
        execution.run_chunks()
        return execution.finish

    return run_chunks
