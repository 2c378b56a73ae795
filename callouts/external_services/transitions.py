"""The state changes of an invocation. Each is one compare-and-set: states only move forward, whoever comes late loses.

Submitted ──► Waiting ──► Completed
    │            │   ├──► TimedOut
    │            │   └──► Cancelled
    ├──► Failed  └──► (as from Submitted)
    └──► Completed, TimedOut, Cancelled
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from callouts.external_services.models import Invocation, InvocationState
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["answered", "called_back", "doubtful", "extended", "finish", "not_processed", "sending"]

log = get_logger(__name__)

_OPEN = (InvocationState.SUBMITTED, InvocationState.WAITING)


def sending(invocation_id: UUID) -> bool:
    """Note that the request is about to leave again. Returns false if it has been answered or is over.

    A completed one whose first answer was lost may ask for that answer again, as long as its callback was waited for.
    """
    now = clock.now()
    unanswered = Invocation.objects.filter(pk=invocation_id, response_status__isnull=True, expires_at__gt=now)
    return bool(
        unanswered.filter(state__in=[InvocationState.SUBMITTED, InvocationState.COMPLETED]).update(
            last_sent_at=now, attempts=F("attempts") + 1
        )
    )


def not_processed(invocation_id: UUID, reason: str) -> None:
    """Note that nobody acted on the request: it never arrived, or was turned away until something is mended."""
    Invocation.objects.filter(pk=invocation_id, state=InvocationState.SUBMITTED).update(
        last_sent_at=None, reason=reason
    )


def doubtful(invocation_id: UUID, reason: str) -> None:
    """Note why nobody knows whether the request was acted on."""
    Invocation.objects.filter(pk=invocation_id, state=InvocationState.SUBMITTED).update(reason=reason)


def answered(invocation_id: UUID, *, status: int, headers: dict[str, str], body: Any) -> None:
    """Keep the first answer. A callback may have come before it: then the state stays as it is."""
    now = clock.now()
    kept = Invocation.objects.filter(pk=invocation_id, response_status__isnull=True).update(
        response_status=status, response_headers=headers, response_body=body, answered_at=now
    )
    moved = Invocation.objects.filter(pk=invocation_id, state=InvocationState.SUBMITTED).update(
        state=InvocationState.WAITING, reason=""
    )
    if kept and not moved:
        log.info("invocation.answered_after_callback", invocation_id=str(invocation_id), status=status)


def called_back(invocation_id: UUID) -> None:
    """Note that the outside has the request: it called back, and may again."""
    Invocation.objects.filter(pk=invocation_id, state=InvocationState.SUBMITTED).update(
        state=InvocationState.WAITING, reason=""
    )


def extended(invocation_id: UUID, expires_at: datetime) -> bool:
    """Wait longer for an unfinished invocation. Returns false if it is finished, or waits as long already."""
    waiting = Invocation.objects.filter(pk=invocation_id, state__in=_OPEN, expires_at__lt=expires_at)
    return bool(waiting.update(expires_at=expires_at))


def finish(invocation_id: UUID, state: InvocationState, reason: str = "") -> bool:
    """Move an unfinished invocation to a final state. Returns false if it was finished already."""
    if not state.is_final:
        raise ValueError(f"{state} is not a final state.")
    if state == InvocationState.FAILED:
        # Only a request that was refused fails; what waits for its callback was accepted.
        expected: tuple[InvocationState, ...] = (InvocationState.SUBMITTED,)
    else:
        expected = _OPEN
    moved = Invocation.objects.filter(pk=invocation_id, state__in=expected).update(
        state=state, reason=reason, finished_at=clock.now()
    )
    if moved:
        log.info("invocation.finished", invocation_id=str(invocation_id), state=str(state))
    return bool(moved)
