"""The set-up pages: jobs to look at, schedules to change."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from isthmus.access.policy import AnyUser
from isthmus.errors import IsthmusError
from isthmus.jobs import actions, registry
from isthmus.jobs.models import Job, JobLogLine, Lease, ProcessHeartbeat, Schedule
from isthmus.jobs.schedules import TIMINGS, first_time, run_now
from isthmus.jobs.showing import local_times

__all__ = ["JobAdmin", "LeaseAdmin", "ProcessHeartbeatAdmin", "ScheduleAdmin"]


def _never(_admin: object, _request: HttpRequest, _row: Model | None = None) -> bool:
    """The platform writes these rows; people read them."""
    return False


# Django's three permission questions differ in their signatures, and are asked by position.
_NEVER: Any = _never


class _ReadOnlyAdmin(ModelAdmin):
    has_add_permission = has_change_permission = has_delete_permission = _NEVER


class _LogLines(TabularInline):
    has_add_permission = has_change_permission = has_delete_permission = _NEVER
    model = JobLogLine
    fields = ("created_at", "attempt", "message", "fields")
    extra = 0


@admin.register(Job)
class JobAdmin(_ReadOnlyAdmin):
    """Background operations, with what an operator can do about them."""

    list_display = ("function", "kind", "state", "attempts", "subject_id", "created_at", "finished_at")
    list_filter = ("state", "kind")
    search_fields = ("=id", "function", "=correlation_id", "=subject_id", "=unique_key")
    date_hierarchy = "created_at"
    inlines = (_LogLines,)
    actions = ("abort_chosen", "retry_chosen", "retry_failed_chosen")
    exclude = ("sealed_arguments",)
    show_full_result_count = False

    @admin.action(description="Abort", permissions=["view"])
    def abort_chosen(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """End the chosen jobs; those that ended already are named."""
        self._each(request, queryset, "aborted", actions.abort)

    @admin.action(description="Retry", permissions=["view"])
    def retry_chosen(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Give the chosen jobs fresh attempts; those that cannot have any are named."""
        self._each(request, queryset, "queued again", actions.retry)

    @admin.action(description="Retry only failed", permissions=["view"])
    def retry_failed_chosen(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Try what failed in the chosen batches again; jobs of which nothing can be are named."""
        self._each(request, queryset, "tried again by new operations", actions.retry_failed)

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Job], done: str, act: Callable[[Job, AnyUser], Job]
    ) -> None:
        count = 0
        for job in queryset:
            try:
                act(job, request.user)
                count += 1
            except IsthmusError as error:
                self.message_user(request, f"{job.function}: {error.message}", messages.ERROR)
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)


@admin.register(Schedule)
class ScheduleAdmin(ModelAdmin):
    """Functions that run at set times."""

    list_display = (
        "name",
        "function",
        "cron",
        "time_zone",
        "interval_seconds",
        "enabled",
        "next_run_at",
        "last_run_at",
    )
    list_filter = ("enabled",)
    search_fields = ("name", "function")
    fields = (
        "name",
        "function",
        "arguments",
        "cron",
        "time_zone",
        "interval_seconds",
        "once_at",
        "missed",
        "enabled",
        "user",
        "next_run_at",
        "next_runs",
        "last_run_at",
        "last_job",
        "last_error",
    )
    readonly_fields = ("next_runs", "last_run_at", "last_job", "last_error")
    autocomplete_fields = ("user",)
    actions = ("run_chosen_now",)

    @admin.display(description="Next five runs")
    def next_runs(self, schedule: Schedule) -> SafeString:
        """Show the next times, as the schedule is saved."""
        if schedule.pk is None:
            return format_html("{}", "Shown once it is saved.")
        found = format_html_join("", "<li>{}</li>", ((time,) for time in local_times(schedule)))
        return format_html("<ol>{}</ol>", found) if found else format_html("{}", "None.")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Work the next time out again when the times change, unless it is given."""
        if "next_run_at" not in form.changed_data and any(name in form.changed_data for name in TIMINGS):
            obj.next_run_at = first_time(obj)
        super().save_model(request, obj, form, change)

    @admin.action(description="Run now", permissions=["view"])
    def run_chosen_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Start a run of each, beside the set times; those that run already are named."""
        count = 0
        for schedule in queryset.select_related("user"):
            try:
                run_now(schedule, request.user)
                count += 1
            except IsthmusError as error:
                self.message_user(request, f"{schedule.name}: {error.message}", messages.ERROR)
        if count:
            self.message_user(request, f"{count} started.", messages.SUCCESS)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the functions that are declared."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and db_field.name == "function":
            names = ", ".join(declaration.name for declaration in registry.declared())
            field.help_text = f"One of: {names}"
        return field


@admin.register(Lease)
class LeaseAdmin(_ReadOnlyAdmin):
    """Who leads."""

    list_display = ("name", "holder", "fencing_token", "expires_at")


@admin.register(ProcessHeartbeat)
class ProcessHeartbeatAdmin(_ReadOnlyAdmin):
    """Who is alive."""

    list_display = ("kind", "name", "pid", "started_at", "beat_at")
    list_filter = ("kind",)
