"""Reads of the queue."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

from callouts.queue.states import AWAITS_DECISION, NOT_ENDED, QueueState

if TYPE_CHECKING:
    from callouts.queue.models import QueuedCallout  # noqa: F401 - ruff does not see it in the base class's brackets

__all__ = ["QueuedCalloutQuerySet"]


class QueuedCalloutQuerySet(models.QuerySet["QueuedCallout"]):
    """Queued callouts."""

    def due(self, now: datetime) -> QueuedCalloutQuerySet:
        """Return what may leave now, as far as its own time goes, the longest due first."""
        return self.filter(state=QueueState.WAITING, due_at__lte=now).order_by("due_at", "pk")

    def not_ended(self) -> QueuedCalloutQuerySet:
        """Return what is still to leave, or under way."""
        return self.filter(state__in=NOT_ENDED)

    def dead_letters(self) -> QueuedCalloutQuerySet:
        """Return what failed, was stopped or is in doubt, and waits for somebody's decision."""
        return self.filter(state__in=AWAITS_DECISION)

    def expired(self, now: datetime) -> QueuedCalloutQuerySet:
        """Return what a worker holds for longer than it may."""
        return self.filter(state=QueueState.SENDING, lease_expires_at__lte=now).order_by("lease_expires_at", "pk")

    def about_record(self, record_id: str) -> QueuedCalloutQuerySet:
        """Return what concerns the record with this id."""
        return self.filter(record_id=record_id)

    def failed_since(
        self, moment: datetime, *, named_credential: str = "", operation: str = ""
    ) -> QueuedCalloutQuerySet:
        """Return what failed or was stopped at `moment` or later; "" means any credential or operation."""
        found = self.filter(state__in=(QueueState.FAILED, QueueState.STOPPED), ended_at__gte=moment)
        if named_credential:
            found = found.filter(named_credential=named_credential)
        return found.filter(operation=operation) if operation else found
