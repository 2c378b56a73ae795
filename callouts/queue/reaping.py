"""Looks after callouts whose worker died, and after those that wait for a mended credential."""

from django.db import transaction

from callouts.models import IntegrationLogEntry, Outcome
from callouts.queue import transitions
from callouts.queue.follow_ups import follow_up
from callouts.queue.models import QueuedCallout
from callouts.queue.states import QueueState
from isthmus import clock
from isthmus.logs import get_logger

__all__ = ["offer_trials", "reap"]

log = get_logger(__name__)

_MOST_AT_ONCE = 200
_CUT_OFF = "Its worker died while it was under way: the other side may or may not have acted."


def reap() -> int:
    """Decide about callouts whose leases are over; return about how many.

    The log tells how far each had got. Without an entry of the attempt, or with one that says that nothing left, it is
    sent again. With one in doubt it is sent again if repeating is safe, and else stays in doubt.
    """
    decided = 0
    for row in QueuedCallout.objects.expired(clock.now()).defer("body", "answer_body")[:_MOST_AT_ONCE]:
        with transaction.atomic():
            decided += _decide(row)
    return decided


def offer_trials() -> int:
    """Let one held callout of each named credential whose time has come find out whether it is mended."""
    offered = 0
    due = QueuedCallout.objects.filter(state=QueueState.HELD, due_at__lte=clock.now()).order_by("pk")
    for name in due.order_by().values_list("named_credential", flat=True).distinct():
        oldest = due.filter(named_credential=name).values_list("pk", flat=True).first()
        if oldest is not None:
            offered += transitions.release(pk=oldest, is_trial=True)
    return offered


def _decide(row: QueuedCallout) -> bool:
    entries = IntegrationLogEntry.objects.of_queued_callout(row.pk).filter(attempt=row.attempts)
    entry = entries.order_by("-started_at").first()
    if entry is None or entry.outcome != Outcome.IN_DOUBT:
        # An end of the exchange commits with what follows; without that, it never left.
        is_decided = transitions.worker_died(row)
        what = "waiting"
        if is_decided:
            row.refresh_from_db(fields=["state"])
            follow_up(row, QueueState(row.state))
    elif row.is_repeatable:
        is_decided = transitions.again(row, f"{_CUT_OFF} Repeating it is safe.", due_at=clock.now())
        what = "again"
    else:
        is_decided = transitions.in_doubt(row, _CUT_OFF)
        what = "in_doubt"
        if is_decided:
            follow_up(row, QueueState.IN_DOUBT)
    if is_decided:
        log.warning("queued_callout.reaped", **row.as_dict(), decided=what, holder=row.lease_holder)
    return is_decided
