"""The set-up screens of the standard objects."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus.objects.errors import UndeleteRefused
from isthmus.objects.models import Record

_STAMPS = ("record_id_shown", "created_date", "created_by", "last_modified_date", "last_modified_by")


class InRecycleBinFilter(admin.SimpleListFilter):
    """Shows live records, unless the recycle bin is asked for."""

    title = "recycle bin"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: "BaseModelAdmin[Any]") -> list[tuple[str, str]]:
        return [("yes", "Deleted records")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(is_deleted=self.value() == "yes")


class RecordAdmin(ModelAdmin):
    """A record's screen: deleting moves to the recycle bin, an action brings back."""

    actions = ("undelete_selected",)
    list_filter = (InRecycleBinFilter,)
    readonly_fields = _STAMPS
    ordering = ("-last_modified_date", "-pk")
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = self.model._base_manager.order_by(*self.ordering)
        return found

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj is not None and obj.is_deleted)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_deleted)

    @admin.display(description="record id")
    def record_id_shown(self, record: Record) -> str:
        return record.record_id if record.pk else "-"

    @admin.action(description="Bring back from the recycle bin", permissions=["delete"])
    def undelete_selected(self, request: HttpRequest, queryset: Any) -> None:
        try:
            count = queryset.undelete()
        except UndeleteRefused as error:
            self.message_user(request, error.message, level="ERROR")
        else:
            self.message_user(request, f"{count} record{'' if count == 1 else 's'} brought back.")


@admin.register(Account)
class AccountAdmin(RecordAdmin):
    list_display = ("name", "account_type", "industry", "phone", "external_reference", "last_modified_date")
    search_fields = ("name", "account_number", "external_reference")
    autocomplete_fields = ("parent", "owner")


@admin.register(Contact)
class ContactAdmin(RecordAdmin):
    list_display = ("name", "account", "email", "phone", "external_reference", "last_modified_date")
    list_select_related = ("account",)
    search_fields = ("name", "email", "external_reference")
    autocomplete_fields = ("account", "owner")


@admin.register(Lead)
class LeadAdmin(RecordAdmin):
    list_display = ("name", "company", "status", "email", "external_reference", "last_modified_date")
    search_fields = ("name", "company", "email", "external_reference")
    autocomplete_fields = ("owner",)


@admin.register(Opportunity)
class OpportunityAdmin(RecordAdmin):
    list_display = ("name", "account", "stage_name", "amount", "close_date", "last_modified_date")
    list_select_related = ("account",)
    search_fields = ("name", "external_reference")
    autocomplete_fields = ("account", "owner")


@admin.register(Order)
class OrderAdmin(RecordAdmin):
    list_display = ("order_number", "account", "status", "total_amount", "external_reference", "last_modified_date")
    list_select_related = ("account",)
    search_fields = ("order_number", "po_number", "external_reference")
    autocomplete_fields = ("account", "opportunity", "bill_to_contact", "owner")


@admin.register(Case)
class CaseAdmin(RecordAdmin):
    list_display = (
        "case_number",
        "subject",
        "status",
        "priority",
        "origin",
        "external_reference",
        "last_modified_date",
    )
    search_fields = ("case_number", "subject", "supplied_email", "external_reference")
    autocomplete_fields = ("account", "contact", "parent", "owner")
