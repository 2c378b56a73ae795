"""The screens on which events are looked at and subscriptions are steered."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from events import actions, parking
from events.models import (
    EventLogEntry,
    EventSchema,
    EventUsage,
    ParkedEvent,
    Subscription,
)

__all__ = [
    "EventLogEntryAdmin",
    "EventSchemaAdmin",
    "EventUsageAdmin",
    "ParkedEventAdmin",
    "SubscriptionAdmin",
]


class ReadOnlyAdmin(ModelAdmin):
    """What the platform writes and people only read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: object | None = None) -> list[str]:
        return [field.name for field in self.opts.fields]


@admin.register(EventSchema)
class EventSchemaAdmin(ReadOnlyAdmin):
    """Every version of every schema."""

    list_display = ("record_name", "schema_id", "created_at")
    search_fields = ("record_name", "schema_id")


@admin.register(EventLogEntry)
class EventLogEntryAdmin(ReadOnlyAdmin):
    """Published events, newest first."""

    list_display = ("replay_id", "topic", "event_uuid", "published_at", "correlation_id")
    list_filter = ("topic",)
    search_fields = ("=event_uuid", "=correlation_id")
    list_select_related = ("topic",)
    ordering = ("-replay_id",)
    # Counting a table of millions for a page of a hundred is not worth it.
    show_full_result_count = False


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """How far subscribers are, and what keeps them."""

    list_display = ("name", "topic", "state", "lag", "failures", "next_attempt_at", "last_success_at")
    list_filter = ("state",)
    search_fields = ("name", "topic__name")
    actions = ("pause", "resume", "rewind_to_earliest")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return Subscription.objects.with_lag()

    @admin.display(description="Events waiting")
    def lag(self, subscription: Subscription) -> int:
        waiting: int = subscription.lag  # type: ignore[attr-defined]  # annotated by with_lag()
        return waiting

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for subscription in chosen:
            actions.pause(subscription)

    @admin.action(description="Go on now, where it was", permissions=["change"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for subscription in chosen:
            actions.resume(subscription)

    @admin.action(description="Rewind to the oldest kept event", permissions=["change"])
    def rewind_to_earliest(self, request: HttpRequest, chosen: QuerySet[Subscription]) -> None:
        for subscription in chosen.select_related("topic"):
            actions.rewind(subscription, to="earliest")


@admin.register(ParkedEvent)
class ParkedEventAdmin(ReadOnlyAdmin):
    """Events that a subscriber could not handle."""

    list_display = ("replay_id", "subscription", "state", "error", "failures", "parked_at")
    list_filter = ("state", "subscription")
    search_fields = ("=event_uuid", "=correlation_id")
    list_select_related = ("subscription",)
    actions = ("redrive", "discard")

    @admin.action(description="Drive again", permissions=["change"])
    def redrive(self, request: HttpRequest, chosen: QuerySet[ParkedEvent]) -> None:
        outcomes = [parking.redrive(parked) for parked in chosen.filter(state="parked").order_by("replay_id")]
        self.message_user(request, f"{outcomes.count(True)} handled, {outcomes.count(False)} failed again.")

    @admin.action(description="Discard", permissions=["change"])
    def discard(self, request: HttpRequest, chosen: QuerySet[ParkedEvent]) -> None:
        for parked in chosen.filter(state="parked").select_related("subscription"):
            parking.discard(parked)


@admin.register(EventUsage)
class EventUsageAdmin(ReadOnlyAdmin):
    """How many events were published and delivered, by the hour."""

    list_display = ("start_date", "name", "event_name", "value")
    list_filter = ("name", "event_name")
