"""The event monitor: topics, subscriptions and how far behind they are, and the events themselves."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from events import actions, parking, registry
from events.actions.steering import Place
from events.channels import carrying
from events.conf import options
from events.console import listed, status_of
from events.errors import EventError, SkipRefused
from events.figures import charts_of_log, charts_of_monitor
from events.logs import get_event_log
from events.models import EventDefinition, EventLogEntry, OutboxEvent, ParkedEvent, ParkedState, Subscription, Topic
from events.publish_form import PublishForm
from events.querysets import EventLogQuerySet
from events.usage import allocations, published_this_hour
from isthmus.access.errors import PermissionRefused
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.listing_views import exportable
from isthmus.console.paging import newest_first
from isthmus.console.references import as_uuid
from isthmus.console.rollups import spans
from isthmus.objects.models import RawChange

__all__ = [
    "EventFilters",
    "ParkedFilters",
    "decide",
    "event",
    "log",
    "monitor",
    "parked",
    "parked_events",
    "publish",
    "steer",
    "subscription",
]


class EventFilters(FilterForm[EventLogEntry]):
    """Filters of the event log."""

    moment = "published_at"

    topic = forms.ChoiceField(label="Topic", required=False)

    def __init__(self, given: QueryDict) -> None:
        super().__init__(given)
        choices = [("", "Any topic"), *((name, name) for name in Topic.objects.values_list("name", flat=True))]
        self.fields["topic"] = forms.ChoiceField(label="Topic", required=False, choices=choices)

    looks_into_texts = False

    def narrow(self, rows: QuerySet[EventLogEntry]) -> QuerySet[EventLogEntry]:
        """Return the events that every valid filter lets through."""
        rows = super().narrow(rows)
        if topic := self.given("topic"):
            rows = cast("EventLogQuerySet", rows).of_topic(topic)
        return rows

    def naming(self, text: str) -> Q:
        """Return what is true of the event of that UUID or replay id, and of those of that correlation."""
        wanted = Q(correlation_id=text)
        if text.isdecimal() and len(text) < 19:
            wanted |= Q(replay_id=int(text))
        if given := as_uuid(text):
            wanted |= Q(event_uuid=given) | Q(transaction_key=given)
        return wanted


class ParkedFilters(FilterForm[ParkedEvent]):
    """Filters of parked events."""

    moment = "parked_at"

    subscription = forms.CharField(label="Subscription", required=False, max_length=255)

    def narrow(self, rows: QuerySet[ParkedEvent]) -> QuerySet[ParkedEvent]:
        """Return the events that every valid filter lets through."""
        rows = super().narrow(rows)
        if name := self.given("subscription"):
            rows = rows.filter(subscription__name__icontains=name)
        return rows

    def matching(self, rows: QuerySet[ParkedEvent], text: str) -> QuerySet[ParkedEvent]:
        """Return the events whose topic or error has the text, or that carry the id."""
        wanted = Q(topic_name__icontains=text) | Q(error__icontains=text) | Q(correlation_id=text)
        if text.isdecimal() and len(text) < 19:
            wanted |= Q(replay_id=int(text))
        if given := as_uuid(text):
            wanted |= Q(event_uuid=given) | Q(transaction_key=given)
        return rows.filter(wanted)


def parked_events() -> QuerySet[ParkedEvent]:
    """Return every event that waits for a decision."""
    return ParkedEvent.objects.filter(state=ParkedState.PARKED).select_related("subscription")


@require_safe
@requires("view")
@exportable("subscriptions", "topics")
def monitor(request: HttpRequest) -> HttpResponse:
    """Show subscriptions with their lag, topics, allocations, and what waits for the relay."""
    definitions = {definition.topic_id: definition for definition in EventDefinition.objects.all()}
    hour = published_this_hour()
    span = spans.chosen(request.GET)
    context = {
        "subscriptions": [(row, status_of(row)) for row in Subscription.objects.with_lag()],
        "topics": [
            (topic, definitions.get(topic.pk), hour.get(topic.name.rpartition("/")[2], 0))
            for topic in Topic.objects.all()
        ],
        "allocations": [found for found in allocations() if found.limit],
        "waiting_events": OutboxEvent.objects.count(),
        "waiting_changes": RawChange.objects.count(),
        "default_retention_hours": options.retention_hours,
        "charts": charts_of_monitor(span),
        "span": span,
        "tab": "monitor",
    }
    return render(request, "events/monitor.html", context)


@require_safe
@requires("view")
def subscription(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Show one subscription: how far it is, what keeps it, what it could not handle, and how to steer it."""
    row = get_object_or_404(Subscription.objects.with_lag(), pk=subscription_id)
    event_log = get_event_log()
    context = {
        "row": row,
        "status": status_of(row),
        "declared": registry.get_subscriber(row.name),
        "parked": ParkedEvent.objects.filter(subscription=row, state=ParkedState.PARKED).order_by("replay_id")[:100],
        "earliest": event_log.earliest(row.topic.name),
        "latest": event_log.latest(row.topic.name),
    }
    return render(request, "events/subscription.html", context)


