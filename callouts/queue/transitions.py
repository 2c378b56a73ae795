"""The state machine of queued callouts: every change of state, each one a compare-and-set UPDATE.

            ┌────────────── again, by the ladder ─────────────┐
            ▼                                                 │
Waiting ──▶ Sending ──▶ Succeeded · Dry run                   │
   ▲  ▲        ├──────▶ Failed · Stopped ─────── resent ──────┤
   │  │        ├──────▶ In doubt ─── it did not act, resend ──┤
   │  │        └──────▶ Held ──── the credential is mended ───┘
   │  └── its worker died before anything was sent
   └───── cancelled from any state in which nothing is under way

Whoever sends proves that it still may with the fencing token of its lease: it is in the WHERE of all it writes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from callouts.conf import options as callout_options
from callouts.log_rows import AlongWith
from callouts.queue.conf import options
from callouts.queue.models import QueuedCallout
from callouts.queue.states import AWAITS_DECISION, QueueState
from callouts.retrying import Next, Verdict
from isthmus import clock

__all__ = [
    "STATE_AFTER",
    "acted",
    "again",
    "cancel",
    "give_back",
    "in_doubt",
    "release",
    "renew",
    "resend",
    "settle",
    "success",
    "take",
    "worker_died",
]

_NO_LEASE: dict[str, Any] = {"lease_holder": "", "lease_expires_at": None, "is_trial": False}
STATE_AFTER = {
    Next.SUCCEEDED: QueueState.SUCCEEDED,
    Next.AGAIN: QueueState.WAITING,
    Next.HELD: QueueState.HELD,
    Next.IN_DOUBT: QueueState.IN_DOUBT,
    Next.FAILED: QueueState.FAILED,
    Next.STOPPED: QueueState.STOPPED,
}


def take(rows: Sequence[QueuedCallout], *, holder: str) -> list[QueuedCallout]:
    """Waiting → Sending for `holder`, in the caller's transaction, in which the rows were locked."""
    now = clock.now()
    for row in rows:
        row.state, row.lease_holder = QueueState.SENDING, holder
        row.lease_expires_at = lease_end(row, now)
        row.fencing_token += 1
        row.attempts += 1
    by_end: dict[datetime, list[int]] = {}
    for row in rows:
        by_end.setdefault(row.lease_expires_at, []).append(row.pk)  # type: ignore[arg-type]  # set above
    for end, keys in by_end.items():
        QueuedCallout.objects.filter(pk__in=keys, state=QueueState.WAITING).update(
            state=QueueState.SENDING,
            lease_holder=holder,
            lease_expires_at=end,
            fencing_token=F("fencing_token") + 1,
            attempts=F("attempts") + 1,
        )
    return list(rows)


def lease_end(row: QueuedCallout, now: datetime) -> datetime:
    """Return until when a worker that takes the callout now may hold it."""
    seconds = row.timeout_seconds or callout_options.timeout_seconds
    return now + timedelta(seconds=seconds + options.lease_margin_seconds)


def renew(row: QueuedCallout) -> bool:
    """Hold it for longer. Return False when the lease is lost."""
    end = lease_end(row, clock.now())
    if not _leased(row).update(lease_expires_at=end):
        return False
    row.lease_expires_at = end
    return True


def settle(
    row: QueuedCallout,
    verdict: Verdict,
    *,
    due_at: datetime,
    is_counted: bool,
    state: QueueState | None = None,
    answered: dict[str, Any],
) -> bool:
    """Sending → what the verdict says (`state` in its place, if given). Return False when the lease is lost.

    `due_at`: when it may leave again, if it does. `is_counted`: whether the attempt is one on the ladder.
    """
    to = state or STATE_AFTER[verdict.next]
    changes: dict[str, Any] = {
        "state": to,
        "reason": verdict.reason,
        "due_at": due_at,
        "ended_at": None if to in {QueueState.WAITING, QueueState.HELD} else clock.now(),
        **answered,
        **_NO_LEASE,
    }
    if is_counted:
        changes["tries"] = F("tries") + 1
    # Others took it for dead and in doubt meanwhile; what became of it is known better now.
    held = QueuedCallout.objects.filter(
        pk=row.pk, fencing_token=row.fencing_token, state__in=(QueueState.SENDING, QueueState.IN_DOUBT)
    )
    return bool(held.update(**changes))


