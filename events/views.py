"""The event monitor: topics, subscriptions and how far behind they are, and the events themselves."""

from collections.abc import Callable, Iterable

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from events import actions
from events.console import listed, status_of
from events.models import EventDefinition, EventLogEntry, OutboxEvent, Subscription, Topic
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.paging import newest_first
from isthmus.console.references import as_uuid
from isthmus.objects.models import RawChange

__all__ = ["EventFilters", "event", "log", "monitor", "steer"]


class EventFilters(FilterForm[EventLogEntry]):
    """Filters of the event log."""

    moment = "published_at"

    topic = forms.ChoiceField(label="Topic", required=False)

    def __init__(self, given: QueryDict, *, topics: Iterable[str]) -> None:
        super().__init__(given)
        choices = [("", "Any topic"), *((name, name) for name in topics)]
        self.fields["topic"] = forms.ChoiceField(label="Topic", required=False, choices=choices)

    def matching(self, rows: QuerySet[EventLogEntry], text: str) -> QuerySet[EventLogEntry]:
        """Return the event of that UUID or replay id, or those of that correlation."""
        wanted = Q(correlation_id=text)
        if text.isdecimal() and len(text) < 19:
            wanted |= Q(replay_id=int(text))
        if given := as_uuid(text):
            wanted |= Q(event_uuid=given) | Q(transaction_key=given)
        return rows.filter(wanted)


@require_safe
@requires("view")
def monitor(request: HttpRequest) -> HttpResponse:
    """Show subscriptions with their lag, topics, and what waits for the relay."""
    definitions = {definition.topic_id: definition for definition in EventDefinition.objects.all()}
    context = {
        "subscriptions": [(row, status_of(row)) for row in Subscription.objects.with_lag()],
        "topics": [(topic, definitions.get(topic.pk)) for topic in Topic.objects.all()],
        "waiting_events": OutboxEvent.objects.count(),
        "waiting_changes": RawChange.objects.count(),
        "tab": "monitor",
    }
    return render(request, "events/monitor.html", context)


@require_safe
@requires("view")
def log(request: HttpRequest) -> HttpResponse:
    """List the kept events, newest first."""
    filters = EventFilters(request.GET, topics=Topic.objects.values_list("name", flat=True))
    chosen = filters.narrow(listed(filters.given("topic")))
    page = newest_first(chosen, moment=None, cursor=request.GET.get("cursor", ""))
    return render(request, "events/log.html", {"filters": filters, "page": page, "tab": "log"})


@require_safe
@requires("view")
def event(request: HttpRequest, replay_id: int) -> HttpResponse:
    """Show one event with its payload and schema."""
    found = get_object_or_404(EventLogEntry.objects.select_related("topic", "schema"), pk=replay_id)
    return render(request, "events/event.html", {"event": found})


_ACTS: dict[str, tuple[Callable[[Subscription], None], str]] = {
    "pause": (actions.pause, "rests; events wait for it."),
    "resume": (actions.resume, "goes on where it was."),
    "restart-earliest": (lambda row: actions.restart(row, at="earliest"), "goes on with the oldest kept event."),
    "restart-latest": (lambda row: actions.restart(row, at="latest"), "goes on with what comes from now on."),
}


@require_POST
@requires("operate")
def steer(request: HttpRequest, subscription_id: int, act: str) -> HttpResponse:
    """Pause, resume or restart a subscription."""
    if act not in _ACTS:
        raise Http404
    subscription = get_object_or_404(Subscription.objects.select_related("topic"), pk=subscription_id)
    change, outcome = _ACTS[act]
    change(subscription)
    messages.success(request, f"{subscription.name} {outcome}")
    return redirect("events:monitor")
