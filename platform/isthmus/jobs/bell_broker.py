"""django-q2's broker, made a bell: it gives its cluster one task, *run what is ready*, whenever something is.

The jobs stay in their table, where workers take them (`draining`); nothing of them passes through django-q2, whose
payloads are pickles. How the bell is heard is the subclass's: by a notice of the database, or through Redis. Whatever
happens to the bell, the table is looked at every `ISTHMUS_JOBS_POLL_SECONDS`.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django_q.brokers import Broker
from django_q.conf import Conf
from django_q.signing import SignedPackage

from isthmus import clock, ids
from isthmus.jobs.conf import options
from isthmus.jobs.errors import UnknownFunction
from isthmus.jobs.models import Job
from isthmus.logs import get_logger
from isthmus.wakeups import LIVELY_SECONDS

__all__ = ["BellBroker"]

log = get_logger(__name__)

_ANSWER = "isthmus.jobs.django_q_worker.answer_bell"
_LIVELY_LOOK_SECONDS = 0.01
_SIT_OUT_SECONDS = 0.5

_Broker: Any = Broker


class BellBroker(_Broker, ABC):  # type: ignore[misc]  # django-q2 has no types
    """What django-q2 asks for work."""

    _lively_until = 0.0

    @abstractmethod
    def ring(self) -> None:
        """Wake a cluster once the open transaction has committed. May raise what the engine raises."""

    @abstractmethod
    def hear(self, timeout_seconds: float) -> bool:
        """Return whether the bell was rung, as soon as it was; False when the time is over, or a bit earlier."""

    @abstractmethod
    def ask(self) -> None:
        """Ask the engine whether it is there. Raises what the engine raises."""

    def dequeue(self) -> Sequence[tuple[None, str]] | None:
        """Wait for work for a moment; return a task for each worker that has something to do, `None` for none."""
        is_lively = clock.monotonic_seconds() < self._lively_until
        try:
            heard = self.hear(_LIVELY_LOOK_SECONDS if is_lively else options.poll_seconds)
            # Who rings has work for one. Whether there is more is seen at the next look, which is soon.
            ready = 1 if heard else _count_ready()
        except (DatabaseError, InterfaceError) as error:
            log.warning("broker.away", error=type(error).__name__)
            connections.close_all()
            threading.Event().wait(_SIT_OUT_SECONDS)
            return None
        if ready:
            # More may follow at once without a ring of its own.
            self._lively_until = clock.monotonic_seconds() + LIVELY_SECONDS
        return [(None, _task())] * ready or None

    def ping(self) -> bool:
        """Say that work can be taken: it can, from the table, whatever becomes of the bell."""
        return True

    def enqueue(self, task: object) -> None:
        """Refuse what is not a job, such as django-q2's `async_task`. Raises `UnknownFunction`."""
        raise UnknownFunction("Enqueue a function that is declared with @queueable.")

    def queue_size(self) -> int:
        """Return how many jobs workers may take now."""
        return Job.objects.ready(clock.now()).count()


def _count_ready() -> int:
    """Return how many workers have something to do, at most all of this cluster."""
    head = Job.objects.ready(clock.now()).values_list("pk", flat=True)[: Conf.WORKERS]
    return len(head)


@cache
def _task() -> str:
    task = {"id": ids.new_uuid().hex, "name": "run-ready-jobs", "func": _ANSWER, "args": (), "kwargs": {}}
    signed: str = SignedPackage.dumps({**task, "started": clock.now(), "ack_failure": True})
    return signed
