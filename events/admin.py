"""The screens on which events are looked at and subscriptions are steered."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminTextInputWidget

from events import actions, channels, parking
from events.actions.channels import remove_member, save_channel, save_member
from events.errors import InvalidFilter
from events.models import (
    Channel,
    ChannelMember,
    EventDefinition,
    EventLogEntry,
    EventSchema,
    EventUsage,
    ParkedEvent,
    Subscription,
)

__all__ = [
    "ChannelAdmin",
    "EventDefinitionAdmin",
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


@admin.register(EventDefinition)
class EventDefinitionAdmin(ReadOnlyAdmin):
    """The platform events that the code declares."""

    list_display = ("label", "api_name", "is_declared", "declared_in")
    list_filter = ("is_declared",)
    search_fields = ("api_name", "label")


class NameListField(forms.CharField):
    """Names in one line, apart by commas."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(name.strip() for name in str(value or "").split(",") if name.strip()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(self.to_python(data))


class ChannelMemberForm(forms.ModelForm):  # type: ignore[type-arg]  # the class takes no argument at run time
    """Checks filter and fields against what is published."""

    enriched_fields = NameListField(required=False, help_text="API names, apart by commas.")

    class Meta:
        model = ChannelMember
        fields = ("topic", "filter_expression", "enriched_fields")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        topic = given.get("topic")
        if topic is not None:
            try:
                channels.check_member(
                    topic.name, given.get("filter_expression", ""), given.get("enriched_fields") or []
                )
            except InvalidFilter as refused:
                self.add_error("filter_expression", refused.message)
        return given


class ChannelMemberFormSet(PaginationInlineFormSet):
    """Sees to it that a channel carries one kind of events."""

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            topic = form.cleaned_data.get("topic") if hasattr(form, "cleaned_data") else None
            if topic is not None and topic.kind != self.instance.kind:
                form.add_error("topic", f"The channel carries {self.instance.get_kind_display().lower()} only.")


class ChannelMemberInline(TabularInline):
    """The members of a channel."""

    model = ChannelMember
    form = ChannelMemberForm
    formset = ChannelMemberFormSet
    extra = 1


@admin.register(Channel)
class ChannelAdmin(ModelAdmin):
    """Topics made of others, with filters and further fields."""

    list_display = ("label", "name", "kind")
    inlines = (ChannelMemberInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        return ("name", "kind") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        save_channel(obj)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for member in formset.save(commit=False):
            save_member(member)
        for member in formset.deleted_objects:
            remove_member(member)
        formset.save_m2m()


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
