"""The bus: one process that relays, trims, and runs subscribers. Any number may run; leases decide who does what.

Each part has a thread and a database connection of its own, so that a slow subscriber holds up neither the relay nor
the signs of life. What the database refuses (it restarts, say) ends no part: the part drops its connection, waits a
moment and goes on.
"""

import itertools
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import connections

from events import registry
from events.actions import synchronise
from events.completeness import Checker
from events.conf import options
from events.delivery import deliver_batch
from events.held_leases import HeldLease
from events.logs import EventLog
from events.logs.base import LOGGED
from events.models import Subscription
from events.relay import Relay
from events.retention import trim
from events.subscribers import Subscriber
from isthmus import clock, wakeups
from isthmus.jobs import processes
from isthmus.logs import get_logger
from isthmus.objects.capture.context import STAGED
from isthmus.wakeups import LIVELY_SECONDS, Listener

__all__ = ["Bus", "DeliveryPart", "RelayPart"]

log = get_logger(__name__)

RELAY_LEASE = "events.relay"

_PAUSE_AFTER_ERROR_SECONDS = 1.0
_LIVELY_PAUSE_SECONDS = 0.004
"""Rest of the relay between two looks while it was woken, or found something, a moment ago."""
_SWITCH_INTERVAL_SECONDS = 0.0005
_LISTENED_SECONDS = 1.0
"""How long a process listens without looking whether it has to stop."""
_LOOK_SECONDS = 0.05
"""Least time between two looks for subscriptions that have something to handle, while some are at work."""
_LINGERS_SECONDS = 1.0
"""How long a subscription without events keeps its thread."""


class Part(ABC):
    """What a thread of the bus does again and again. `wake` ends its pause early."""

    name: str

    def __init__(self) -> None:
        self.wake = threading.Event()

    def prepare(self) -> None:  # noqa: B027 - most parts have nothing to prepare
        """Do what comes before the first turn; again if it fails."""

    @abstractmethod
    def turn(self) -> bool:
        """Do one piece of work; return whether there may be more to do right now."""

    def pause_seconds(self) -> float:
        """Return how long to rest when there is nothing to do."""
        return options.poll_milliseconds / 1000

    def finish(self) -> None:  # noqa: B027 - some parts leave nothing behind
        """Clean up after the last turn."""


class Bus:
    """Runs the parts until it is told to stop."""

    def __init__(self, event_log: EventLog, *, name: str) -> None:
        self._name = name
        self._stopping = threading.Event()
        self._delivery = DeliveryPart(event_log, holder=name, stopping=self._stopping)
        relay = RelayPart(event_log, holder=name, moved=self._delivery.awake)
        self._parts: tuple[Part, ...] = (
            HeartbeatPart(name),
            relay,
            self._delivery,
            ListeningPart({STAGED: relay.heard, LOGGED: self._delivery.awake}),
        )

    def stop(self) -> None:
        """Ask for the end; may be called from any thread, and more than once."""
        self._stopping.set()
        for part in self._parts:
            part.wake.set()

    def run(self) -> None:
        """Work until `stop` is called; then let running subscribers finish, within the grace period."""
        # The parts hand work to each other many times a second; the usual 5 ms would add up.
        sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
        # Daemons: what does not end in time must not keep the process alive. The database rolls its transaction back,
        # and the work is done again elsewhere.
        threads = [
            threading.Thread(target=self._run, args=[part], name=f"bus-{part.name}", daemon=True)
            for part in self._parts
        ]
        for thread in threads:
            thread.start()
        log.info("bus.started", name=self._name)
        self._stopping.wait()
        deadline = clock.monotonic_seconds() + options.stop_grace_seconds
        for thread in (*threads, *self._delivery.running()):
            thread.join(max(0.0, deadline - clock.monotonic_seconds()))
        log.info("bus.stopped", name=self._name)

    def _run(self, part: Part) -> None:
        prepared = False
        while not self._stopping.is_set():
            try:
                if not prepared:
                    part.prepare()
                    prepared = True
                if part.turn():
                    continue
            except Exception:
                # The outermost edge of the thread: whatever it was must not end the part.
                log.exception("bus.part_failed", part=part.name)
                connections.close_all()
                self._stopping.wait(_PAUSE_AFTER_ERROR_SECONDS)
                continue
            part.wake.wait(part.pause_seconds())
            # Cleared before the turn: who wakes during it is not overheard.
            part.wake.clear()
        try:
            part.finish()
        except Exception:
            # The same edge: the other parts end in good order. What stays behind (a lease) ends by itself.
            log.exception("bus.part_failed", part=part.name)
        finally:
            connections.close_all()


class HeartbeatPart(Part):
    """Says that the process is alive."""

    name = "heartbeat"

    def __init__(self, holder: str) -> None:
        super().__init__()
        self._holder = holder

    def turn(self) -> bool:
        processes.beat("bus", self._holder)
        return False

    def pause_seconds(self) -> float:
        return options.heartbeat_seconds

    def finish(self) -> None:
        processes.stopped("bus", self._holder)


