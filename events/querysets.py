"""Named reads of the app's tables."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Aggregate, BigIntegerField, Case, Count, IntegerField, Min, OuterRef, Q, Subquery, When
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
        lagging: SubscriptionQuerySet = self._with_oldest().annotate(
            lag=Coalesce(_by_kind(Count("*"), IntegerField()), 0),
            parked=Coalesce(Subquery(_of_all(Count("*"), _parked()), output_field=IntegerField()), 0),
        )
        return lagging

    def behind(self) -> "SubscriptionQuerySet":
        """Keep those that have an event to handle; `waiting_since`: when the oldest of them entered the log."""
        behind: SubscriptionQuerySet = self._with_oldest().filter(waiting_since__isnull=False)
        return behind

    def _with_oldest(self) -> Any:
        oldest = _entries().filter(replay_id=OuterRef("oldest_waiting"))
        numbered = self.select_related("topic").alias(oldest_waiting=_by_kind(Min("replay_id"), BigIntegerField()))
        return numbered.annotate(waiting_since=Subquery(oldest.values("published_at")[:1]))

    def due(self, now: datetime) -> "SubscriptionQuerySet":
        """Keep those that may be tried now."""
        return self.filter(Q(state="running") | Q(state="retrying", next_attempt_at__lte=now))


def _by_kind(aggregate: Aggregate, output: "models.Field[Any, Any]") -> Case:
    """Return the aggregate over the entries after a subscription's cursor.

    Each kind of topic has a condition of its own, which an index serves; one condition for all of them would have the
    database read the whole log for each subscription, and so would the search for one row in an order.
    """
    after = _entries().filter(replay_id__gt=OuterRef("cursor"))
    of_channel = _members().filter(channel__topic=OuterRef(OuterRef("topic"))).values("topic")
    union, channel = after.filter(topic__kind="data"), after.filter(topic__in=of_channel)
    return Case(
        When(topic__kind="union", then=Subquery(_of_all(aggregate, union), output_field=output)),
        When(topic__kind="channel", then=Subquery(_of_all(aggregate, channel), output_field=output)),
        default=Subquery(_of_all(aggregate, after.filter(topic=OuterRef("topic"))), output_field=output),
    )


def _of_all(aggregate: Aggregate, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    everything = rows.order_by().annotate(everything=models.Value(1)).values("everything")
    found: models.QuerySet[Any] = everything.annotate(found=aggregate).values("found")
    return found


def _entries() -> models.QuerySet[Any]:
    # By name, because the models module imports this one.
    return apps.get_model("events", "EventLogEntry")._default_manager.all()  # noqa: SLF001 - Django documents it


def _parked() -> models.QuerySet[Any]:
    parked = apps.get_model("events", "ParkedEvent")._default_manager  # noqa: SLF001 - as above
    return parked.filter(subscription=OuterRef("pk"), state="parked")


def _members() -> models.QuerySet[Any]:
    return apps.get_model("events", "ChannelMember")._default_manager.order_by()  # noqa: SLF001 - as above
