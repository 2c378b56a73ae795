"""Set-up pages of the demo's own records."""

from django.contrib import admin
from unfold.admin import ModelAdmin

from examples.mortgage.models import MortgageRequest


@admin.register(MortgageRequest)
class MortgageRequestAdmin(ModelAdmin):
    """Mortgage requests: what was asked for and how the bank decided."""

    list_display = ("external_reference", "lead", "requested_amount", "status", "application_number", "reason")
    list_filter = ("status",)
    search_fields = ("external_reference", "application_number", "lead__last_name")
    readonly_fields = ("status", "application_number", "approved_amount", "reason", "invocation_id")
    raw_id_fields = ("lead",)
