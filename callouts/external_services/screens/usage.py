"""How much operations are used, and how it goes, from the integration log."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Avg, Count, Q

from callouts.external_services.models import ExternalService
from callouts.models import Direction, IntegrationLogEntry, Outcome
from isthmus import clock

__all__ = ["Usage", "of_operations", "of_services"]

_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Calls of the last 24 hours."""

    calls: int = 0
    failed: int = 0
    mean_ms: float | None = None
    """`None` where there were no calls."""

    @property
    def error_rate(self) -> float:
        """In percent."""
        return 100 * self.failed / self.calls if self.calls else 0.0


def of_operations(service: ExternalService, operation_ids: Iterable[str]) -> dict[str, Usage]:
    """Return the use of operations by their ids; one query."""
    names = {f"{service.name}.{operation_id}": operation_id for operation_id in operation_ids}
    found = _counted(Q(operation__in=list(names)))
    return {names[name]: usage for name, usage in found.items()}


def of_services(names: Iterable[str]) -> dict[str, Usage]:
    """Return the use of services by their names; one query."""
    wanted = Q()
    for name in names:
        wanted |= Q(operation__startswith=f"{name}.")
    totals: dict[str, Usage] = {}
    for operation, usage in _counted(wanted).items() if wanted else ():
        name = operation.partition(".")[0]
        before = totals.get(name, Usage())
        totals[name] = Usage(calls=before.calls + usage.calls, failed=before.failed + usage.failed)
    return totals


def _counted(wanted: Q) -> dict[str, Usage]:
    since = clock.now() - _WINDOW
    rows = (
        IntegrationLogEntry.objects.filter(wanted, direction=Direction.OUTBOUND, started_at__gte=since)
        .order_by()
        .values_list("operation")
        .annotate(
            calls=Count("pk"),
            failed=Count("pk", filter=~Q(outcome=Outcome.SUCCEEDED)),
            mean=Avg("duration_ms"),
        )
    )
    return {name: Usage(calls=calls, failed=failed, mean_ms=mean) for name, calls, failed, mean in rows}