def success(row: QueuedCallout, reason: str, *, status_code: int) -> AlongWith:
    """Sending → Succeeded, as `settle` does it, for the statement that completes the log entry."""
    now = clock.now()
    return AlongWith(
        sql=_SUCCESS, values=(str(QueueState.SUCCEEDED), reason, now, now, status_code, row.pk, row.fencing_token)
    )


_SUCCESS = """
UPDATE callout_queue_queuedcallout
   SET state = %s, reason = %s, due_at = %s, ended_at = %s, status_code = %s, tries = tries + 1,
       lease_holder = '', lease_expires_at = NULL, is_trial = FALSE
 WHERE id = %s AND fencing_token = %s AND state IN ('sending', 'in_doubt')
"""


def give_back(rows: Iterable[QueuedCallout]) -> None:
    """Sending → Waiting: its worker stops and has not begun to send it."""
    for row in rows:
        _leased(row).update(state=QueueState.WAITING, attempts=F("attempts") - 1, **_NO_LEASE)


def worker_died(row: QueuedCallout) -> bool:
    """Sending → Waiting: its worker died, and nothing had left. One that kills its workers fails at last."""
    is_last = row.worker_deaths + 1 >= options.max_worker_deaths
    changes: dict[str, Any] = {
        "state": QueueState.FAILED if is_last else QueueState.WAITING,
        "reason": f"Its worker died {row.worker_deaths + 1} times before sending it."
        if is_last
        else "Its worker died before sending it.",
        "ended_at": clock.now() if is_last else None,
        "worker_deaths": F("worker_deaths") + 1,
        "due_at": clock.now(),
    }
    return bool(_leased(row).update(**changes, **_NO_LEASE))


def in_doubt(row: QueuedCallout, reason: str) -> bool:
    """Sending → In doubt."""
    return bool(
        _leased(row).update(
            state=QueueState.IN_DOUBT, reason=reason, ended_at=clock.now(), tries=F("tries") + 1, **_NO_LEASE
        )
    )


def again(row: QueuedCallout, reason: str, *, due_at: datetime) -> bool:
    """Sending or In doubt → Waiting: repeating it is safe."""
    left = QueuedCallout.objects.filter(
        pk=row.pk, fencing_token=row.fencing_token, state__in=(QueueState.SENDING, QueueState.IN_DOUBT)
    )
    return bool(
        left.update(
            state=QueueState.WAITING, reason=reason, due_at=due_at, ended_at=None, tries=F("tries") + 1, **_NO_LEASE
        )
    )


def acted(row: QueuedCallout, reason: str) -> bool:
    """In doubt → Succeeded: the other side did act."""
    doubtful = QueuedCallout.objects.filter(pk=row.pk, state=QueueState.IN_DOUBT)
    return bool(doubtful.update(state=QueueState.SUCCEEDED, reason=reason, ended_at=clock.now()))


def resend(row: QueuedCallout, reason: str) -> bool:
    """Failed, Stopped, In doubt, Held or Dry run → Waiting, on a fresh ladder."""
    over = QueuedCallout.objects.filter(
        pk=row.pk, state__in=(*AWAITS_DECISION, QueueState.HELD, QueueState.DRY_RUN), fencing_token=row.fencing_token
    )
    return bool(
        over.update(
            state=QueueState.WAITING, reason=reason, due_at=clock.now(), ended_at=None, tries=0, worker_deaths=0
        )
    )


def cancel(row: QueuedCallout, reason: str) -> bool:
    """Waiting, Held, Failed, Stopped or In doubt → Cancelled. What is under way cannot be called back."""
    at_rest = QueuedCallout.objects.filter(pk=row.pk, state__in=(QueueState.WAITING, QueueState.HELD, *AWAITS_DECISION))
    return bool(at_rest.update(state=QueueState.CANCELLED, reason=reason, ended_at=clock.now()))


def release(*, named_credential: str | None = None, pk: int | None = None, is_trial: bool = False) -> int:
    """Held → Waiting, of one named credential, one callout, or (`None`) all; return how many."""
    held = QueuedCallout.objects.filter(state=QueueState.HELD)
    if named_credential is not None:
        held = held.filter(named_credential=named_credential)
    if pk is not None:
        held = held.filter(pk=pk)
    return held.update(state=QueueState.WAITING, due_at=clock.now(), is_trial=is_trial)


def _leased(row: QueuedCallout) -> Any:
    return QueuedCallout.objects.filter(pk=row.pk, fencing_token=row.fencing_token, state=QueueState.SENDING)
