"""The exchanges of the last hours, by outcome."""

from django.db.models import Count
from django.db.models.functions import TruncHour

from callouts.models import Outcome
from callouts.querysets import IntegrationLogQuerySet
from isthmus.console.charts import Chart, Kind, first_hour, hourly_chart

__all__ = ["hourly"]

_KINDS = tuple(
    Kind(name=outcome.value, label=str(outcome.label).lower(), tone=tone)
    for outcome, tone in (
        (Outcome.SUCCEEDED, "good"),
        (Outcome.FAILED, "bad"),
        (Outcome.IN_DOUBT, "warning"),
        (Outcome.REFUSED, "neutral"),
    )
)


def hourly(entries: IntegrationLogQuerySet) -> Chart:
    """Return how many of `entries` began in each of the last 24 hours (UTC), by outcome; one query."""
    rows = entries.since(first_hour()).order_by().annotate(hour=TruncHour("started_at"))
    return hourly_chart("Exchanges", _KINDS, rows.values_list("hour", "outcome").annotate(number=Count("pk")))
