"""What operators do with subscriptions. Everything is recorded in the audit trail, with who did it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from django.db import transaction

from events.errors import ReplayIdExpired, SkipRefused
from events.logs import get_event_log
from events.models import Subscription, SubscriptionState
from isthmus.audit import actions as audit
from isthmus.logs import get_logger

__all__ = ["Place", "pause", "resume", "rewind", "skip"]

log = get_logger(__name__)

Place = Literal["earliest"] | int | datetime
"""Where a subscription goes back to: the oldest kept event, the event after a replay id, or a moment."""


def pause(subscription: Subscription) -> None:
    """Let the subscription rest where it is; events wait for it."""
    _change(subscription, "events.subscription_paused", state=SubscriptionState.PAUSED, next_attempt_at=None)


def resume(subscription: Subscription) -> None:
    """Let a paused or failing subscription go on at once, where it was. A stopped one needs `rewind` or `skip`."""
    if subscription.state != SubscriptionState.STOPPED:
        _change(subscription, "events.subscription_resumed", state=SubscriptionState.RUNNING, next_attempt_at=None)


def rewind(subscription: Subscription, *, to: Place) -> None:
    """Let the subscription go on from an earlier place; what it handled since comes again.

    One that stopped runs again, a paused one stays paused. Raises `ReplayIdExpired` for a place whose events are gone.
    """
    event_log, topic = get_event_log(), subscription.topic.name
    earliest = event_log.earliest(topic)
    if isinstance(to, datetime):
        cursor = event_log.position_at(topic, to)
    elif to == "earliest":
        cursor = earliest
    else:
        cursor = to
    if cursor < earliest:
        raise ReplayIdExpired(f"The oldest event of {topic} that can be read follows replay id {earliest}.")
    with transaction.atomic():
        row = Subscription.objects.select_for_update(of=("self",)).select_related("topic").get(pk=subscription.pk)
        if cursor > row.cursor and row.state != SubscriptionState.STOPPED:
            raise SkipRefused("That place is ahead. To leave events out is another act: skip.")
        _change(subscription, "events.subscription_rewound", {"from": row.cursor, "to": cursor}, **_afresh(row, cursor))


def skip(subscription: Subscription, *, count: int) -> None:
    """Let the subscription leave out all events it has not handled, of which there are `count`.

    Raises `SkipRefused`, and skips nothing, when there are more or fewer: whoever asks is to know how many.
    """
    with transaction.atomic():
        # What comes in meanwhile is not part of what was asked for.
        latest = get_event_log().latest(subscription.topic.name)
        row = Subscription.objects.select_for_update(of=("self",)).select_related("topic").get(pk=subscription.pk)
        waiting = Subscription.objects.with_lag().get(pk=row.pk).lag  # type: ignore[attr-defined]  # annotated
        if waiting != count:
            raise SkipRefused(f"{waiting} events wait, not {count}. Nothing was skipped.")
        details = {"from": row.cursor, "to": latest, "count": count}
        _change(subscription, "events.subscription_skipped", details, **_afresh(row, latest))


def _afresh(row: Subscription, cursor: int) -> dict[str, object]:
    state = SubscriptionState.PAUSED if row.state == SubscriptionState.PAUSED else SubscriptionState.RUNNING
    return {"cursor": cursor, "state": state, "next_attempt_at": None, "failures": 0, "last_error": ""}


def _change(
    subscription: Subscription, action: str, details: Mapping[str, object] | None = None, **values: object
) -> None:
    with transaction.atomic():
        # One statement: it waits for a batch that is being handled, and does not undo what that batch did.
        Subscription.objects.filter(pk=subscription.pk).update(**values)
        audit.record(action, target=subscription.name, details=details or {})
    subscription.refresh_from_db()
    log.info("events.subscription_changed", subscription=subscription.name, state=subscription.state)