@require_safe
@requires("view")
@exportable("parked-events")
def parked(request: HttpRequest) -> HttpResponse:
    """List the events that wait for a decision, newest first."""
    filters = ParkedFilters(request.GET)
    page = newest_first(filters.narrow(parked_events()), moment=None, cursor=request.GET.get("cursor", ""))
    return render(request, "events/parked.html", {"filters": filters, "page": page, "tab": "parked"})


@require_safe
@requires("view")
@exportable("events")
def log(request: HttpRequest) -> HttpResponse:
    """List the kept events, newest first."""
    filters = EventFilters(request.GET)
    page = filters.page(listed(), moment=None, cursor=request.GET.get("cursor", ""))
    span = spans.chosen(request.GET)
    shown = [] if page.newer else charts_of_log(filters.given("topic").rpartition("/")[2], span)
    context = {"filters": filters, "page": page, "charts": shown, "span": span, "tab": "log"}
    return render(request, "events/log.html", context)


@require_safe
@requires("view")
def event(request: HttpRequest, replay_id: int) -> HttpResponse:
    """Show one event with its payload and schema."""
    found = get_object_or_404(EventLogEntry.objects.select_related("topic", "schema"), pk=replay_id)
    readers = Subscription.objects.filter(topic__name__in=carrying(found.topic.name), cursor__gte=found.replay_id)
    kept = get_event_log().find(replay_id)
    payload = kept.payload if kept is not None else None
    return render(request, "events/event.html", {"event": found, "payload": payload, "readers": readers})


@require_http_methods(["GET", "HEAD", "POST"])
@requires("operate")
def publish(request: HttpRequest, api_name: str) -> HttpResponse:
    """Publish one event by hand, as the person who is signed in."""
    event_type = registry.find_event(api_name)
    if event_type is None:
        raise Http404
    form = PublishForm(event_type, request.POST if request.method == "POST" else None)
    refused = ""
    if request.method == "POST":
        try:
            event_uuid = form.publish(request.user)
        except PermissionRefused as error:
            refused = error.message
        else:
            if event_uuid:
                messages.success(request, f"Published. Subscribers know it as {event_uuid}.")
                return redirect("events:publish", event_type.api_name)
    context = {"event_type": event_type, "form": form, "refused": refused, "tab": "publish"}
    return render(request, "events/publish.html", context)


class RewindForm(forms.Form):
    """Where a subscription goes back to."""

    replay_id = forms.IntegerField(required=False, min_value=0)
    moment = forms.DateTimeField(required=False)

    def place(self) -> Place:
        """Return the place; the oldest kept event when nothing was given."""
        replay_id: int | None = self.cleaned_data.get("replay_id")
        moment: datetime | None = self.cleaned_data.get("moment")
        if moment is not None:
            return moment
        return "earliest" if replay_id is None else replay_id


def _rewind(row: Subscription, data: QueryDict) -> str:
    form = RewindForm(data)
    if not form.is_valid():
        raise SkipRefused("A place is a replay id, or a time such as 2026-01-31 12:00.")
    actions.rewind(row, to=form.place())
    return f"goes on after replay id {row.cursor}."


def _skip(row: Subscription, data: QueryDict) -> str:
    count = data.get("count", "")
    if not count.isdecimal():
        raise SkipRefused("Say how many events are skipped.")
    actions.skip(row, count=int(count))
    return f"leaves out {int(count):,} events and goes on with what comes from now on."


def _pause(row: Subscription, _data: QueryDict) -> str:
    actions.pause(row)
    return "rests; events wait for it."


def _resume(row: Subscription, _data: QueryDict) -> str:
    actions.resume(row)
    return "goes on where it was."


_ACTS: dict[str, Callable[[Subscription, QueryDict], str]] = {
    "pause": _pause,
    "resume": _resume,
    "rewind": _rewind,
    "skip": _skip,
}


@require_POST
@requires("operate")
def steer(request: HttpRequest, subscription_id: int, act: str) -> HttpResponse:
    """Pause, resume or rewind a subscription, or let it skip what waits."""
    if act not in _ACTS:
        raise Http404
    row = get_object_or_404(Subscription.objects.select_related("topic"), pk=subscription_id)
    try:
        outcome = _ACTS[act](row, request.POST)
    except EventError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{row.name} {outcome}")
    return redirect("events:subscription", row.pk)


@require_POST
@requires("operate")
def decide(request: HttpRequest, parked_id: int, act: str) -> HttpResponse:
    """Drive a parked event again, or give it up."""
    if act not in {"redrive", "discard"}:
        raise Http404
    row = get_object_or_404(ParkedEvent.objects.select_related("subscription"), pk=parked_id)
    try:
        if act == "discard":
            parking.discard(row)
            messages.success(request, f"The event with replay id {row.replay_id} is given up.")
        elif parking.redrive(row):
            messages.success(request, f"The event with replay id {row.replay_id} is handled.")
        else:
            row.refresh_from_db()
            messages.error(request, f"It failed again: {row.error}")
    except EventError as error:
        messages.error(request, error.message)
    return redirect("events:subscription", row.subscription_id)
