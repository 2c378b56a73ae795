"""Named reads of the app's tables."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Count, IntegerField, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from events.names import UNION_TOPIC, topic_kind

if TYPE_CHECKING:
    from events.models import EventLogEntry, Subscription  # noqa: F401 - the querysets' type arguments

__all__ = ["EventLogQuerySet", "SubscriptionQuerySet"]


class EventLogQuerySet(models.QuerySet["EventLogEntry"]):
    """Published events."""

    def of_topic(self, name: str) -> "EventLogQuerySet":
        """Keep the events that the topic carries: the union those of every `/data/` topic, a channel its members'."""
        if name == UNION_TOPIC:
            return self.filter(topic__kind="data")
        if topic_kind(name) == "channel":
            return self.filter(topic__in=_members().filter(channel__topic__name=name).values("topic"))
        return self.filter(topic__name=name)

    def newest_first(self) -> "EventLogQuerySet":
        """Order for people, with what a list shows."""
        return self.select_related("topic").order_by("-replay_id")

    def correlated(self, correlation_id: str) -> "EventLogQuerySet":
        """Keep the events that belong to one correlation, in the order in which they were published."""
        return self.filter(correlation_id=correlation_id).select_related("topic").order_by("replay_id")


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """Subscriptions."""

    def with_lag(self) -> "SubscriptionQuerySet":
        """Annotate how far behind each subscription is.

        `lag`: how many kept events of its topic it has still to handle; `waiting_since`: when the oldest of them
        entered the log (`None` when there is none); `parked`: how many events wait for a decision.
        """
        entries = _entries_after_cursor()
        all_of_them = entries.order_by().annotate(everything=models.Value(1)).values("everything")
        number = all_of_them.annotate(number=Count("*")).values("number")
        return self.select_related("topic").annotate(
            lag=Coalesce(Subquery(number, output_field=IntegerField()), 0),
            waiting_since=Subquery(entries.order_by("replay_id").values("published_at")[:1]),
            parked=Count("parked_events", filter=Q(parked_events__state="parked")),
        )

    def behind(self) -> "SubscriptionQuerySet":
        """Keep those that have an event to handle; `waiting_since`: when the oldest of them entered the log."""
        oldest = _entries_after_cursor().order_by("replay_id").values("published_at")[:1]
        return self.annotate(waiting_since=Subquery(oldest)).filter(waiting_since__isnull=False)

    def due(self, now: datetime) -> "SubscriptionQuerySet":
        """Keep those that may be tried now."""
        return self.filter(Q(state="running") | Q(state="retrying", next_attempt_at__lte=now))


def _entries_after_cursor() -> models.QuerySet[Any]:
    # By name, because the models module imports this one.
    entries = apps.get_model("events", "EventLogEntry")._default_manager  # noqa: SLF001 - Django documents it
    of_channel = _members().filter(channel__topic=OuterRef(OuterRef("topic"))).values("topic")
    wanted = (
        Q(topic=OuterRef("topic"))
        | Q(topic__kind="data", one_union=OuterRef("topic__kind"))
        | Q(topic__in=Subquery(of_channel))
    )
    return entries.annotate(one_union=models.Value("union")).filter(wanted, replay_id__gt=OuterRef("cursor"))


def _members() -> models.QuerySet[Any]:
    return apps.get_model("events", "ChannelMember")._default_manager.order_by()  # noqa: SLF001 - as above
