"""The passage of one request through the gate: its deadline, and how far it has got."""

from contextvars import ContextVar
from dataclasses import dataclass

from callouts.egress.resolver import Resolver
from isthmus import clock

__all__ = ["Deadline", "Passage", "current_passage"]


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


@dataclass(kw_only=True)
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


current_passage: ContextVar[Passage | None] = ContextVar("isthmus_egress_passage", default=None)
