"""What endpoints count, what they let in, and how each of them and of their callers is doing."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import Max, Q, Sum
from django.urls import reverse

from apexrest import registry
from apexrest.admission import limits_with
from apexrest.conf import options
from apexrest.limits import Limits, Rate
from apexrest.models import EndpointLimits, RateState
from callouts.figures import cause_of, ended_in, first_entry_since
from callouts.models import Direction, Outcome
from isthmus import clock
from isthmus.access.limits import Limit, register_limits
from isthmus.access.models import ApiClient, ApiUse
from isthmus.console import charts, overview
from isthmus.console.charts import Chart
from isthmus.console.connections import Connection, register_connections
from isthmus.console.overview import Today
from isthmus.console.rollups import reading
from isthmus.console.rollups.reading import Lately
from isthmus.console.rollups.series import Kind, Sample, Series, register_series
from isthmus.console.rollups.spans import Span
from isthmus.console.tones import Status, Tone

__all__ = ["charts_of_endpoint", "charts_of_endpoints", "register"]

CALLS, FAILURES, CLIENTS = "endpoints", "endpoints.failures", "endpoints.clients"
_KINDS = (
    Kind(name=Outcome.SUCCEEDED, label="succeeded", tone="good"),
    Kind(name=Outcome.FAILED, label="failed", tone="bad"),
    Kind(name=Outcome.REFUSED, label="refused", tone="neutral"),
)
_DAY, _WEEK = timedelta(hours=24), timedelta(days=7)


def register() -> None:
    """Join the roll-up, the home page, *Limits* and *Connections*; called once, when the app is ready."""
    for series in (
        Series(name=CALLS, subject="Calls of endpoints", kinds=_KINDS, measure=_calls, first_since=first_entry_since),
        Series(name=FAILURES, subject="Calls that went wrong", measure=_failures, first_since=first_entry_since),
        Series(
            name=CLIENTS, subject="Calls by clients", kinds=_KINDS, measure=_by_client, first_since=first_entry_since
        ),
    ):
        register_series(series)
    overview.register_today(Today(label="Endpoint calls", series=CALLS, url_name="apexrest_pages:endpoints"))
    overview.register_today(
        Today(
            label="Endpoint calls that failed",
            series=CALLS,
            kinds=(Outcome.FAILED,),
            url_name="apexrest_pages:endpoints",
            wanted="less",
        )
    )
    register_limits(_limits)
    register_connections(_endpoint_lines)
    register_connections(_client_lines)


def charts_of_endpoints(span: Span) -> list[Chart]:
    """Return the charts of all endpoints."""
    return [
        charts.counts("calls", CALLS, span, title="Calls of endpoints"),
        charts.durations("latency", CALLS, span, title="Time that calls took", what="calls took"),
        charts.counts("causes", FAILURES, span, title="Calls that went wrong, by cause"),
    ]


def charts_of_endpoint(mapping: str, span: Span) -> list[Chart]:
    """Return the charts of one endpoint, all its methods together."""
    return [
        charts.counts("calls", CALLS, span, title="Calls", scope=mapping),
        charts.durations("latency", CALLS, span, title="Time that calls took", what="calls took", scope=mapping),
    ]


_Row = tuple[datetime, str, str, float | None, str, str]


def _rows(begin: datetime, end: datetime) -> Iterator[_Row]:
    """Yield moment, mapping, outcome, duration, cause and client of calls of endpoints."""
    known = {resource.mapping for resource in registry.all_resources()}
    fields = (
        "started_at", "operation", "outcome", "duration_ms", "error_code", "status_code", "principal", "direction",
    )  # fmt: skip
    for row in ended_in(begin, end, *fields):
        at, operation, outcome, milliseconds, error_code, status, client, direction = row
        mapping = str(operation).partition(" ")[2]
        if direction == Direction.INBOUND and mapping in known:
            yield at, mapping, outcome, milliseconds, cause_of(error_code, status), client  # type: ignore[misc, arg-type]  # values_list of names that are given has no types


def _calls(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, mapping, outcome, milliseconds, _, _ in _rows(begin, end):
        yield Sample(at=at, kind=outcome, scope=mapping, milliseconds=milliseconds)


def _failures(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, mapping, outcome, _, cause, _ in _rows(begin, end):
        if outcome != Outcome.SUCCEEDED:
            yield Sample(at=at, kind=cause, scope=mapping)


def _by_client(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, _, outcome, milliseconds, _, client in _rows(begin, end):
        yield Sample(at=at, kind=outcome, scope=client, milliseconds=milliseconds)


def _endpoint_lines() -> Iterator[Connection]:
    lately, last = reading.of_scopes(CALLS), reading.last_of_scopes(CALLS)
    for resource in registry.all_resources():
        mapping = resource.mapping
        found, failure = lately.get(mapping), last.get((mapping, Outcome.FAILED))
        success = last.get((mapping, Outcome.SUCCEEDED))
        yield Connection(
            kind="API endpoints",
            name=mapping,
            detail=resource.title,
            status=_status(success, failure),
            url=reverse("apexrest_pages:endpoint", args=[mapping.removeprefix("/")]),
            last_success_at=success,
            last_failure_at=failure,
            p95_ms=found.durations.percentile(95) if found else None,
            number=found.number if found else 0,
        )


def _status(success: datetime | None, failure: datetime | None) -> Status:
    if failure is not None and (success is None or failure > success):
        return Status("Failed last", Tone.WARNING)
    return Status("Works", Tone.GOOD) if success is not None else Status("Not called lately", Tone.NEUTRAL)


def _client_lines() -> Iterator[Connection]:
    lately = reading.of_scopes(CLIENTS)
    since = clock.now() - _WEEK
    used = ApiUse.objects.filter(hour__gt=since, client_id__gt=0).order_by().values_list("client_id")
    failed = dict(used.filter(Q(failed__gt=0) | Q(refused__gt=0)).annotate(last=Max("hour")))
    numbers = dict(used.filter(hour__gt=clock.now() - _DAY).annotate(number=Sum("requests")))
    for client in ApiClient.objects.order_by("name"):
        yield Connection(
            kind="API clients",
            name=client.name,
            detail=f"acts as {client.user}" if client.user else "",
            status=_client_status(client),
            url=reverse("admin:access_apiclient_change", args=[client.pk]),
            last_success_at=client.last_used_at,
            last_failure_at=failed.get(client.pk),
            p95_ms=_p95(lately, client.name),
            number=numbers.get(client.pk, 0),
        )


def _p95(lately: Mapping[str, Lately], name: str) -> float | None:
    found = lately.get(name)
    return found.durations.percentile(95) if found else None


def _client_status(client: ApiClient) -> Status:
    if client.is_expired:
        return Status("Expired", Tone.BAD)
    return Status("Used", Tone.GOOD) if client.last_used_at else Status("Never used", Tone.NEUTRAL)


def _limits() -> Iterator[Limit]:
    yield Limit(
        group="API endpoints",
        label="Body of a request",
        maximum=options.max_body_bytes,
        used=None,
        per="one request, where its endpoint says nothing else",
        unit="bytes",
        setting="ISTHMUS_APEXREST_MAX_BODY_BYTES",
        when_reached="It is refused with 413.",
    )
    yield Limit(
        group="API endpoints",
        label="Time of a method",
        maximum=options.max_seconds,
        used=None,
        per="one request, where its endpoint says nothing else",
        unit="seconds",
        setting="ISTHMUS_APEXREST_MAX_SECONDS",
        when_reached="Everything that it did is undone, and the caller is told so.",
    )
    set_by_operators = {row.mapping: row for row in EndpointLimits.objects.all()}
    ahead = _ahead()
    for resource in registry.all_resources():
        row = set_by_operators.get(resource.mapping)
        url = reverse("admin:apexrest_endpointlimits_change", args=[row.pk]) if row else ""
        found = limits_with(resource.limits, row)
        yield from _limits_of(resource.mapping, found, ahead.get(resource.mapping, 0.0), url)


def _limits_of(mapping: str, found: Limits, ahead_seconds: float, url: str) -> Iterator[Limit]:
    setting = "Set-up, Endpoint limits" if url else "the endpoint's class, or the set-up"
    if found.rate:
        rate = Rate.parse(found.rate)
        yield Limit(
            group="API endpoints",
            label=f"Requests to {mapping}",
            maximum=rate.requests,
            used=min(rate.requests, round(ahead_seconds * rate.requests / rate.seconds)),
            per=f"{rate.seconds:,} s and client; the busiest client's use",
            setting=setting,
            url=url,
            when_reached="Its client is answered 429 with Retry-After.",
        )
    if found.concurrency:
        yield Limit(
            group="API endpoints",
            label=f"Requests to {mapping} at the same moment",
            maximum=found.concurrency,
            used=None,
            per="the endpoint, all processes together",
            setting=setting,
            url=url,
            when_reached="Further ones are answered 429 with Retry-After.",
        )


def _ahead() -> dict[str, float]:
    """Return by mapping how many seconds the busiest client is ahead of its rate."""
    now = clock.now().timestamp()
    found: dict[str, float] = {}
    for key, paid_until in RateState.objects.filter(paid_until__gt=now).values_list("key", "paid_until"):
        mapping = key.partition(" ")[0]
        found[mapping] = max(found.get(mapping, 0.0), paid_until - now)
    return found
