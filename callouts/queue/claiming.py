"""Takes callouts that are due, as far as their destinations let them go.

A destination says no while it holds, asked for a pause, or its circuit breaker is open; it says *so many* by its rate
limit and its limit on callouts under way, which all workers share. The row of a limited destination is locked while
callouts are taken for it, so that two workers never both use the last token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from callouts.models import BreakerState, Destination
from callouts.queue import transitions
from callouts.queue.models import QueuedCallout
from callouts.queue.states import BLOCKS_ORDER, QueueState
from isthmus import clock

__all__ = ["claim"]


@dataclass(frozen=True, kw_only=True)
class _Gates:
    """What the destinations say."""

    closed: frozenset[str]
    """Nothing leaves."""
    held: frozenset[str]
    """Only trials leave."""
    limited: tuple[str, ...]
    """To be asked how many."""


def claim(*, holder: str, at_most: int, busy: Mapping[str, int], share: int) -> list[QueuedCallout]:
    """Return up to `at_most` callouts that `holder` now has to send.

    `busy`: how many the holder has under way, by named credential; none may have more than `share` of them, so that
    a slow destination leaves room for the others.
    """
    now = clock.now()
    if at_most <= 0 or not QueuedCallout.objects.due(now).exists():
        return []
    with transaction.atomic():
        gates = _gates(now)
        full = frozenset(name for name, number in busy.items() if number >= share)
        taken: list[QueuedCallout] = []
        for rows in _by_order(_open_to_all(gates, full, now)):
            if len(taken) < at_most:
                taken += _take(rows, holder, at_most - len(taken))
        for name in gates.limited:
            if name not in full and len(taken) < at_most:
                taken += _take_limited(name, now, holder, at_most - len(taken))
    return taken


def _gates(now: datetime) -> _Gates:
    closed, held, limited = set(), set(), []
    for row in Destination.objects.select_related("named_credential"):
        name = row.named_credential.name
        is_broken = row.breaker != BreakerState.CLOSED
        if (row.not_before and row.not_before > now) or (is_broken and row.trial_at and row.trial_at > now):
            closed.add(name)
        elif is_broken or row.max_per_second is not None or row.max_at_once is not None:
            limited.append(name)
        if row.held_since is not None:
            held.add(name)
    return _Gates(closed=frozenset(closed), held=frozenset(held), limited=tuple(limited))


def _open_to_all(gates: _Gates, full: frozenset[str], now: datetime) -> QuerySet[QueuedCallout]:
    left_out = gates.closed | full | set(gates.limited)
    found = QueuedCallout.objects.due(now)
    if left_out:
        found = found.exclude(named_credential__in=left_out)
    if gates.held:
        found = found.filter(Q(is_trial=True) | ~Q(named_credential__in=gates.held))
    return found


def _take_limited(name: str, now: datetime, holder: str, at_most: int) -> list[QueuedCallout]:
    row = Destination.objects.select_for_update().select_related("named_credential").filter(
        named_credential__name=name
    ).first()  # fmt: skip
    if row is None:
        return []
    room = at_most
    if row.breaker != BreakerState.CLOSED:
        # One of them is the trial; what becomes of it decides for the rest.
        room = min(room, 1)
    if row.max_at_once is not None:
        under_way = QueuedCallout.objects.filter(named_credential=name, state=QueueState.SENDING).count()
        room = min(room, max(0, row.max_at_once - under_way))
    tokens = _tokens(row, now)
    if tokens is not None:
        room = min(room, int(tokens))
    if room <= 0:
        return []
    due = QueuedCallout.objects.due(now).filter(named_credential=name)
    if row.held_since is not None:
        due = due.filter(is_trial=True)
    taken: list[QueuedCallout] = []
    for rows in _by_order(due):
        if len(taken) < room:
            taken += _take(rows, holder, room - len(taken))
    if tokens is not None and taken:
        Destination.objects.filter(pk=row.pk).update(tokens=tokens - len(taken), tokens_at=now)
    return taken


def _tokens(row: Destination, now: datetime) -> float | None:
    """Return what the rate limit allows now; `None` for no limit. A second's worth is saved up at most."""
    if row.max_per_second is None:
        return None
    most = max(1.0, row.max_per_second)
    if row.tokens_at is None:
        return most
    passed = max(timedelta(), now - row.tokens_at).total_seconds()
    return min(most, row.tokens + passed * row.max_per_second)


def _by_order(rows: QuerySet[QueuedCallout]) -> tuple[QuerySet[QueuedCallout], QuerySet[QueuedCallout]]:
    """Return those that no order binds, and those of an order whose turn it is; in one query the plan would be poor."""
    earlier = QueuedCallout.objects.filter(
        order_key=OuterRef("order_key"), state__in=BLOCKS_ORDER, pk__lt=OuterRef("pk")
    )
    return rows.filter(order_key=""), rows.exclude(order_key="").filter(~Exists(earlier))


def _take(rows: QuerySet[QueuedCallout], holder: str, at_most: int) -> list[QueuedCallout]:
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    return transitions.take(list(rows.select_related("user").defer("answer_body")[:at_most]), holder=holder)
