"""The bell of an installation without Redis: a notice of PostgreSQL or, beside SQLite, a datagram on this machine."""

from typing import Any

from django.db import DatabaseError, connection

from isthmus import wakeups
from isthmus.jobs.bell_broker import BellBroker
from isthmus.wakeups import Listener

__all__ = ["DatabaseBroker"]

_CHANNEL = "jobs"


class DatabaseBroker(BellBroker):
    """Rings and hears through `isthmus.wakeups`."""

    _listener: Listener | None = None

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        """Return nothing: the process that listens makes a connection when it begins to."""
        return None

    def ring(self) -> None:
        """Wake the listeners, at most once in a moment: who is awake looks for a while by itself."""
        if connection.in_atomic_block or wakeups.is_due(_CHANNEL):
            wakeups.ring(_CHANNEL)

    def ask(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def hear(self, timeout_seconds: float) -> bool:
        try:
            if self._listener is None:
                # What was rung for before is found by looking, and dequeue() looks after each wait.
                self._listener = wakeups.listen(_CHANNEL)
                return True
            return bool(self._listener.wait(timeout_seconds))
        except Exception as error:
            # psycopg's own classes and those of sockets: this connection is not one of Django's.
            self._listener = None
            raise DatabaseError(type(error).__name__) from error
