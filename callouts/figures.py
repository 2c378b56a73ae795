"""What exchanges count, and what about them needs a person."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min
from django.urls import reverse

from callouts.conf import options
from callouts.console import breaker_status
from callouts.models import BreakerState, Destination, Direction, IntegrationLogEntry, Outcome
from credentials.models import NamedCredential
from isthmus import clock
from isthmus.access.limits import Limit, register_limits
from isthmus.console import charts, overview
from isthmus.console.charts import Chart
from isthmus.console.connections import Connection, register_connections
from isthmus.console.overview import Need, Today, Urgency
from isthmus.console.rollups import reading
from isthmus.console.rollups.series import Kind, Sample, Series, register_series
from isthmus.console.rollups.spans import Span
from isthmus.console.tones import Status, Tone

__all__ = [
    "CALLOUTS",
    "OUTCOMES",
    "cause_of",
    "charts_of_credential",
    "charts_of_log",
    "ended_in",
    "first_entry_since",
    "register",
]

EXCHANGES, CALLOUTS, FAILURES = "exchanges", "callouts", "callouts.failures"
OUTCOMES = tuple(
    Kind(name=outcome.value, label=str(outcome.label).lower(), tone=tone)
    for outcome, tone in (
        (Outcome.SUCCEEDED, "good"),
        (Outcome.FAILED, "bad"),
        (Outcome.IN_DOUBT, "warning"),
        (Outcome.REFUSED, "neutral"),
    )
)
_NAMED = 3
"""How many names a sentence of the home page has; the page behind it has all."""


def register() -> None:
    """Join the roll-up, the home page, *Limits* and *Connections*; called once, when the app is ready."""
    for series in (
        Series(name=EXCHANGES, subject="Exchanges", kinds=OUTCOMES, measure=_exchanges, first_since=first_entry_since),
        Series(name=CALLOUTS, subject="Callouts", kinds=OUTCOMES, measure=_callouts, first_since=first_entry_since),
        Series(name=FAILURES, subject="Callouts that went wrong", measure=_failures, first_since=first_entry_since),
    ):
        register_series(series)
    log = "direction=outbound&since=24h"
    overview.register_today(Today(label="Callouts", series=CALLOUTS, url_name="callouts:log", query=log))
    overview.register_today(
        Today(
            label="Callouts that failed",
            series=CALLOUTS,
            kinds=(Outcome.FAILED, Outcome.IN_DOUBT),
            url_name="callouts:log",
            query=f"{log}&outcome=failed",
            wanted="less",
        )
    )
    overview.register_needs(_needs)
    overview.register_home_chart(_by_outcome)
    overview.register_home_chart(_latency)
    register_limits(_limits)
    register_connections(_connections)


def charts_of_log(span: Span) -> list[Chart]:
    """Return the charts of the integration log."""
    return [
        charts.counts("exchanges", EXCHANGES, span, title="Exchanges"),
        _latency(span),
        charts.counts("causes", FAILURES, span, title="Callouts that went wrong, by cause"),
    ]


def charts_of_credential(name: str, span: Span) -> list[Chart]:
    """Return the charts of what left through a named credential."""
    return [_by_outcome(span, scope=name), _latency(span, scope=name)]


def cause_of(error_code: str, status_code: int | None) -> str:
    """Return why an exchange went wrong, in words that others share."""
    return error_code or (f"HTTP {status_code}" if status_code else "no answer")


def _by_outcome(span: Span, *, scope: str = "") -> Chart:
    return charts.counts("callouts", CALLOUTS, span, title="Callouts by outcome", scope=scope)


def _latency(span: Span, *, scope: str = "") -> Chart:
    return charts.durations(
        "latency", CALLOUTS, span, title="Time that answered callouts took", what="callouts took", scope=scope
    )


def ended_in(begin: datetime, end: datetime, *fields: str) -> Iterator[tuple[object, ...]]:
    """Yield these fields of the exchanges that began within a time and are not under way any more."""
    may_be_under_way = clock.now() - timedelta(seconds=options.max_timeout_seconds)
    entries = IntegrationLogEntry.objects.filter(started_at__gte=begin, started_at__lt=end).order_by()
    if end > may_be_under_way:
        entries = entries.exclude(outcome=Outcome.IN_DOUBT, duration_ms=None, started_at__gte=may_be_under_way)
    yield from entries.values_list(*fields).iterator(chunk_size=2_000)


def first_entry_since(moment: datetime) -> datetime | None:
    """Return when the first exchange from this moment on began."""
    entries = IntegrationLogEntry.objects.filter(started_at__gte=moment).order_by("started_at")
    return entries.values_list("started_at", flat=True).first()


_FIELDS = ("started_at", "direction", "outcome", "duration_ms", "status_code", "error_code", "named_credential")


def _rows(begin: datetime, end: datetime) -> Iterator[tuple[datetime, str, str, float | None, str, str]]:
    """Yield moment, direction, outcome, duration (of answered ones), cause and credential of exchanges."""
    for row in ended_in(begin, end, *_FIELDS):
        at, direction, outcome, milliseconds, status, error_code, credential = row
        answered = milliseconds if status is not None else None
        yield at, direction, outcome, answered, cause_of(error_code, status), credential  # type: ignore[misc, arg-type]  # values_list of names that are given has no types


def _exchanges(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, direction, outcome, milliseconds, _, _ in _rows(begin, end):
        yield Sample(at=at, kind=outcome, scope=direction, milliseconds=milliseconds)


def _callouts(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, direction, outcome, milliseconds, _, credential in _rows(begin, end):
        if direction == Direction.OUTBOUND:
            yield Sample(at=at, kind=outcome, scope=credential, milliseconds=milliseconds)


def _failures(begin: datetime, end: datetime) -> Iterator[Sample]:
    for at, direction, outcome, _, cause, credential in _rows(begin, end):
        if direction == Direction.OUTBOUND and outcome in {Outcome.FAILED, Outcome.IN_DOUBT}:
            yield Sample(at=at, kind=cause, scope=credential)


def _needs() -> Iterator[Need]:
    over = clock.now() - timedelta(seconds=options.max_timeout_seconds)
    unresolved = IntegrationLogEntry.objects.unresolved().filter(queued_callout_id=None)
    found = unresolved.exclude(duration_ms=None, started_at__gte=over).aggregate(
        number=Count("pk"), oldest=Min("started_at")
    )
    if number := found["number"]:
        yield Need(
            title=f"{number:,} callout{'s are' if number > 1 else ' is'} in doubt",
            urgency=Urgency.UNDECIDED,
            url=f"{reverse('callouts:log')}?outcome=unresolved",
            advice="Ask the other side whether it acted, and note it.",
            since=found["oldest"],
        )
    for row in Destination.objects.select_related("named_credential"):
        yield from _destination_needs(row)
    if off := list(NamedCredential.objects.filter(is_enabled=False).values_list("name", flat=True)):
        yield Need(
            title=f"Switched off: {_named(off)}",
            urgency=Urgency.SOON,
            url=reverse("named_credentials:list"),
            advice="Callouts through it are refused until it is switched on in the set-up.",
        )


def _destination_needs(row: Destination) -> Iterator[Need]:
    name = row.named_credential.name
    page = reverse("named_credentials:detail", args=[name])
    if row.held_since is not None:
        yield Need(
            title=f"{name} refuses who we are",
            urgency=Urgency.BROKEN,
            url=page,
            advice="Its queued callouts wait. Mend the credential, then release them.",
            since=row.held_since,
        )
    if row.breaker != BreakerState.CLOSED:
        yield Need(
            title=f"The circuit breaker of {name} is {'open' if row.breaker == BreakerState.OPEN else 'half-open'}",
            urgency=Urgency.BROKEN,
            url=page,
            advice="Callouts are refused until a trial succeeds. See what the system answered last.",
            since=row.opened_at,
        )
    if row.is_dry_run:
        yield Need(
            title=f"{name} is in a dry run",
            urgency=Urgency.SOON,
            url=page,
            advice="Nothing is sent to it. End the dry run when that is no longer meant.",
        )


def _named(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _connections() -> Iterator[Connection]:
    lately = reading.of_scopes(CALLOUTS)
    entries = IntegrationLogEntry.objects.all()
    # With what is annotated.
    rows: Any = NamedCredential.objects.select_related("destination").annotate(
        last_success_at=entries.succeeded().last_of_credential("started_at"),
        last_failure_at=entries.went_wrong().last_of_credential("started_at"),
        last_code=entries.went_wrong().last_of_credential("error_code"),
        last_status=entries.went_wrong().last_of_credential("status_code"),
    )
    for row in rows:
        found = lately.get(row.name)
        yield Connection(
            kind="Named credentials",
            name=str(row),
            detail=row.url,
            status=_status(row),
            url=reverse("named_credentials:detail", args=[row.name]),
            last_success_at=row.last_success_at,
            last_failure_at=row.last_failure_at,
            failure=cause_of(row.last_code, row.last_status) if row.last_failure_at else "",
            p95_ms=found.durations.percentile(95) if found else None,
            number=found.number if found else 0,
        )


def _status(named: Any) -> Status:
    if not named.is_enabled:
        return Status("Switched off", Tone.NEUTRAL, "pause")
    destination = getattr(named, "destination", None)
    found = breaker_status(destination) if destination is not None else None
    if found is not None and found.tone != Tone.GOOD:
        return found
    success, failure = named.last_success_at, named.last_failure_at
    if failure is not None and (success is None or failure > success):
        return Status("Failed last", Tone.WARNING)
    return Status("Works", Tone.GOOD) if success is not None else Status("Not used lately", Tone.NEUTRAL)


def _limits() -> Iterator[Limit]:
    group, one = "Callouts", "one transaction (web request or job run)"
    yield Limit(
        group=group,
        label="Callouts",
        maximum=options.max_callouts,
        used=None,
        per=one,
        setting="ISTHMUS_CALLOUTS_MAX_CALLOUTS",
        when_reached="The next callout raises LimitExceeded (LIMIT_EXCEEDED); nothing is sent.",
    )
    yield Limit(
        group=group,
        label="Time of all callouts together",
        maximum=options.max_cumulative_seconds,
        used=None,
        per=one,
        unit="seconds",
        setting="ISTHMUS_CALLOUTS_MAX_CUMULATIVE_SECONDS",
        when_reached="The callout under way is cut off, and the next one raises LimitExceeded.",
    )
    yield Limit(
        group=group,
        label="Time of a callout",
        maximum=options.max_timeout_seconds,
        used=None,
        per="one callout",
        unit="seconds",
        setting="ISTHMUS_CALLOUTS_MAX_TIMEOUT_SECONDS",
        when_reached="A longer time limit is refused.",
    )
    for what, size, setting in (
        ("one callout in a web request", options.max_body_bytes, "MAX_BODY_BYTES"),
        ("one callout in a job", options.max_body_bytes_in_jobs, "MAX_BODY_BYTES_IN_JOBS"),
    ):
        yield Limit(
            group=group,
            label="Size of a request or an answer",
            maximum=size,
            used=None,
            per=what,
            unit="bytes",
            setting=f"ISTHMUS_CALLOUTS_{setting}",
            when_reached="The callout fails; of an answer no more than this is read.",
        )
    yield from _kept()


def _kept() -> Iterator[Limit]:
    for outcome, days, setting in (
        (Outcome.SUCCEEDED, options.keep_succeeded_days, "KEEP_SUCCEEDED_DAYS"),
        (Outcome.FAILED, options.keep_failed_days, "KEEP_FAILED_DAYS"),
        (Outcome.REFUSED, options.keep_refused_days, "KEEP_REFUSED_DAYS"),
    ):
        entries = IntegrationLogEntry.objects.filter(outcome=outcome).order_by("started_at")
        first = entries.values_list("started_at", flat=True).first()
        yield Limit(
            group="Storage",
            label=f"Exchanges that {'were refused' if outcome == Outcome.REFUSED else outcome.value}",
            maximum=days,
            used=0.0 if first is None else (clock.now() - first) / timedelta(days=1),
            per="the oldest one",
            unit="days",
            setting=f"ISTHMUS_CALLOUTS_{setting}",
            when_reached="A daily operation removes them; what is in doubt stays until somebody resolves it.",
        )
