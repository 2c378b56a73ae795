"""A part of every worker: handles callbacks that were accepted by a process which died before it handled them."""

import threading

from django.db import close_old_connections, connections

from callouts.callbacks import intake
from callouts.callbacks.conf import options
from isthmus.logs import get_logger

__all__ = ["Adopter"]

log = get_logger(__name__)


class Adopter:
    """Looks now and then. Several workers may: a callback is given to one job only."""

    def __init__(self) -> None:
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="callback adopter", daemon=True)

    def start(self, worker: str) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Look no more."""
        self._is_stopping.set()
        self._thread.join(grace_seconds)

    def _run(self) -> None:
        # As often as one may become old enough, so that none waits twice as long; a query on an index costs little.
        pause = max(options.adopt_after_seconds / 2, 1.0)
        try:
            while not self._is_stopping.wait(pause):
                try:
                    close_old_connections()
                    intake.adopt()
                except Exception:
                    log.exception("callback.adoption_failed")
        finally:
            connections.close_all()
