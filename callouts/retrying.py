"""What an attempt's end means for the next one.

The table (https://www.rfc-editor.org/rfc/rfc9110#section-15, https://www.rfc-editor.org/rfc/rfc6585#section-4):

| the attempt ended with | next |
|---|---|
| a status below 400 | succeeded |
| no connection, no TLS, a lost token request | again, by the ladder: nothing was sent |
| a time-out or a lost connection after it was sent | again, where repeating is safe; else *in doubt* |
| 502, 504 | the same: the gateway does not know either |
| 500 | again, where repeating is safe; else failed: the system says so itself |
| 408, 425, 429, 503 | again: the system says that it has not acted; its `Retry-After` wins over the ladder |
| 401, 403, a principal that has to be connected | held until that is fixed |
| 410, `webhook-delivery: disable` | stopped for good |
| every other status | failed |

Repeating is safe for methods that only read, with an idempotency key, or after a probe has found that nothing happened.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

from callouts.errors import CalloutFailed, CalloutInDoubt, CalloutRefused, CircuitOpen
from credentials.errors import CredentialError
from isthmus.errors import IsthmusError

__all__ = [
    "DEFAULT_DELAYS",
    "Next",
    "RetryPolicy",
    "Verdict",
    "retry_after_seconds",
    "what_is_wrong_with_delays",
]

DEFAULT_DELAYS = (0.0, 5.0, 30.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds before each attempt: at once, 5 s, 30 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h."""

NOT_ACTED = frozenset({408, 425, 429, 503})
"""By these a system says that it has not acted and may later (RFC 9110 15.5.9 and 15.6.4, RFC 6585, RFC 8470)."""
UNTIL_FIXED = frozenset({401, 403})
_GATEWAY = frozenset({502, 504})
_LONGEST_LADDER = 50


class Next(StrEnum):
    """What follows an attempt."""

    SUCCEEDED = "succeeded"
    AGAIN = "again"
    """At `Verdict.after_seconds`."""
    HELD = "held"
    """Until the credential or the right is mended."""
    IN_DOUBT = "in_doubt"
    """A person decides, or the probe."""
    FAILED = "failed"
    STOPPED = "stopped"
    """For good: the other side said that it must not come again."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What follows, and why."""

    next: Next
    reason: str
    after_seconds: float = 0.0
    """Seconds until the next attempt, where there is one."""
    by_their_wish: bool = False
    """Whether the time comes from the answer's `Retry-After`, which then holds for the whole destination."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When to try again. On a call, or (for queued callouts) on the destination.

    `delays`: seconds before each attempt, the first one included; their number is the most attempts there are.
    `jitter`: the share by which a delay varies at random, so that what failed together does not come back together.
    `longest_wait_seconds`: how far a `Retry-After` is obeyed. Raises `ValueError` for a ladder that is none.
    """

    delays: Sequence[float] = DEFAULT_DELAYS
    jitter: float = 0.2
    longest_wait_seconds: float = 86_400.0

    def __post_init__(self) -> None:
        if wrong := what_is_wrong_with_delays(list(self.delays)):
            raise ValueError(wrong)
        if not 0 <= self.jitter < 1:
            raise ValueError("Jitter is a share from 0 up to, not including, 1.")

    @classmethod
    def quick(cls) -> "RetryPolicy":
        """Return the ladder for a call that somebody waits for: three attempts within about two seconds."""
        return cls(delays=(0.0, 0.3, 1.5), longest_wait_seconds=2.0)

    def decide(
        self,
        *,
        status: int | None,
        headers: Mapping[str, str] | None = None,
        error: BaseException | None = None,
        is_repeatable: bool,
        attempts: int,
        now: datetime,
    ) -> Verdict:
        """Return what follows an attempt that was answered with `status`, or ended with `error`.

        `attempts`: how many there were on this ladder, this one included.
        """
        found = (
            _of_error(error, is_repeatable=is_repeatable)
            if error is not None
            else _of_status(status or 0, headers or {}, is_repeatable=is_repeatable)
        )
        if found.next != Next.AGAIN:
            return found
        if attempts >= len(self.delays):
            is_lost = isinstance(error, CalloutInDoubt) or status in _GATEWAY
            last = Next.IN_DOUBT if is_lost else Next.FAILED
            return Verdict(next=last, reason=f"{found.reason} That was the last of {attempts} attempts.")
        wished = retry_after_seconds(headers or {}, now=now) if status is not None else None
        if wished is not None:
            seconds = min(wished, self.longest_wait_seconds)
            return Verdict(next=Next.AGAIN, reason=found.reason, after_seconds=seconds, by_their_wish=True)
        return Verdict(next=Next.AGAIN, reason=found.reason, after_seconds=self._varied(self.delays[attempts]))

    def _varied(self, seconds: float) -> float:
        # Not for secrets: it only spreads retries in time.
        return seconds * (1 + self.jitter * (2 * random.random() - 1))  # noqa: S311


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the seconds that `Retry-After` asks to wait; `None` when there is none or it makes no sense.

    It holds seconds or a date (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3).
    """
    given = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if given.isascii() and given.isdecimal():
        return min(float(given[:12]), timedelta(days=365).total_seconds())
    try:
        moment = parsedate_to_datetime(given)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())


def what_is_wrong_with_delays(given: object) -> str:
    """Return why a ladder is none, or "" when it is one (`None` is: the usual one)."""
    if given is None:
        return ""
    if not isinstance(given, list) or not 1 <= len(given) <= _LONGEST_LADDER:
        return f"A ladder is a list of 1 to {_LONGEST_LADDER} numbers."
    for delay in given:
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= 30 * 86_400:
            return "Each delay is a number of seconds from 0 to 30 days."
    return ""


def _of_status(status: int, headers: Mapping[str, str], *, is_repeatable: bool) -> Verdict:
    said = f"The other side answered {status}."
    if status < 400:
        return Verdict(next=Next.SUCCEEDED, reason=said)
    if status == 410 or _asks_to_stop(headers):
        return Verdict(next=Next.STOPPED, reason=f"{said} It does not want this any more.")
    if status in UNTIL_FIXED:
        return Verdict(next=Next.HELD, reason=f"{said} It waits until the credential or the right is mended.")
    if status in NOT_ACTED or (status >= 500 and is_repeatable):
        return Verdict(next=Next.AGAIN, reason=said)
    if status in _GATEWAY:
        doubt = f"{said} The system behind may have acted, and repeating is not safe."
        return Verdict(next=Next.IN_DOUBT, reason=doubt)
    return Verdict(next=Next.FAILED, reason=said)


def _of_error(error: BaseException, *, is_repeatable: bool) -> Verdict:
    said = error.message if isinstance(error, IsthmusError) else f"{type(error).__name__} interrupted it."
    if isinstance(error, CircuitOpen):
        return Verdict(next=Next.AGAIN, reason=said)
    if isinstance(error, CredentialError):
        return Verdict(next=Next.AGAIN if error.retryable else Next.HELD, reason=said)
    if isinstance(error, CalloutFailed | CalloutRefused):
        return Verdict(next=Next.AGAIN if error.retryable else Next.FAILED, reason=said)
    # In doubt, or interrupted by what says nothing about whether it was sent.
    if is_repeatable:
        return Verdict(next=Next.AGAIN, reason=said)
    return Verdict(next=Next.IN_DOUBT, reason=f"{said} Repeating is not known to be safe.")


def _asks_to_stop(headers: Mapping[str, str]) -> bool:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    given = {name.lower(): value.strip().lower() for name, value in headers.items()}
    return given.get("webhook-delivery") == "disable"
