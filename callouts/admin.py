"""The integration log in the set-up pages: to be read, never to be changed."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from callouts.models import IntegrationLogEntry

__all__ = ["IntegrationLogAdmin"]


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
