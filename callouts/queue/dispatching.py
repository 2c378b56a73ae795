"""The part of a worker that sends queued callouts: one thread takes what is due, some threads send it."""

import threading

from django.db import DatabaseError, InterfaceError, connections

from callouts.queue import claiming, reaping, sending, transitions
from callouts.queue.conf import options
from callouts.queue.inbox import Inbox
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["Dispatcher"]

log = get_logger(__name__)

_REAP_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_SHARE = 0.75
"""How much of a worker one destination may have to itself."""
_TAKEN_AHEAD = 6
"""Callouts that are taken for each thread: a look at the database pays when it takes many."""


class Dispatcher:
    """Sends queued callouts from the moment it is started until it is stopped."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or options.threads
        self._capacity = _TAKEN_AHEAD * self._threads
        self._share = max(1, int(self._capacity * _SHARE))
        self._inbox = Inbox(at_most_each=max(1, int(self._threads * _SHARE)))
        self._has_room = threading.Event()
        self._is_stopping = threading.Event()
        self._holder = ""
        self._running: list[threading.Thread] = []
        self._next_reap = float("-inf")

    def start(self, worker: str) -> None:
        """Begin to send, as a part of the worker of this name."""
        self._holder = worker
        names = ["callouts-claiming", *(f"callouts-sending-{number}" for number in range(self._threads))]
        targets = [self._claim_until_stop, *[self._send_until_stop] * self._threads]
        self._running = [
            threading.Thread(target=target, name=name, daemon=True) for name, target in zip(names, targets, strict=True)
        ]
        for thread in self._running:
            thread.start()
        log.info("callout_dispatcher.started", worker=worker, threads=self._threads)

    def stop(self, grace_seconds: float) -> None:
        """Take nothing more, give back what is not begun, and wait for what is under way, for so long."""
        deadline = clock.monotonic_seconds() + grace_seconds
        self._is_stopping.set()
        self._has_room.set()
        for thread in self._running:
            thread.join(max(0.0, deadline - clock.monotonic_seconds()))
        under_way = sum(thread.is_alive() for thread in self._running)
        log.info("callout_dispatcher.stopped", worker=self._holder, under_way=under_way)

    def _claim_until_stop(self) -> None:
        while not self._is_stopping.is_set():
            try:
                self._has_room.clear()
                self._claim()
                self._look_after()
            except (DatabaseError, InterfaceError) as error:
                log.warning("callout_dispatcher.database_away", worker=self._holder, error=type(error).__name__)
                connections.close_all()
                self._is_stopping.wait(_PAUSE_SECONDS)
            except Exception:
                # A bug must not silence the queue of a whole worker.
                log.exception("callout_dispatcher.error", worker=self._holder)
                self._is_stopping.wait(_PAUSE_SECONDS)
            if not self._is_stopping.is_set():
                self._has_room.wait(options.poll_seconds)
        self._give_back()
        connections.close_all()

    def _claim(self) -> None:
        busy = self._inbox.busy()
        room = self._capacity - sum(busy.values())
        self._inbox.put(claiming.claim(holder=self._holder, at_most=room, busy=busy, share=self._share))

    def _look_after(self) -> None:
        if clock.monotonic_seconds() >= self._next_reap:
            self._next_reap = clock.monotonic_seconds() + _REAP_SECONDS
            reaping.reap()
            reaping.offer_trials()

    def _give_back(self) -> None:
        left = self._inbox.close()
        try:
            transitions.give_back(left)
        except (DatabaseError, InterfaceError) as error:
            # Their leases run out by themselves.
            log.warning("callout_dispatcher.database_away", worker=self._holder, error=type(error).__name__)

    def _send_until_stop(self) -> None:
        while (row := self._inbox.get()) is not None:
            try:
                sending.send(row)
            except (DatabaseError, InterfaceError) as error:
                log.warning("callout_dispatcher.database_away", worker=self._holder, error=type(error).__name__)
                connections.close_all()
            except Exception:
                # Its lease runs out; then the log tells how far it had got.
                log.exception("callout_dispatcher.error", worker=self._holder, **row.as_dict())
            finally:
                if self._inbox.done(row) <= 2 * self._threads:
                    self._has_room.set()
        connections.close_all()