class RelayPart(Part):
    """Relays, checks and trims while this process holds the lease. `moved` is called after each move."""

    name = "relay"

    def __init__(self, event_log: EventLog, *, holder: str, moved: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._log = event_log
        self._relay = Relay(event_log)
        self._moved = moved
        self._lease = HeldLease(RELAY_LEASE, holder, seconds=lambda: options.relay_lease_seconds)
        self._trim_at = 0.0
        self._checker = Checker(event_log)
        self._check_at = 0.0
        self._lively_until = 0.0

    def heard(self) -> None:
        """Look now, and for a while again and again; may be called from any thread."""
        self._lively_until = clock.monotonic_seconds() + LIVELY_SECONDS
        self.wake.set()

    def pause_seconds(self) -> float:
        # Writers ring once in a while, not at each commit.
        lively = clock.monotonic_seconds() < self._lively_until
        return _LIVELY_PAUSE_SECONDS if lively else super().pause_seconds()

    def turn(self) -> bool:
        if not self._lease.hold():
            return False
        moved = self._relay.move()
        if moved:
            self._lively_until = clock.monotonic_seconds() + LIVELY_SECONDS
            self._moved()
        self._check()
        trimmed = self._trim()
        return bool(moved) or trimmed

    def finish(self) -> None:
        self._lease.release()

    def _check(self) -> None:
        now = clock.monotonic_seconds()
        if now >= self._check_at:
            self._checker.check()
            self._check_at = now + options.check_interval_seconds

    def _trim(self) -> bool:
        now = clock.monotonic_seconds()
        if now < self._trim_at:
            return False
        if trim(self._log):
            return True
        self._trim_at = now + options.trim_interval_seconds
        return False


class ListeningPart(Part):
    """Hears that something is to be done, and wakes the part that does it."""

    name = "listening"

    def __init__(self, heard: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._heard = heard
        self._listener: Listener | None = None

    def prepare(self) -> None:
        self._listener = wakeups.listen(*self._heard)

    def turn(self) -> bool:
        if self._listener is None:
            self.prepare()
        try:
            rung = self._listener.wait(_LISTENED_SECONDS) if self._listener else set()
        except Exception:
            # The connection is gone: listened to anew, on another one.
            self._close()
            raise
        for channel in rung:
            self._heard[channel]()
        return True

    def finish(self) -> None:
        self._close()

    def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


@dataclass
class _Running:
    """A subscription that this process works on."""

    thread: threading.Thread
    wake: threading.Event


class DeliveryPart(Part):
    """Finds subscriptions that have something to handle and runs each, under its lease, in a thread of its own.

    A thread stays for a moment when nothing is left: the next event then finds it awake.
    """

    name = "delivery"

    def __init__(self, event_log: EventLog, *, holder: str, stopping: threading.Event) -> None:
        super().__init__()
        self._log = event_log
        self._holder = holder
        self._stopping = stopping
        self._leases: dict[str, HeldLease] = {}
        self._running: dict[str, _Running] = {}
        self._turns = itertools.count(1)
        self._looked_at = 0.0
        self._is_crowded = False
        """Whether a subscription with something to handle waits for a thread."""
        self._started: dict[str, int] = {}
        """When each subscription was started last, in turns."""

    def prepare(self) -> None:
        synchronise(self._log)

    def awake(self) -> None:
        """Look now whether there is something to handle; may be called from any thread."""
        for running in list(self._running.values()):
            running.wake.set()
        self.wake.set()

    def turn(self) -> bool:
        """Start what is due and not running in this process yet."""
        # What runs is woken by itself; to look for the others at each event would cost more than the events.
        early = self._looked_at + _LOOK_SECONDS - clock.monotonic_seconds()
        if early > 0 and self._running:
            self._stopping.wait(early)
        self._looked_at = clock.monotonic_seconds()
        self._running = {name: found for name, found in self._running.items() if found.thread.is_alive()}
        subscribers = {subscriber.name: subscriber for subscriber in registry.all_subscribers()}
        if subscribers:
            waiting = self._with_something_to_do(subscribers)
            free = max(0, options.subscriber_threads - len(self._running))
            for subscription in waiting[:free]:
                self._start(subscription, subscribers[subscription.name])
            self._is_crowded = len(waiting) > free
            if self._is_crowded:
                # Those that only linger make room.
                for running in self._running.values():
                    running.wake.set()
        return False

    def running(self) -> list[threading.Thread]:
        """Return the threads in which subscribers run, awake so that they see that they have to end."""
        self.awake()
        return [found.thread for found in self._running.values()]

    def _with_something_to_do(self, subscribers: dict[str, Subscriber]) -> list[Subscription]:
        names = [name for name in subscribers if name not in self._running]
        if not names:
            return []
        due = list(Subscription.objects.due(clock.now()).filter(name__in=names).order_by("name"))
        # Whoever waited longest comes first: one that another process is busy with must not take every turn.
        due.sort(key=lambda found: self._started.get(found.name, 0))
        latest = self._log.latest_of({subscribers[subscription.name].topic for subscription in due})
        return [found for found in due if found.cursor < latest.get(subscribers[found.name].topic, 0)]

    def _start(self, subscription: Subscription, subscriber: Subscriber) -> None:
        lease = self._leases.setdefault(
            subscription.name,
            HeldLease(subscription.lease_name, self._holder, seconds=lambda: options.subscriber_lease_seconds),
        )
        wake = threading.Event()
        thread = threading.Thread(
            target=self._run, args=[subscriber, lease, wake], name=f"bus-{subscriber.name}", daemon=True
        )
        self._running[subscriber.name] = _Running(thread, wake)
        self._started[subscriber.name] = next(self._turns)
        thread.start()

    def _run(self, subscriber: Subscriber, lease: HeldLease, wake: threading.Event) -> None:
        try:
            while not self._stopping.is_set() and lease.hold():
                wake.clear()
                if deliver_batch(self._log, subscriber):
                    continue
                if self._is_crowded or not wake.wait(_LINGERS_SECONDS):
                    break
            lease.release()
        except Exception:
            # The outermost edge of the thread. The cursor has not moved, so the subscription is due again.
            log.exception("bus.delivery_failed", subscription=subscriber.name)
            self._stopping.wait(_PAUSE_AFTER_ERROR_SECONDS)
        finally:
            connections.close_all()
            # Somebody else may have waited for the place.
            self.wake.set()
