"""The pages of background operations: what runs, what waits, what failed, and what to do about it."""

import uuid

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from isthmus import clock
from isthmus.console.access import requires
from isthmus.console.filters import FilterForm
from isthmus.console.listing_views import exportable
from isthmus.console.references import as_uuid
from isthmus.console.rollups import spans
from isthmus.console.tones import Status, Tone
from isthmus.jobs import actions
from isthmus.jobs.conf import options
from isthmus.jobs.console import LOG_LINES_SHOWN, batch_of, listed, spoken_rate, status_of
from isthmus.jobs.errors import JobRefused
from isthmus.jobs.figures import charts_of
from isthmus.jobs.models import Job, ProcessHeartbeat, Schedule
from isthmus.jobs.schedules import run_now
from isthmus.jobs.showing import can_retry_failed, chain_of, failures_shown, scheduled, why_it_waits
from isthmus.jobs.states import NON_TERMINAL, JobState

__all__ = ["JobFilters", "abort", "detail", "jobs", "retry", "retry_failed", "run_schedule", "schedules"]

LIVE = "live"


class JobFilters(FilterForm[Job]):
    """Filters of background operations."""

    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "Any state"), (LIVE, "Not ended"), *JobState.choices]
    )
    kind = forms.CharField(label="Kind", required=False, max_length=40)

    def narrow(self, rows: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs that every valid filter lets through."""
        rows = super().narrow(rows)
        if state := self.given("state"):
            rows = rows.filter(state__in=NON_TERMINAL) if state == LIVE else rows.filter(state=state)
        if kind := self.given("kind"):
            rows = rows.filter(kind__iexact=kind)
        return rows

    def naming(self, text: str) -> Q:
        """Return what is true of the job of this id, and of those under this correlation or about this thing."""
        wanted = Q(correlation_id=text) | Q(subject_id=text)
        if given := as_uuid(text):
            wanted |= Q(pk=given)
        return wanted

    def matching(self, rows: QuerySet[Job], text: str) -> QuerySet[Job]:
        """Return the jobs whose function or error has the text, or that carry the id."""
        return rows.filter(Q(function__icontains=text) | Q(error__icontains=text) | self.naming(text))


@require_safe
@requires("view")
@exportable("operations")
def jobs(request: HttpRequest) -> HttpResponse:
    """List background operations, newest first."""
    filters = JobFilters(request.GET)
    page = filters.page(listed(), moment="created_at", cursor=request.GET.get("cursor", ""))
    rows = [(job, status_of(job)) for job in page.rows]
    span = spans.chosen(request.GET)
    # Charts tell of everything: beside rows that were filtered or turned over they would mislead.
    shown = [] if filters.is_narrowing or page.newer else charts_of(span)
    context = {"filters": filters, "page": page, "rows": rows, "charts": shown, "span": span, "tab": "list"}
    return render(request, "jobs/list.html", context)


@require_safe
@requires("view")
def detail(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Show one operation: progress, result or error, log lines, and the acts that its state allows."""
    job = get_object_or_404(Job.objects.select_related("user", "batch__retry_of", "retry_of_failed__job"), pk=job_id)
    run = batch_of(job)
    lines = list(job.log_lines.order_by("-pk")[: LOG_LINES_SHOWN + 1])
    return render(
        request,
        "jobs/detail.html",
        {
            "job": job,
            "status": status_of(job),
            "waits_because": why_it_waits(job),
            "batch": run,
            "failures": failures_shown(job) if run and run.failed else None,
            "chain": chain_of(job),
            "rate": spoken_rate(job.progress_rate) if job.is_running else "",
            # A template that asks for `fields.items` would get the field of that name.
            "lines": [(line, list(line.fields.items())) for line in lines[:LOG_LINES_SHOWN][::-1]],
            "has_more_lines": len(lines) > LOG_LINES_SHOWN,
            "took_milliseconds": _took_milliseconds(job),
            "can_abort": not job.is_terminal,
            "can_retry": job.state in {JobState.FAILED, JobState.ABORTED},
            "can_retry_failed": can_retry_failed(job),
        },
    )


def _took_milliseconds(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return ((job.finished_at or clock.now()) - job.started_at).total_seconds() * 1000


@require_safe
@requires("view")
@exportable("schedules")
def schedules(request: HttpRequest) -> HttpResponse:
    """Show what starts by the clock, and the processes that do the work."""
    now = clock.now()
    processes = [
        (process, _process_status((now - process.beat_at).total_seconds()))
        for process in ProcessHeartbeat.objects.all()
    ]
    context = {
        "schedules": [scheduled(each) for each in Schedule.objects.select_related("last_job__batch")],
        "processes": processes,
        "tab": "schedules",
    }
    return render(request, "jobs/schedules.html", context)


def _process_status(silent_seconds: float) -> Status:
    is_silent = silent_seconds > options.silent_seconds
    return Status("Silent", Tone.WARNING) if is_silent else Status("Alive", Tone.GOOD)


@require_POST
@requires("operate")
def abort(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """End an operation that has not ended."""
    job = get_object_or_404(Job, pk=job_id)
    try:
        actions.abort(job, request.user, request.POST.get("reason", "").strip()[:200])
    except JobRefused as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, "The operation is aborted; if it runs, it learns of it at its next checkpoint.")
    return redirect("jobs:detail", job_id=job_id)


@require_POST
@requires("operate")
def retry(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Give a failed or aborted operation fresh attempts."""
    job = get_object_or_404(Job, pk=job_id)
    try:
        actions.retry(job, request.user)
    except JobRefused as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, "The operation will be tried again.")
    return redirect("jobs:detail", job_id=job_id)


@require_POST
@requires("operate")
def retry_failed(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Add an operation over what failed in a batch, and go to it."""
    job = get_object_or_404(Job, pk=job_id)
    try:
        added = actions.retry_failed(job, request.user)
    except JobRefused as refused:
        messages.error(request, refused.message)
        return redirect("jobs:detail", job_id=job_id)
    messages.success(request, "What failed will be tried again by this operation.")
    return redirect("jobs:detail", job_id=added.pk)


@require_POST
@requires("operate")
def run_schedule(request: HttpRequest, schedule_id: int) -> HttpResponse:
    """Start a run of a schedule now, and go to it."""
    schedule = get_object_or_404(Schedule.objects.select_related("user"), pk=schedule_id)
    try:
        job = run_now(schedule, request.user)
    except JobRefused as refused:
        messages.error(request, f"{schedule.name}: {refused.message}")
        return redirect("jobs:schedules")
    messages.success(request, f"{schedule.name} runs now; its set times stay as they are.")
    return redirect("jobs:detail", job_id=job.pk)
