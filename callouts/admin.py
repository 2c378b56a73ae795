"""Set-up pages: the integration log (to be read, never to be changed), destinations, redaction rules."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import Form
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from callouts.models import Destination, IntegrationLogEntry, RedactionRule
from isthmus.audit import actions as audit

__all__ = ["DestinationAdmin", "IntegrationLogAdmin", "RedactionRuleAdmin"]


@admin.register(IntegrationLogEntry)
class IntegrationLogAdmin(ModelAdmin):
    list_display = [
        "started_at", "direction", "named_credential", "operation", "method", "status_code", "outcome", "duration_ms",
    ]  # fmt: skip
    list_filter = ["outcome", "direction", "named_credential"]
    search_fields = ["=correlation_id", "=record_id", "operation"]
    date_hierarchy = "started_at"
    list_select_related = False
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AuditedAdmin(ModelAdmin):
    """Records what is changed here."""

    audit_action = ""

    def save_model(self, request: HttpRequest, obj: models.Model, form: Form, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._record(str(obj), {name: form.cleaned_data[name] for name in form.changed_data})

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        told = str(obj)
        super().delete_model(request, obj)
        self._record(told, {"deleted": True})

    def delete_queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> None:
        # One by one, so that each is recorded.
        for obj in queryset:
            self.delete_model(request, obj)

    def _record(self, target: str, details: dict[str, Any]) -> None:
        plain = (bool, int, float, str, list, type(None))
        told = {name: value if isinstance(value, plain) else str(value) for name, value in details.items()}
        audit.record(self.audit_action, target=target, details=told)


@admin.register(Destination)
class DestinationAdmin(AuditedAdmin):
    audit_action = "callouts.destination_changed"
    list_display = ["named_credential", "breaker", "is_dry_run", "max_per_second", "max_at_once"]
    list_select_related = ["named_credential"]
    search_fields = ["named_credential__name"]
    autocomplete_fields = ["named_credential"]
    fieldsets = [
        (None, {"fields": ["named_credential", "is_dry_run"]}),
        ("Queued callouts", {"fields": ["retry_delays", "max_per_second", "max_at_once"]}),
        ("Circuit breaker", {"fields": ["breaker_threshold", "breaker_seconds"]}),
        (
            "Where it stands",
            {"fields": ["breaker", "failures", "opened_at", "trial_at", "last_error", "held_since", "hold_reason"]},
        ),
    ]
    readonly_fields = ["breaker", "failures", "opened_at", "trial_at", "last_error", "held_since", "hold_reason"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, *(["named_credential"] if obj is not None else [])]


@admin.register(RedactionRule)
class RedactionRuleAdmin(AuditedAdmin):
    audit_action = "callouts.redaction_rule_changed"
    list_display = ["expression", "kind", "named_credential"]
    list_filter = ["kind"]
    list_select_related = ["named_credential"]
    search_fields = ["expression"]
    autocomplete_fields = ["named_credential"]
