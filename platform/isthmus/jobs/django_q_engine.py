"""django-q2 as the bell: on the database by default, on Redis with `ISTHMUS_BROKER_URL`."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID

from django_q.brokers import Broker, get_broker
from django_q.tasks import async_task

from isthmus.logs import get_logger

__all__ = ["DjangoQBell"]

log = get_logger(__name__)

_ANSWER = "isthmus.jobs.django_q_worker.answer_bell"


class DjangoQBell:
    """Sends each job's id through django-q2's broker, nothing else: its payloads are pickles."""

    def ring(self, job_ids: Sequence[UUID]) -> None:
        try:
            for job_id in job_ids:
                async_task(_ANSWER, str(job_id), broker=_broker())  # type: ignore[no-untyped-call]  # django-q2 has no types
        except Exception as error:  # noqa: BLE001 - each broker fails in its own way; the sweeper rings again
            log.warning("job.bell_not_rung", jobs=len(job_ids), error=type(error).__name__)

    def waiting(self) -> int:
        waiting: int = _broker().queue_size()  # type: ignore[no-untyped-call]  # django-q2 has no types
        return waiting


@cache
def _broker() -> Broker:
    return get_broker()
