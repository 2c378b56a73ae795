"""Removes the cursors of queries that nobody goes on with."""

from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal
from records.soql.cursors import unusable

__all__ = ["remove_unusable_cursors"]

_AT_ONCE = 20
"""Cursors; each has the ids of up to millions of records."""


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_unusable_cursors() -> dict[str, object]:
    """Remove cursors that were not used for too long; new queries of their users do so at once."""
    removal = Removal()
    removal.remove("cursors", unusable(), order="pk", size=_AT_ONCE)
    return {"removed": removal.counts}
