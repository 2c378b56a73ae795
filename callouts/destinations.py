"""What every process knows of a destination: its circuit breaker, dry runs, holds.

The breaker of a named credential is closed as long as callouts come through. After `breaker_threshold` failures in a
row it opens: callouts are refused without being sent. When its time is over it is half-open: one callout may try, and
what becomes of that one closes it or opens it again, for twice as long. The row is shared by all processes; each
remembers for a second what it last read, so that a well destination costs a callout nothing.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Least

from callouts import signals
from callouts.conf import options
from callouts.errors import (
    AnswerTimedOut,
    AnswerTooLarge,
    CircuitOpen,
    ConnectFailed,
    ConnectionLost,
    DryRun,
    ResponseBroken,
    TlsFailed,
)
from callouts.models import BreakerState, Destination
from callouts.retrying import DEFAULT_DELAYS, RetryPolicy
from credentials.models import NamedCredential
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.logs import get_logger

__all__ = [
    "Known",
    "admit",
    "forget",
    "hold",
    "known",
    "note",
    "policy_of",
    "release",
    "reset_breaker",
    "switch_dry_run",
    "wait_until",
]

log = get_logger(__name__)

_TRIAL_SECONDS = 150.0
"""After that long a trial without an end has died with its process."""
_LONGEST_OPEN_SECONDS = 600.0
_MOST_DOUBLINGS = 10
_FAILURES = (ConnectFailed, TlsFailed, AnswerTimedOut, ConnectionLost, ResponseBroken)


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the row said when it was last read."""

    breaker: str = BreakerState.CLOSED
    failures: int = 0
    trial_at: datetime | None = None
    is_dry_run: bool = False
    is_held: bool = False
    retry_delays: tuple[float, ...] = DEFAULT_DELAYS

    @property
    def is_well(self) -> bool:
        """Whether there is nothing to mend: closed, no failures, no hold."""
        return self.breaker == BreakerState.CLOSED and not self.failures and not self.is_held


_WELL = Known()
_lock = threading.Lock()
_remembered: dict[str, tuple[float, Known]] = {}


def known(name: str) -> Known:
    """Return what is known of the destination behind a named credential, at most a second old."""
    now = clock.monotonic_seconds()
    found = _remembered.get(name)
    if found is not None and 0 <= now - found[0] < options.destination_seconds:
        return found[1]
    row = (
        Destination.objects.filter(named_credential__name=name)
        .values_list("breaker", "failures", "trial_at", "is_dry_run", "held_since", "retry_delays")
        .first()
    )
    read = _WELL
    if row is not None:
        breaker, failures, trial_at, is_dry_run, held_since, retry_delays = row
        read = Known(
            breaker=breaker,
            failures=failures,
            trial_at=trial_at,
            is_dry_run=is_dry_run,
            is_held=held_since is not None,
            retry_delays=tuple(retry_delays or DEFAULT_DELAYS),
        )
    with _lock:
        _remembered[name] = (now, read)
    return read


def policy_of(name: str) -> RetryPolicy:
    """Return when queued callouts to the destination are tried again."""
    return RetryPolicy(delays=known(name).retry_delays)


def forget(name: str | None = None, **_: object) -> None:
    """Look again the next time, at one destination or (`None`) at all."""
    with _lock:
        if name is None:
            _remembered.clear()
        else:
            _remembered.pop(name, None)


def admit(name: str) -> Known:
    """Let a callout to the destination leave, or raise `CircuitOpen` or `DryRun`."""
    state = known(name)
    if state.is_dry_run:
        raise DryRun(f"{name} is in dry-run mode: nothing is sent to it.")
    if state.breaker != BreakerState.CLOSED:
        _admit_trial(name, state)
    return state


def note(name: str, state: Known, *, status: int | None, error: BaseException | None) -> None:
    """Take in how a callout ended that was admitted with `state`."""
    is_failure = isinstance(error, _FAILURES) or (error is None and status is not None and status >= 500)
    if is_failure:
        said = getattr(error, "message", "") or f"It answered {status}."
        _note_failure(name, said)
    elif isinstance(error, AnswerTooLarge) or error is None:
        is_accepted = status is not None and status < 400
        if state.breaker != BreakerState.CLOSED or state.failures:
            _close(name)
        if state.is_held and is_accepted:
            release(name)


