"""Named reads of background operations."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from isthmus.jobs.states import NON_TERMINAL, RUNNING, TERMINAL, JobState

if TYPE_CHECKING:
    from isthmus.jobs.models import Job  # noqa: F401 - the queryset's type argument

__all__ = ["JobQuerySet"]


class JobQuerySet(models.QuerySet["Job"]):
    """Filters that compose."""

    def due(self, now: datetime) -> "JobQuerySet":
        """Queued, and their time has come and is not over; the longest waiting first."""
        in_time = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(in_time, state=JobState.QUEUED, run_at__lte=now).order_by("run_at", "pk")

    def ready(self, now: datetime) -> "JobQuerySet":
        """Due, and their turn has come: what workers may take; in the order in which they do."""
        return self.due(now).filter(ready_at__isnull=False).order_by("-priority", "run_at", "pk")

    def running(self) -> "JobQuerySet":
        """Taken by a worker that has not said how it ended."""
        return self.filter(state__in=RUNNING)

    def live(self) -> "JobQuerySet":
        """Not ended."""
        return self.filter(state__in=NON_TERMINAL)

    def ended(self) -> "JobQuerySet":
        """Completed, failed or aborted."""
        return self.filter(state__in=TERMINAL)

    def about(self, subject_type: str, subject_id: str) -> "JobQuerySet":
        """What is or was done for one thing."""
        return self.filter(subject_type=subject_type, subject_id=subject_id)
