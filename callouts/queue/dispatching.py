"""The part of a worker that sends queued callouts: one thread takes what is due, some threads send it."""

import threading
from collections import Counter
from queue import SimpleQueue

from django.db import DatabaseError, InterfaceError, connections

from callouts.queue import claiming, reaping, sending, transitions
from callouts.queue.conf import options
from callouts.queue.models import QueuedCallout
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["Dispatcher"]

log = get_logger(__name__)

_REAP_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_SHARE = 0.75
"""How much of a worker one destination may have to itself."""


class Dispatcher:
    """Sends queued callouts from the moment it is started until it is stopped."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or options.threads
        # Some wait inside, so that no sender waits for the next look at the database.
        self._capacity = 2 * self._threads
        self._share = max(1, int(self._capacity * _SHARE))
        self._inbox: SimpleQueue[QueuedCallout | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()
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
        for thread in self._running[:1]:
            thread.join(max(0.0, deadline - clock.monotonic_seconds()))
        for _ in range(self._threads):
            self._inbox.put(None)
        for thread in self._running[1:]:
            thread.join(max(0.0, deadline - clock.monotonic_seconds()))
        log.info("callout_dispatcher.stopped", worker=self._holder, under_way=sum(self._busy.values()))

    def _claim_until_stop(self) -> None:
        while not self._is_stopping.is_set():
            try:
                seconds = options.poll_seconds if not self._claim() else 0.0
                self._look_after()
            except (DatabaseError, InterfaceError) as error:
                log.warning("callout_dispatcher.database_away", worker=self._holder, error=type(error).__name__)
                connections.close_all()
                seconds = _PAUSE_SECONDS
            except Exception:
                # A bug must not silence the queue of a whole worker.
                log.exception("callout_dispatcher.error", worker=self._holder)
                seconds = _PAUSE_SECONDS
            if seconds:
                self._is_stopping.wait(seconds)
            else:
                self._has_room.wait(options.poll_seconds)
        connections.close_all()

    def _claim(self) -> bool:
        with self._lock:
            room = self._capacity - sum(self._busy.values())
            busy = dict(self._busy)
        self._has_room.clear()
        taken = claiming.claim(holder=self._holder, at_most=room, busy=busy, share=self._share)
        with self._lock:
            self._busy.update(row.named_credential for row in taken)
        for row in taken:
            self._inbox.put(row)
        return bool(taken) or room <= 0

    def _look_after(self) -> None:
        if clock.monotonic_seconds() >= self._next_reap:
            self._next_reap = clock.monotonic_seconds() + _REAP_SECONDS
            reaping.reap()
            reaping.offer_trials()

    def _send_until_stop(self) -> None:
        while (row := self._inbox.get()) is not None:
            try:
                if self._is_stopping.is_set():
                    transitions.give_back([row])
                else:
                    sending.send(row)
            except (DatabaseError, InterfaceError) as error:
                log.warning("callout_dispatcher.database_away", worker=self._holder, error=type(error).__name__)
                connections.close_all()
            except Exception:
                # Its lease runs out; then the log tells how far it had got.
                log.exception("callout_dispatcher.error", worker=self._holder, **row.as_dict())
            finally:
                self._done(row)
        connections.close_all()

    def _done(self, row: QueuedCallout) -> None:
        with self._lock:
            self._busy[row.named_credential] -= 1
            if not self._busy[row.named_credential]:
                del self._busy[row.named_credential]
            under_way = sum(self._busy.values())
        # Not after each: a look at the database pays when several can be taken at once.
        if under_way <= self._threads + self._threads // 2:
            self._has_room.set()
