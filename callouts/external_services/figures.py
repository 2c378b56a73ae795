"""What external services count, what of them waits, and what of them needs a person."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, F, Max, Min
from django.urls import reverse

from callouts.callbacks.conf import options as callback_options
from callouts.external_services.conf import options
from callouts.external_services.models import CallbackReceipt, ExternalService, Invocation, ReceiptState
from callouts.figures import OUTCOMES, ended_in, first_entry_since
from callouts.models import Direction, Outcome
from isthmus import clock
from isthmus.access.limits import Limit, register_limits
from isthmus.console import overview
from isthmus.console.connections import Connection, register_connections
from isthmus.console.overview import Need, Urgency, Waiting
from isthmus.console.rollups import reading
from isthmus.console.rollups.series import Sample, Series, register_series
from isthmus.console.tones import Status, Tone

__all__ = ["register"]

SERIES = "external_services"
_HANDLER_LATE_SECONDS = 60.0
_HOUR, _RECENT = timedelta(hours=1), timedelta(days=7)


def register() -> None:
    """Join the roll-up, the home page, *Limits* and *Connections*; called once, when the app is ready."""
    register_series(
        Series(
            name=SERIES,
            subject="Calls of external services",
            kinds=OUTCOMES,
            measure=_calls,
            first_since=first_entry_since,
        )
    )
    overview.register_needs(_needs)
    overview.register_waiting(_waiting)
    register_connections(_connections)
    register_limits(_limits)


def _calls(begin: datetime, end: datetime) -> Iterator[Sample]:
    names = set(ExternalService.objects.values_list("name", flat=True))
    for row in ended_in(begin, end, "started_at", "operation", "direction", "outcome", "duration_ms", "status_code"):
        at, operation, direction, outcome, milliseconds, status = row
        service, dot, _ = str(operation).partition(".")
        if direction == Direction.OUTBOUND and dot and service in names:
            assert isinstance(at, datetime)  # noqa: S101 - for the type checker
            took = float(milliseconds) if isinstance(milliseconds, int) and status is not None else None
            yield Sample(at=at, kind=str(outcome), scope=service, milliseconds=took)


def _needs() -> Iterator[Need]:
    newest = ExternalService.objects.annotate(newest=Max("versions__number"), registered=Max("versions__registered_at"))
    for service in newest.filter(newest__gt=F("active_version__number")):
        yield Need(
            title=f"Version {service.newest} of {service} waits for approval",
            urgency=Urgency.UNDECIDED,
            url=reverse("external_services:version", args=[service.name, service.newest]),
            advice="It breaks calls that are right today. See which, then switch to it.",
            since=service.registered,
        )
    lately = CallbackReceipt.objects.filter(received_at__gte=clock.now() - _RECENT)
    failed = lately.filter(state__in=(ReceiptState.FAILED, ReceiptState.UNHANDLED)).aggregate(
        number=Count("pk"), oldest=Min("received_at")
    )
    if number := failed["number"]:
        yield Need(
            title=f"{number:,} callback{'s were' if number > 1 else ' was'} not handled within 7 days",
            urgency=Urgency.BROKEN,
            url=f"{reverse('external_services:receipts')}?state=attention",
            advice="Mend the handler, then let it run again.",
            since=failed["oldest"],
        )


def _waiting() -> Iterator[Waiting]:
    awaited = Invocation.objects.waiting().aggregate(number=Count("pk"), oldest=Min("submitted_at"))
    yield Waiting(
        label="Callbacks awaited",
        number=awaited["number"],
        since=awaited["oldest"],
        url=f"{reverse('external_services:invocations')}?state=open",
        late_after_seconds=options.callback_timeout_seconds,
        hint="invocations that are not finished",
    )
    accepted = CallbackReceipt.objects.filter(state=ReceiptState.RECEIVED).aggregate(
        number=Count("pk"), oldest=Min("received_at")
    )
    yield Waiting(
        label="Callbacks to handle",
        number=accepted["number"],
        since=accepted["oldest"],
        url=reverse("external_services:receipts"),
        late_after_seconds=_HANDLER_LATE_SECONDS,
        hint="accepted, and their handler has not run",
    )


def _connections() -> Iterator[Connection]:
    lately, last = reading.of_scopes(SERIES), reading.last_of_scopes(SERIES)
    for row in ExternalService.objects.select_related("named_credential", "active_version"):
        found = lately.get(row.name)
        success = last.get((row.name, Outcome.SUCCEEDED))
        failures = [moment for kind in _WENT_WRONG if (moment := last.get((row.name, kind)))]
        failure = max(failures, default=None)
        yield Connection(
            kind="External services",
            name=str(row),
            detail=f"through {row.named_credential}" if row.named_credential else "without a named credential",
            status=_status(row, success, failure),
            url=reverse("external_services:service", args=[row.name]),
            last_success_at=success,
            last_failure_at=failure,
            p95_ms=found.durations.percentile(95) if found else None,
            number=found.number if found else 0,
        )


_WENT_WRONG = (Outcome.FAILED, Outcome.IN_DOUBT)


def _status(row: ExternalService, success: datetime | None, failure: datetime | None) -> Status:
    if row.named_credential is None or row.active_version is None:
        return Status("Cannot be called", Tone.WARNING)
    if failure is not None and (success is None or failure > success):
        return Status("Failed last", Tone.WARNING)
    return Status("Works", Tone.GOOD) if success is not None else Status("Not used lately", Tone.NEUTRAL)


def _limits() -> Iterator[Limit]:
    group = "Callbacks"
    yield Limit(
        group=group,
        label="Wait for a callback",
        maximum=options.callback_timeout_seconds,
        used=None,
        per="one invocation that says nothing else",
        unit="seconds",
        setting="ISTHMUS_EXTERNAL_SERVICES_CALLBACK_TIMEOUT_SECONDS",
        when_reached="The invocation times out and its handler is told; a later callback is kept as late.",
    )
    yield Limit(
        group=group,
        label="Body of a callback",
        maximum=callback_options.max_body_bytes,
        used=None,
        per="one callback",
        unit="bytes",
        setting="ISTHMUS_CALLBACKS_MAX_BODY_BYTES",
        when_reached="It is refused with 413.",
    )
    yield Limit(
        group=group,
        label="Callbacks with an unknown token",
        maximum=callback_options.unknown_kept_an_hour,
        used=CallbackReceipt.objects.unknown_since(clock.now(), _HOUR).count(),
        per="one hour",
        setting="ISTHMUS_CALLBACKS_UNKNOWN_KEPT_AN_HOUR",
        when_reached="Further ones are only logged.",
    )
    yield Limit(
        group="Documents",
        label="Size of an OpenAPI document",
        maximum=options.document_max_bytes,
        used=None,
        per="one document",
        unit="bytes",
        setting="ISTHMUS_EXTERNAL_SERVICES_DOCUMENT_MAX_BYTES",
        when_reached="It is not registered.",
    )
