"""A lease that is kept alive by whoever works under it."""

from collections.abc import Callable
from datetime import timedelta

from isthmus import clock
from isthmus.jobs import leases
from isthmus.jobs.models import Lease

__all__ = ["HeldLease"]

_LONGEST_PAUSE_SECONDS = 1.0


class HeldLease:
    """Takes a lease, renews it before it ends, and notices when it is lost. Not for several threads at a time."""

    def __init__(self, name: str, holder: str, *, seconds: Callable[[], float]) -> None:
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._lease: Lease | None = None
        self._next_try_at = 0.0

    def hold(self) -> bool:
        """Return whether the lease is ours now. Asks the database only when it must."""
        ttl = timedelta(seconds=self._seconds())
        if self._lease is not None:
            if self._lease.expires_at - clock.now() > ttl / 2:
                return True
            if leases.renew(self._lease, ttl):
                return True
            self._lease = None
        if clock.monotonic_seconds() < self._next_try_at:
            return False
        self._lease = leases.acquire(self._name, self._holder, ttl)
        if self._lease is None:
            pause = min(_LONGEST_PAUSE_SECONDS, ttl.total_seconds() / 4)
            self._next_try_at = clock.monotonic_seconds() + pause
        return self._lease is not None

    def release(self) -> None:
        """Let others take it at once."""
        held, self._lease = self._lease, None
        if held is not None:
            leases.release(held)
