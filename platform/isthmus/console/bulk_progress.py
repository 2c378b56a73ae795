"""How far bulk actions are, as one value."""

from django.db.models import Count, Sum

from isthmus.console.live import few, newest
from isthmus.console.models import BulkOperation

__all__ = ["live_mark"]


def live_mark() -> object:
    """Return another value when a bulk action has begun, got on, or ended."""
    under_way = BulkOperation.objects.filter(finished_at=None)
    return (
        newest(BulkOperation.objects.all(), "created_at"),
        few(under_way).aggregate(Count("pk"), Sum("done"), Sum("refused")),
    )
