"""django-q2's broker on the database, made to sit out its absence instead of ending the process."""

import threading
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django_q.brokers import orm

from isthmus.logs import get_logger

__all__ = ["SteadyOrm"]

log = get_logger(__name__)

_PAUSE_SECONDS = 0.5


_Orm: Any = orm.ORM


class SteadyOrm(_Orm):  # type: ignore[misc]  # django-q2 has no types
    """Wake-ups as rows of the table of django-q2."""

    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except (DatabaseError, InterfaceError) as error:
            _sit_out(error)
            return None

    def acknowledge(self, task_id: object) -> Any:
        try:
            return super().acknowledge(task_id)
        except (DatabaseError, InterfaceError) as error:
            # It comes back once, after `retry`, and finds that its job has ended.
            _sit_out(error)
            return None


def _sit_out(error: Exception) -> None:
    log.warning("broker.away", error=type(error).__name__)
    connections.close_all()
    threading.Event().wait(_PAUSE_SECONDS)
