"""Sends one callout that was taken from the queue, and writes what follows.

What the log says and what the queue says are written in one transaction: a crash leaves either both or neither.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import requests
from django.db import DatabaseError, InterfaceError, transaction

from callouts import destinations, limits
from callouts.client import Callout, PlainEnd, QueuedAttempt, perform
from callouts.conf import options as callout_options
from callouts.errors import CalloutError, CircuitOpen, DryRun, InvalidCallout
from callouts.queue import transitions
from callouts.queue.conf import options
from callouts.queue.follow_ups import follow_up
from callouts.queue.models import QueuedCallout
from callouts.queue.states import QueueState
from callouts.retrying import Next, RetryPolicy, Verdict
from credentials.errors import CredentialError
from isthmus import clock, correlation
from isthmus.logs import get_logger

__all__ = ["send"]

log = get_logger(__name__)

_TRIAL_MARGIN = timedelta(seconds=0.1)


def send(row: QueuedCallout) -> None:
    """Make the callout that this worker holds. Raises database errors: then its lease runs out and others look."""
    seconds = row.timeout_seconds or callout_options.timeout_seconds
    assert row.lease_expires_at is not None  # noqa: S101 - it was taken
    if (row.lease_expires_at - clock.now()).total_seconds() < seconds and not transitions.renew(row):
        return
    settlement = _Settlement(row)
    with correlation.bind(row.correlation_id), limits.transaction_context(in_background=True):
        try:
            _refuse_missing_user(row)
            perform(_callout(row, settlement))
        except (CalloutError, CredentialError) as error:
            if not settlement.is_made:
                settlement.make(None, None, error)
        except (DatabaseError, InterfaceError):
            raise
        except Exception as error:
            log.exception("queued_callout.error", **row.as_dict())
            if not settlement.is_made:
                # What happens once it is under way is settled there: nothing had left.
                settlement.make(None, None, InvalidCallout(f"{type(error).__name__} while it was prepared."))


def _callout(row: QueuedCallout, settlement: "_Settlement") -> Callout:
    assert row.lease_expires_at is not None  # noqa: S101 - it was taken
    return Callout(
        method=row.method,
        url=row.url,
        data=bytes(row.body) if row.body else None,
        headers=row.headers,
        timeout=row.timeout_seconds,
        user=row.user,
        idempotency_key=row.idempotency_key or None,
        operation=row.operation,
        record=row.record_id,
        invocation_id=row.invocation_id,
        queued=QueuedAttempt(
            id=row.pk,
            attempt=row.attempts,
            expires_at=row.lease_expires_at,
            settle=settlement.make,
            plain_end=settlement.plain_end,
        ),
    )


def _refuse_missing_user(row: QueuedCallout) -> None:
    if row.user_name and row.user is None:
        # Going on as the automated process would do what nobody was ever asked to allow.
        raise InvalidCallout(f"{row.user_name}, on whose behalf it was queued, is gone.")


class _Settlement:
    """What becomes of the row, decided once, in the transaction that completes the log entry."""

    def __init__(self, row: QueuedCallout) -> None:
        self._row = row
        self.is_made = False

    def make(self, entry_id: uuid.UUID | None, answer: requests.Response | None, error: BaseException | None) -> None:
        """Write what follows an attempt that ended with `answer` or `error`."""
        row, now = self._row, clock.now()
        verdict, state = self._verdict(answer, error, now)
        is_counted = not isinstance(error, CircuitOpen)
        with transaction.atomic():
            is_settled = transitions.settle(
                row,
                verdict,
                due_at=self._due_at(verdict, error, now),
                is_counted=is_counted,
                state=state,
                answered=self._answered(answer),
            )
            if is_settled:
                self._tell_destination(verdict, answer, now)
                follow_up(row, state or transitions.STATE_AFTER[verdict.next])
        self._made(verdict, entry_id, is_settled=is_settled)

    def plain_end(self, answer: requests.Response | None, error: BaseException | None) -> PlainEnd | None:
        """Return the settlement of a callout that went well and that nothing is to follow; `None` for others."""
        row = self._row
        if answer is None or error is not None or row.wants_answer or row.is_trial:
            return None
        verdict, _ = self._verdict(answer, error, clock.now())
        if verdict.next != Next.SUCCEEDED:
            return None

        def made(entry_id: uuid.UUID, is_settled: bool) -> None:
            self._made(verdict, entry_id, is_settled=is_settled)

        return PlainEnd(change=transitions.success(row, verdict.reason, status_code=answer.status_code), made=made)

    def _made(self, verdict: Verdict, entry_id: uuid.UUID | None, *, is_settled: bool) -> None:
        self.is_made = True
        log.info(
            "queued_callout.settled" if is_settled else "queued_callout.lease_lost",
            **self._row.as_dict(),
            next=str(verdict.next),
            attempt=self._row.attempts,
            entry_id=str(entry_id),
        )

    def _verdict(
        self, answer: requests.Response | None, error: BaseException | None, now: datetime
    ) -> tuple[Verdict, QueueState | None]:
        row = self._row
        if isinstance(error, DryRun):
            return Verdict(next=Next.SUCCEEDED, reason="Dry run: it was logged and not sent."), QueueState.DRY_RUN
        delays = row.retry_delays or destinations.policy_of(row.named_credential).delays
        policy = RetryPolicy(delays=delays)
        verdict = policy.decide(
            status=answer.status_code if answer is not None else None,
            headers=answer.headers if answer is not None else None,
            error=error,
            is_repeatable=row.is_repeatable,
            # What waits for a breaker is no attempt.
            attempts=min(row.tries + 1, len(delays) - 1) if isinstance(error, CircuitOpen) else row.tries + 1,
            now=now,
        )
        return verdict, QueueState.WAITING if isinstance(error, CircuitOpen) else None

    def _due_at(self, verdict: Verdict, error: BaseException | None, now: datetime) -> datetime:
        if isinstance(error, CircuitOpen):
            trial_at = destinations.known(self._row.named_credential).trial_at
            return max(trial_at or now, now) + _TRIAL_MARGIN
        if verdict.next == Next.HELD:
            return now + timedelta(seconds=options.held_trial_seconds)
        return now + timedelta(seconds=verdict.after_seconds)

    def _answered(self, answer: requests.Response | None) -> dict[str, Any]:
        if answer is None:
            return {"status_code": None}
        if not self._row.wants_answer:
            return {"status_code": answer.status_code}
        return {
            "status_code": answer.status_code,
            "answer_headers": dict(answer.headers),
            "answer_body": answer.content,
        }

    def _tell_destination(self, verdict: Verdict, answer: requests.Response | None, now: datetime) -> None:
        name = self._row.named_credential
        if verdict.by_their_wish:
            destinations.wait_until(name, now + timedelta(seconds=verdict.after_seconds))
        if verdict.next == Next.HELD and answer is not None and answer.status_code == 401:
            destinations.hold(name, verdict.reason)
        elif verdict.next == Next.SUCCEEDED and self._row.is_trial:
            destinations.release(name)
