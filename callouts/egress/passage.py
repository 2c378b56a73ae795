"""The passage of one request through the gate: its deadline, and how far it has got."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from callouts.egress.resolver import Resolver
from isthmus import clock

__all__ = ["Deadline", "Passage", "Timing", "current_passage", "milliseconds_since"]


@dataclass(frozen=True)
class Deadline:
    """The moment by which a callout must be over, whatever it consists of."""

    ends_at: float
    """A reading of `isthmus.clock.monotonic_seconds()`."""
    seconds: float
    """The whole time that was given."""

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """Return the deadline `seconds` from now."""
        return cls(ends_at=clock.monotonic_seconds() + seconds, seconds=seconds)

    def remaining(self) -> float:
        """Return the seconds left. Raises `TimeoutError` when there are none."""
        left = self.ends_at - clock.monotonic_seconds()
        if left <= 0:
            raise TimeoutError("The time limit is over.")
        return left

    def is_over(self) -> bool:
        """Return whether the time is up."""
        return clock.monotonic_seconds() >= self.ends_at


@dataclass(kw_only=True, slots=True)
class Timing:
    """Where the time of one request went, in milliseconds; `None` for what did not happen (on a kept connection)."""

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    """From the request's last byte to the answer's first."""


@dataclass(kw_only=True, slots=True)
class Passage:
    """What the sockets of one request share."""

    deadline: Deadline
    resolver: Resolver
    allow_internal_addresses: bool
    used_kept_connection: bool = False
    """Whether the connection had served an earlier request."""
    was_sent: bool = False
    """Whether any byte of the request was handed to the network."""
    was_answered: bool = False
    """Whether any byte came back."""
    sent_at: float = 0.0
    """When the latest byte of the request left."""
    timing: Timing = field(default_factory=Timing)

    def note_sent(self) -> None:
        """A part of the request has left."""
        self.was_sent = True
        self.sent_at = clock.monotonic_seconds()

    def note_answered(self) -> None:
        """A part of the answer has come."""
        if not self.was_answered and self.was_sent:
            self.was_answered = True
            self.timing.first_byte_ms = milliseconds_since(self.sent_at)


def milliseconds_since(moment: float) -> float:
    """Return the milliseconds from a reading of the monotonic clock until now, to the hundredth."""
    return round((clock.monotonic_seconds() - moment) * 1000, 2)


current_passage: ContextVar[Passage | None] = ContextVar("isthmus_egress_passage", default=None)
