"""Background operations, their log, their schedule; leases and heartbeats of the platform's processes."""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from isthmus import clock, ids
from isthmus.jobs import registry
from isthmus.jobs.cron import is_cron
from isthmus.jobs.errors import JobRefused
from isthmus.jobs.querysets import JobQuerySet
from isthmus.jobs.states import NON_TERMINAL, RUNNING, TERMINAL, JobState

__all__ = [
    "NON_TERMINAL",
    "RUNNING",
    "TERMINAL",
    "Job",
    "JobLogLine",
    "JobState",
    "Lease",
    "ProcessHeartbeat",
    "Schedule",
]


class Job(models.Model):
    """One background operation. State changes go through `isthmus.jobs.transitions` only."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    kind = models.CharField(max_length=40, default="Queueable")
    function = models.CharField(max_length=255, help_text="Dotted name of the function.")
    arguments = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    reason = models.TextField(blank=True, help_text="Why it holds, failed or was aborted.")

    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker took it.")
    failures = models.PositiveIntegerField(default=0, help_text="How many attempts ended with an error.")
    worker_deaths = models.PositiveIntegerField(default=0, help_text="How many attempts ended with their worker.")
    max_attempts = models.PositiveIntegerField(default=1)
    run_at = models.DateTimeField(default=clock.now, help_text="Not started before.")
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last woken for it.")

    lease_holder = models.CharField(max_length=160, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fencing_token = models.PositiveBigIntegerField(default=0, help_text="Grows with each lease; old holders lose.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Class and message of the last error.")
    error_trace = models.TextField(blank=True)

    correlation_id = models.CharField(max_length=128, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=True
    )
    after = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="followers")
    unique_key = models.CharField(max_length=255, blank=True)
    subject_type = models.CharField(max_length=80, blank=True, help_text="What it is about, for links.")
    subject_id = models.CharField(max_length=80, blank=True)

    created_at = models.DateTimeField(default=clock.now)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When its first attempt began.")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = "background operation"
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=~Q(unique_key="") & Q(state__in=NON_TERMINAL),
                name="one_live_job_per_key",
            ),
        ]
        indexes = [
            models.Index(fields=["run_at"], condition=Q(state=JobState.QUEUED), name="job_due"),
            models.Index(fields=["lease_expires_at"], condition=Q(state__in=RUNNING), name="job_leased"),
            models.Index(fields=["state", "-created_at"], name="job_state_created"),
            models.Index(fields=["-created_at"], name="job_created"),
            models.Index(fields=["finished_at"], condition=Q(state__in=TERMINAL), name="job_finished"),
            models.Index(fields=["correlation_id"], name="job_correlation"),
            models.Index(fields=["subject_id", "subject_type"], name="job_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.function} ({self.state})"

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job: an outside system that honours it acts once."""
        return f"job-{self.pk}"


class JobLogLine(models.Model):
    """A line that a running job wrote about itself."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="log_lines")
    attempt = models.PositiveIntegerField()
    message = models.TextField()
    fields = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.message


class Schedule(models.Model):
    """Enqueues a function again and again. Runs that were missed are not caught up; runs never overlap."""

    name = models.CharField(max_length=80, unique=True)
    function = models.CharField(max_length=255, help_text="Dotted name of a function declared with @queueable.")
    arguments = models.JSONField(default=dict, blank=True)
    cron = models.CharField(max_length=80, blank=True, help_text="Five fields, in UTC: `17 3 * * *`.")
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    next_run_at = models.DateTimeField(null=True, blank=True, help_text="Empty: worked out at the next sweep.")
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(~Q(cron="") & Q(interval_seconds__isnull=True))
                | (Q(cron="") & Q(interval_seconds__isnull=False, interval_seconds__gt=0)),
                name="schedule_cron_or_interval",
                violation_error_message="Give either a cron expression or an interval.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.cron and not is_cron(self.cron):
            raise ValidationError({"cron": "This is not a cron expression of five fields."})
        try:
            registry.find(self.function).accept(self.arguments)
        except JobRefused as error:
            raise ValidationError({"function": error.message}) from error

    @property
    def interval(self) -> timedelta | None:
        return timedelta(seconds=self.interval_seconds) if self.interval_seconds else None


class Lease(models.Model):
    """Who leads where one leader is needed. Use `isthmus.jobs.leases`."""

    name = models.CharField(max_length=120, unique=True)
    holder = models.CharField(max_length=160, blank=True)
    fencing_token = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'nobody'}"


class ProcessHeartbeat(models.Model):
    """The last sign of life of a process. Use `isthmus.jobs.processes`."""

    class Kind(models.TextChoices):
        WORKER = "worker"
        BUS = "bus"
        WEB = "web"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    name = models.CharField(max_length=160)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=clock.now)
    beat_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="one_heartbeat_per_process")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
