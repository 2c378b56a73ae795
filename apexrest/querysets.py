"""Reads: how endpoints are used, by whom, and what they answered last."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models

from apexrest.models import FuzzVerdict
from apexrest.registry import Resource
from callouts.models import Direction, IntegrationLogEntry
from callouts.querysets import IntegrationLogQuerySet
from isthmus import clock
from isthmus.access.models import ApiClient, ApiUse

__all__ = ["Caller", "Usage", "callers_of", "entries_of", "percentiles", "usage_by_target", "verdicts"]

_SAMPLE = 1_000


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What happened to one method of one resource within some time."""

    requests: int
    refused: int
    failed: int
    milliseconds: int
    slowest: int
    last_hour: datetime
    """The hour of the last request."""

    @property
    def average(self) -> float:
        """Milliseconds a request took on average."""
        return self.milliseconds / self.requests

    @property
    def error_rate(self) -> float:
        """Requests that failed through the endpoint's own fault, in percent."""
        return 100 * self.failed / self.requests


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who calls a resource."""

    user: str
    client: str
    """Name of the API client; "" for a token that no client asked for."""
    client_pk: int | None
    requests: int
    failed: int
    last_hour: datetime


_SUMS = {
    "requests": models.Sum("requests"),
    "refused": models.Sum("refused"),
    "failed": models.Sum("failed"),
    "milliseconds": models.Sum("milliseconds"),
    "slowest": models.Max("slowest"),
    "last_hour": models.Max("hour"),
}


def usage_by_target(within: timedelta) -> dict[str, Usage]:
    """Return by `METHOD mapping` how endpoints were used within the last time; one query."""
    rows = ApiUse.objects.filter(surface="apexrest", hour__gt=clock.now() - within).order_by()
    found: Any = rows.values("target").annotate(**_SUMS)
    return {row["target"]: Usage(**{name: row[name] for name in _SUMS}) for row in found}


def callers_of(resources: Iterable[Resource], within: timedelta) -> list[Caller]:
    """Return who called these resources within the last time, the busiest first; three queries."""
    targets = [f"{method} {resource.mapping}" for resource in resources for method in resource.http_methods]
    rows = ApiUse.objects.filter(surface="apexrest", target__in=targets, hour__gt=clock.now() - within).order_by()
    found = list(
        rows.values("user_id", "client_id").annotate(
            number=models.Sum("requests"), bad=models.Sum("failed"), last=models.Max("hour")
        )
    )
    users = dict(
        get_user_model().objects.filter(pk__in={row["user_id"] for row in found}).values_list("pk", "username")
    )
    clients = dict(ApiClient.objects.filter(pk__in={row["client_id"] for row in found}).values_list("pk", "name"))
    callers = [
        Caller(
            user=users.get(row["user_id"], "somebody who is gone" if row["user_id"] else "—"),
            client=clients.get(row["client_id"], "a client that is gone" if row["client_id"] else ""),
            client_pk=row["client_id"] if row["client_id"] in clients else None,
            requests=row["number"],
            failed=row["bad"],
            last_hour=row["last"],
        )
        for row in found
    ]
    return sorted(callers, key=lambda caller: (-caller.requests, caller.user, caller.client))


def entries_of(resource: Resource) -> IntegrationLogQuerySet:
    """Return the log entries of a resource's calls, newest first."""
    operations = [f"{method} {resource.mapping}" for method in [*resource.http_methods, "HEAD"]]
    entries: IntegrationLogQuerySet = IntegrationLogEntry.objects.all()
    return entries.filter(direction=Direction.INBOUND, operation__in=operations).order_by("-started_at", "-pk")


def percentiles(entries: IntegrationLogQuerySet) -> Mapping[int, int] | None:
    """Return the 50th, 95th and 99th percentile of the last thousand durations, in milliseconds; `None` without any."""
    durations = sorted(found or 0 for found in entries.values_list("duration_ms", flat=True)[:_SAMPLE])
    if not durations:
        return None
    return {share: durations[math.ceil(share / 100 * len(durations)) - 1] for share in (50, 95, 99)}


def verdicts() -> dict[str, FuzzVerdict]:
    """Return by `METHOD mapping` what the fuzzer found out last."""
    return {f"{verdict.http_method} {verdict.mapping}": verdict for verdict in FuzzVerdict.objects.all()}
