"""What of the queued callouts waits, what of them needs a person, and how many may leave."""

from collections.abc import Iterator

from django.db.models import Count, Min, Q
from django.urls import reverse

from callouts.models import Destination
from callouts.queue.models import QueuedCallout
from callouts.queue.states import QueueState
from isthmus import clock
from isthmus.access.limits import Limit, register_limits
from isthmus.console import overview
from isthmus.console.overview import Need, Urgency, Waiting

__all__ = ["register"]

_LATE_SECONDS = 300.0


def register() -> None:
    """Join the home page and *Limits*; called once, when the app is ready."""
    overview.register_needs(_needs)
    overview.register_waiting(_waiting)
    register_limits(_limits)


def _needs() -> Iterator[Need]:
    found = QueuedCallout.objects.dead_letters().aggregate(number=Count("pk"), oldest=Min("ended_at"))
    if number := found["number"]:
        yield Need(
            title=f"{number:,} queued callout{'s wait' if number > 1 else ' waits'} for a decision",
            urgency=Urgency.UNDECIDED,
            url=f"{reverse('callout_queue:list')}?state=dead",
            advice="Send what failed again, or cancel it; find out whether what is in doubt was acted on.",
            since=found["oldest"],
        )


def _waiting() -> Iterator[Waiting]:
    due = QueuedCallout.objects.filter(state=QueueState.WAITING, due_at__lte=clock.now())
    found = due.aggregate(number=Count("pk"), oldest=Min("due_at"))
    yield Waiting(
        label="Queued callouts",
        number=found["number"],
        since=found["oldest"],
        url=f"{reverse('callout_queue:list')}?state=open",
        late_after_seconds=_LATE_SECONDS,
        hint="due, and not sent",
    )


def _limits() -> Iterator[Limit]:
    bounded = Q(max_at_once__isnull=False) | Q(max_per_second__isnull=False)
    sending = dict(
        QueuedCallout.objects.filter(state=QueueState.SENDING)
        .order_by()
        .values_list("named_credential")
        .annotate(number=Count("pk"))
    )
    for row in Destination.objects.filter(bounded).select_related("named_credential"):
        name, page = row.named_credential.name, reverse("admin:callouts_destination_change", args=[row.pk])
        if row.max_at_once is not None:
            yield Limit(
                group="Callouts",
                label=f"Queued callouts to {name} at a time",
                maximum=row.max_at_once,
                used=sending.get(name, 0),
                per="the destination",
                setting="Set-up, Destinations",
                url=page,
                when_reached="Further ones wait until one has ended.",
            )
        if row.max_per_second is not None:
            yield Limit(
                group="Callouts",
                label=f"Queued callouts to {name}",
                maximum=row.max_per_second,
                used=None,
                per="one second",
                setting="Set-up, Destinations",
                url=page,
                when_reached="Further ones wait for their turn.",
            )
