"""Removes what the integration log no longer needs to keep."""

from datetime import timedelta

from django.db import transaction

from callouts.conf import options
from callouts.models import IntegrationLogEntry, Outcome
from callouts.querysets import IntegrationLogQuerySet
from isthmus import clock
from isthmus.jobs import current_job_or_none, queueable

__all__ = ["remove_old_entries"]

_CHUNK = 1_000


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_entries() -> dict[str, object]:
    """Remove entries that are older than their outcome is kept, in chunks; never what is in doubt and unresolved."""
    now = clock.now()
    log = IntegrationLogEntry.objects
    removed = {}
    for outcome, days in (
        (Outcome.SUCCEEDED, options.keep_succeeded_days),
        (Outcome.FAILED, options.keep_failed_days),
        (Outcome.REFUSED, options.keep_refused_days),
    ):
        removed[str(outcome)] = _remove(log.filter(outcome=outcome, started_at__lt=now - timedelta(days=days)))
    resolved = log.in_doubt().exclude(resolution="")
    before = now - timedelta(days=options.keep_in_doubt_days)
    removed[str(Outcome.IN_DOUBT)] = _remove(resolved.filter(resolved_at__lt=before))
    return {"removed": removed}


def _remove(old: IntegrationLogQuerySet) -> int:
    removed = 0
    while keys := list(old.order_by("started_at").values_list("pk", flat=True)[:_CHUNK]):
        handle = current_job_or_none()
        if handle is not None:
            handle.checkpoint()
        with transaction.atomic():
            removed += old.filter(pk__in=keys).delete()[0]
    return removed
