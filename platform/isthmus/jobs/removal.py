"""Removes what is kept no longer: a small batch in a short transaction at a time, so that nobody waits for it."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from isthmus.jobs.handle import current_job_or_none

__all__ = ["BATCH", "Removal"]

BATCH = 1_000


class Removal:
    """One run. What it removed is gone for good after each batch: a run that was cut short goes on with the next one.

    In a job, each batch is told as progress, and is a moment at which the job can be aborted.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """How many rows went, by name."""

    @property
    def total(self) -> int:
        """How many rows went."""
        return sum(self.counts.values())

    def remove(self, name: str, rows: QuerySet[Any], *, order: str, size: int = BATCH) -> None:
        """Remove `rows`, with what hangs on them. `order` is a field by which an index finds the next ones."""
        self.counts.setdefault(name, 0)
        while keys := list(rows.order_by(order).values_list("pk", flat=True)[:size]):
            with transaction.atomic():
                # Asked once more: what somebody has changed since the look is spared.
                rows.filter(pk__in=keys).delete()
            self.counts[name] += len(keys)
            if handle := current_job_or_none():
                handle.progress(self.total)
                handle.checkpoint()
