"""Reads of the integration log."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models

from isthmus import clock

if TYPE_CHECKING:
    from callouts.models import IntegrationLogEntry  # noqa: F401 - ruff does not see it in the base class's brackets

__all__ = ["IntegrationLogQuerySet"]

_LAST_SPAN = timedelta(days=7)


class IntegrationLogQuerySet(models.QuerySet["IntegrationLogEntry"]):
    """Entries of the integration log, newest first."""

    def outbound(self) -> IntegrationLogQuerySet:
        """Return what left this house."""
        return self.filter(direction="outbound")

    def inbound(self) -> IntegrationLogQuerySet:
        """Return what came in: callbacks and calls of custom endpoints."""
        return self.filter(direction="inbound")

    def in_doubt(self) -> IntegrationLogQuerySet:
        """Return callouts that were (or may have been) sent and have no answer, those still under way included."""
        return self.filter(outcome="in_doubt")

    def about_record(self, record_id: str) -> IntegrationLogQuerySet:
        """Return what concerns the record with this 18-character id."""
        return self.filter(record_id=record_id)

    def of_correlation(self, correlation_id: str) -> IntegrationLogQuerySet:
        """Return what happened under one correlation id."""
        return self.filter(correlation_id=correlation_id)

    def of_job(self, job_id: uuid.UUID) -> IntegrationLogQuerySet:
        """Return what one job sent, all its attempts."""
        return self.filter(job_id=job_id)

    def of_invocation(self, invocation_id: uuid.UUID) -> IntegrationLogQuerySet:
        """Return the submission of an external service's operation and the callbacks to it."""
        return self.filter(invocation_id=invocation_id)

    def of_queued_callout(self, queued_callout_id: int) -> IntegrationLogQuerySet:
        """Return the attempts of one queued callout."""
        return self.filter(queued_callout_id=queued_callout_id)

    def unresolved(self) -> IntegrationLogQuerySet:
        """Return what is in doubt and nobody has found out about yet."""
        return self.in_doubt().filter(resolution="")

    def succeeded(self) -> IntegrationLogQuerySet:
        """Return what was answered well."""
        return self.filter(outcome="succeeded")

    def went_wrong(self) -> IntegrationLogQuerySet:
        """Return what failed or is in doubt, and is not under way."""
        return self.filter(outcome__in=("failed", "in_doubt"), duration_ms__isnull=False)

    def last_of_credential(self, field: str) -> models.Subquery:
        """Return, for a query of named credentials, a field of the last of these callouts through each of them.

        They are looked for within 7 days; the indexes by credential and time lead to them.
        """
        sent = self.outbound().since(clock.now() - _LAST_SPAN).filter(named_credential=models.OuterRef("name"))
        return models.Subquery(sent.order_by("-started_at").values(field)[:1])

    def since(self, moment: datetime) -> IntegrationLogQuerySet:
        """Return what began at `moment` or later."""
        return self.filter(started_at__gte=moment)
