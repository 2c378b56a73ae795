"""The audit trail on a screen: read-only."""

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from isthmus.audit.models import AuditChain, AuditEntry, AuditOutcome
from isthmus.audit.registry import all_actions

__all__ = ["AuditEntryAdmin"]


class _ActionFilter(admin.SimpleListFilter):
    title = "what"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action.name, action.label) for action in all_actions()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    """Who did what. Nobody adds, changes or deletes here."""

    list_display = ("occurred_at", "what", "shown_outcome", "who", "target")
    list_filter = (_ActionFilter, "outcome", ("occurred_at", admin.DateFieldListFilter))
    search_fields = ("target", "actor", "correlation_id")
    list_display_links = ("occurred_at", "what")
    show_full_result_count = False
    fields = (
        "sequence", "occurred_at", "what", "shown_outcome", "who", "target", "correlation_id", "shown_details",
        "entry_hash",
    )  # fmt: skip

    @display(description="What", ordering="action")
    def what(self, obj: AuditEntry) -> str:
        return next((each.label for each in all_actions() if each.name == obj.action), obj.action)

    @display(
        description="Outcome",
        ordering="outcome",
        label={
            str(AuditOutcome.DONE.label): "success",
            str(AuditOutcome.REFUSED.label): "warning",
            str(AuditOutcome.FAILED.label): "danger",
        },
    )
    def shown_outcome(self, obj: AuditEntry) -> str:
        return str(AuditOutcome(obj.outcome).label)

    @display(description="Who", ordering="actor")
    def who(self, obj: AuditEntry) -> str:
        return obj.actor or "The platform"

    @display(description="Details")
    def shown_details(self, obj: AuditEntry) -> str:
        return format_html("<pre>{}</pre>", json.dumps(obj.details, indent=2, ensure_ascii=False))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        chain = AuditChain.objects.first()
        told = "No entry yet."
        if chain is not None and chain.verified_at is not None:
            told = f"Verified up to entry {chain.verified_sequence} at {chain.verified_at:%Y-%m-%d %H:%M} UTC."
        elif chain is not None:
            told = f"{chain.head_sequence} entries, not verified yet. `manage.py audit verify` proves the chain."
        return super().changelist_view(request, {**(extra_context or {}), "subtitle": told})