def reset_breaker(name: str, *, actor: AbstractUser | None = None) -> bool:
    """Close the breaker by hand; return whether it was not closed."""
    with transaction.atomic():
        was_open = _close(name)
        if was_open:
            audit.record("callouts.breaker_reset", target=name, actor=actor)
    return was_open


def switch_dry_run(named: NamedCredential, *, to: bool, actor: AbstractUser | None = None) -> None:
    """Send nothing to the destination from now on, or send again."""
    with transaction.atomic():
        Destination.objects.update_or_create(named_credential=named, defaults={"is_dry_run": to})
        audit.record("callouts.dry_run_switched", target=named.name, details={"to": to}, actor=actor)
    forget(named.name)


def hold(name: str, reason: str) -> None:
    """Let queued callouts wait: the destination refuses who we are."""
    credential = _credential(name)
    if credential is None:
        return
    Destination.objects.get_or_create(named_credential=credential)
    changed = Destination.objects.filter(named_credential=credential, held_since__isnull=True)
    if changed.update(held_since=clock.now(), hold_reason=reason):
        log.warning("destination.held", named_credential=name, reason=reason)
    forget(name)


def release(name: str, *, actor: AbstractUser | None = None) -> None:
    """Let queued callouts go on: what kept them was mended, or `actor` says so."""
    if actor is not None:
        audit.record("callouts.destination_released", target=name, actor=actor)
    held = Destination.objects.filter(named_credential__name=name, held_since__isnull=False)
    if held.update(held_since=None, hold_reason=""):
        log.info("destination.released", named_credential=name)
    forget(name)
    signals.destination_released.send(sender=None, named_credential=name)


def wait_until(name: str, moment: datetime) -> None:
    """Let queued callouts wait until then: the destination asked for it."""
    credential = _credential(name)
    if credential is None:
        return
    row, _ = Destination.objects.get_or_create(named_credential=credential)
    if row.not_before is None or row.not_before < moment:
        Destination.objects.filter(pk=row.pk).update(not_before=moment)


def _admit_trial(name: str, state: Known) -> None:
    now = clock.now()
    if state.trial_at is None or state.trial_at <= now:
        claimed = Destination.objects.filter(
            named_credential__name=name, breaker__in=[BreakerState.OPEN, BreakerState.HALF_OPEN], trial_at__lte=now
        ).update(breaker=BreakerState.HALF_OPEN, trial_at=now + timedelta(seconds=_TRIAL_SECONDS))
        forget(name)
        if claimed or known(name).breaker == BreakerState.CLOSED:
            return
    until = f" The next trial is at {state.trial_at:%H:%M:%S} UTC." if state.trial_at else ""
    raise CircuitOpen(f"{name} failed {state.failures} times in a row and is left alone for a while.{until}")


def _note_failure(name: str, said: str) -> None:
    credential = _credential(name)
    if credential is None:
        return
    now = clock.now()
    row, _ = Destination.objects.get_or_create(named_credential=credential)
    Destination.objects.filter(pk=row.pk).update(
        failures=Least(F("failures") + 1, 1_000_000), last_error=said, last_error_at=now
    )
    row.refresh_from_db()
    is_trial_lost = row.breaker == BreakerState.HALF_OPEN
    is_full = row.breaker == BreakerState.CLOSED and 0 < row.breaker_threshold <= row.failures
    if is_trial_lost or is_full:
        seconds = min(row.breaker_seconds * 2 ** min(row.openings, _MOST_DOUBLINGS), _LONGEST_OPEN_SECONDS)
        opened = Destination.objects.filter(pk=row.pk, breaker=row.breaker).update(
            breaker=BreakerState.OPEN,
            opened_at=now,
            trial_at=now + timedelta(seconds=seconds),
            openings=F("openings") + 1,
        )
        if opened:
            log.warning("destination.breaker_opened", named_credential=name, failures=row.failures, reason=said)
    forget(name)


def _close(name: str) -> bool:
    rows = Destination.objects.filter(named_credential__name=name)
    was_open = bool(rows.exclude(breaker=BreakerState.CLOSED).update(breaker=BreakerState.CLOSED))
    rows.update(failures=0, openings=0, opened_at=None, trial_at=None)
    if was_open:
        log.info("destination.breaker_closed", named_credential=name)
    forget(name)
    return was_open


def _credential(name: str) -> NamedCredential | None:
    return NamedCredential.objects.filter(name=name).first()
