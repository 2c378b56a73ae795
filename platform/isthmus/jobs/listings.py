"""The lists of background operations and of schedules."""

from django.contrib.auth.models import User
from django.db.models import Q

from isthmus.console.bulk import BulkAct, register_acts
from isthmus.console.listings import Column, QueryListing, register_listing
from isthmus.jobs import actions
from isthmus.jobs.console import listed, status_of
from isthmus.jobs.models import Job, Schedule
from isthmus.jobs.states import NON_TERMINAL, JobState
from isthmus.jobs.views import JobFilters

__all__ = ["OPERATIONS", "SCHEDULES", "register"]

OPERATIONS: QueryListing[Job, Job] = QueryListing(
    name="operations",
    label="Background operations",
    url_name="jobs:list",
    rows=listed,
    filters=JobFilters,
    moment="created_at",
    columns=(
        Column("id", "Id", lambda job: job.pk),
        Column("operation", "Operation", lambda job: job.function),
        Column("kind", "Kind", lambda job: job.kind),
        Column("state", "State", status_of),
        Column("reason", "Reason", lambda job: job.reason),
        Column("error", "Error", lambda job: "" if job.state == JobState.COMPLETED else job.error),
        Column("done", "Done", lambda job: job.progress_done),
        Column("total", "Of", lambda job: job.progress_total),
        Column("attempts", "Attempts", lambda job: job.attempts),
        Column("max_attempts", "Most attempts", lambda job: job.max_attempts),
        Column("user", "For", lambda job: job.user.get_username() if job.user else ""),
        Column("about", "About", lambda job: f"{job.subject_type} {job.subject_id}".strip()),
        Column("correlation_id", "Correlation", lambda job: job.correlation_id),
        Column("added_at", "Added", lambda job: job.created_at),
        Column("started_at", "Started", lambda job: job.started_at),
        Column("ended_at", "Ended", lambda job: job.finished_at),
    ),
)
SCHEDULES: QueryListing[Schedule, Schedule] = QueryListing(
    name="schedules",
    label="Schedules",
    url_name="jobs:schedules",
    rows=Schedule.objects.all,
    moment=None,
    columns=(
        Column("name", "Schedule", lambda row: row.name),
        Column("operation", "Operation", lambda row: row.function),
        Column("cron", "Cron", lambda row: row.cron),
        Column("interval_seconds", "Seconds between", lambda row: row.interval_seconds),
        Column("enabled", "Enabled", lambda row: row.enabled),
        Column("next_run_at", "Next run", lambda row: row.next_run_at),
        Column("last_run_at", "Last run", lambda row: row.last_run_at),
        Column("last_error", "Last error", lambda row: row.last_error),
    ),
)


def _retry(job: Job, user: User) -> str:
    actions.retry(job, user)
    return ""


def _abort(job: Job, user: User) -> str:
    actions.abort(job, user, "in bulk")
    return ""


_ACTS: tuple[BulkAct[Job], ...] = (
    BulkAct(
        name="retry",
        label="Retry",
        icon="retry",
        told="Each failed or aborted operation gets fresh attempts and runs again.",
        suits=lambda: Q(state__in=(JobState.FAILED, JobState.ABORTED)),
        perform=_retry,
    ),
    BulkAct(
        name="abort",
        label="Abort",
        icon="stop",
        told="Each operation that has not ended is aborted, and what waits for it too. What it did so far stays done.",
        suits=lambda: Q(state__in=NON_TERMINAL),
        perform=_abort,
        is_grave=True,
    ),
)


def register() -> None:
    """Join the console; called once, when the app is ready."""
    register_listing(OPERATIONS, SCHEDULES)
    register_acts(OPERATIONS.name, *_ACTS)
