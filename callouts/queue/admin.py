"""Queued callouts in the set-up pages: to be read; what can be done with them is on their own pages."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from callouts.queue.models import CalloutBatch, QueuedCallout

__all__ = ["CalloutBatchAdmin", "QueuedCalloutAdmin"]


class ReadOnlyAdmin(ModelAdmin):
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(QueuedCallout)
class QueuedCalloutAdmin(ReadOnlyAdmin):
    list_display = ["id", "operation", "named_credential", "state", "attempts", "due_at", "created_at"]
    list_filter = ["state", "named_credential"]
    search_fields = ["=correlation_id", "=record_id", "operation"]
    date_hierarchy = "created_at"
    list_select_related = False
    # What was answered may hold anything, and its pages show bodies masked.
    exclude = ["headers", "body", "answer_headers", "answer_body"]


@admin.register(CalloutBatch)
class CalloutBatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "operation", "state", "total", "chunk_size", "created_at"]
    list_filter = ["state"]
    date_hierarchy = "created_at"
    list_select_related = False
