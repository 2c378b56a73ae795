"""Background operations, their log, their schedule; leases and heartbeats of the platform's processes."""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from isthmus import causes, clock, ids
from isthmus.jobs import registry
from isthmus.jobs.cron import is_cron, is_time_zone, names_a_time
from isthmus.jobs.errors import JobRefused
from isthmus.jobs.querysets import JobQuerySet
from isthmus.jobs.states import NON_TERMINAL, RUNNING, TERMINAL, JobState
from isthmus.vault.fields import EncryptedTextField

__all__ = [
    "NON_TERMINAL",
    "RUNNING",
    "TERMINAL",
    "BatchFailure",
    "BatchRun",
    "Job",
    "JobDependency",
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
    sealed_arguments = EncryptedTextField(null=True, blank=True, help_text="The secret arguments, as JSON.")  # type: ignore[misc]  # the field's type has one form; reads say None
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    reason = models.TextField(blank=True, help_text="Why it holds, failed or was aborted.")

    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker took it.")
    failures = models.PositiveIntegerField(default=0, help_text="How many attempts ended with an error.")
    worker_deaths = models.PositiveIntegerField(default=0, help_text="How many attempts ended with their worker.")
    max_attempts = models.PositiveIntegerField(default=1)
    run_at = models.DateTimeField(default=clock.now, help_text="Not started before.")
    ready_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when workers may take it; empty while it waits for its time or turn.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Not started from then on: aborted instead.")
    priority = models.SmallIntegerField(default=0, help_text="The greatest is taken first.")
    concurrency_key = models.CharField(max_length=255, blank=True, help_text="One at a time has it.")
    is_gated = models.BooleanField(default=False, help_text="It waits for its turn: a key, or a limit of its kind.")

    lease_holder = models.CharField(max_length=160, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fencing_token = models.PositiveBigIntegerField(default=0, help_text="Grows with each lease; old holders lose.")
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(null=True, blank=True)
    progress_rate = models.FloatField(null=True, blank=True, help_text="Done in a second, over the last minutes.")
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Class and message of the last error.")
    error_trace = models.TextField(blank=True)

    correlation_id = models.CharField(max_length=128, blank=True)
    cause = models.CharField(
        max_length=causes.MAX_LENGTH, blank=True, help_text="What it was begun in, such as `event:17`."
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=True
    )
    scheduled_for = models.DateTimeField(null=True, blank=True, help_text="The time of its schedule it stands for.")
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
            # Workers take from the head of this one, whatever waits for its time or its turn.
            models.Index(
                F("priority").desc(),
                F("run_at").asc(),
                F("id").asc(),
                condition=Q(state=JobState.QUEUED, ready_at__isnull=False),
                name="job_ready",
            ),
            models.Index(fields=["run_at"], condition=Q(state=JobState.QUEUED, ready_at__isnull=True), name="job_due"),
            models.Index(
                fields=["concurrency_key", "-priority", "run_at"],
                condition=Q(is_gated=True, state__in=[*NON_TERMINAL, JobState.ABORTED]),
                name="job_turn_of_key",
            ),
            models.Index(
                fields=["function", "-priority", "run_at"],
                condition=Q(is_gated=True, state__in=NON_TERMINAL),
                name="job_turn_of_function",
            ),
            models.Index(
                fields=["kind", "-priority", "run_at"],
                condition=Q(is_gated=True, state__in=NON_TERMINAL),
                name="job_turn_of_kind",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(expires_at__isnull=False, state__in=[JobState.HOLDING, JobState.QUEUED]),
                name="job_expiry",
            ),
            models.Index(fields=["lease_expires_at"], condition=Q(lease_expires_at__isnull=False), name="job_leased"),
            models.Index(fields=["state", "-created_at"], name="job_state_created"),
            models.Index(fields=["-created_at"], name="job_created"),
            models.Index(fields=["finished_at"], condition=Q(state__in=TERMINAL), name="job_finished"),
            models.Index(fields=["started_at"], condition=Q(started_at__isnull=False), name="job_started"),
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

    @property
    def milliseconds_left(self) -> float | None:
        """An estimate of how long it still takes; `None` where nothing tells."""
        if not self.is_running or not self.progress_rate or self.progress_total is None:
            return None
        return max(self.progress_total - self.progress_done, 0) / self.progress_rate * 1_000


class JobDependency(models.Model):
    """One job waits for another one. Use `isthmus.jobs.dependencies`."""

    class Condition(models.TextChoices):
        COMPLETED = "completed"
        """The predecessor must be Completed; if it fails or is aborted, the job is aborted."""
        ENDED = "ended"
        """The predecessor must have ended, however it did."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependencies")
    predecessor = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependents")
    condition = models.CharField(max_length=9, choices=Condition.choices, default=Condition.COMPLETED)
    is_finalizer = models.BooleanField(default=False, help_text="The job runs again when the predecessor is retried.")

    class Meta:
        verbose_name_plural = "job dependencies"
        constraints = [models.UniqueConstraint(fields=["job", "predecessor"], name="one_dependency_per_pair")]

    def __str__(self) -> str:
        return f"{self.job_id} after {self.predecessor_id} {self.condition}"


class BatchRun(models.Model):
    """Where a batch stands: written in the transaction of each chunk, under the fencing token of its job."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="batch")
    position = models.JSONField(null=True, blank=True, help_text="The last key, or the number of items passed.")
    last_key = models.JSONField(null=True, blank=True, help_text="The greatest key when it began: where it ends.")
    is_begun = models.BooleanField(default=False)
    is_read = models.BooleanField(default=False, help_text="Every item has been given to a chunk.")
    state = models.JSONField(default=dict, help_text="What the batch carries from chunk to chunk.")
    total = models.PositiveBigIntegerField(null=True, blank=True)
    done = models.PositiveBigIntegerField(default=0, help_text="Items in chunks that are over, failed ones too.")
    failed = models.PositiveBigIntegerField(default=0)
    chunks = models.PositiveBigIntegerField(default=0)
    failed_chunks = models.PositiveBigIntegerField(default=0)
    only_failed = models.BooleanField(default=False, help_text="It takes the failed items of `retry_of` alone.")
    retry_of = models.OneToOneField(
        Job,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="retry_of_failed",
    )

    def __str__(self) -> str:
        return f"{self.done} done, {self.failed} failed"


class BatchFailure(models.Model):
    """What failed in one chunk: all of it, or single items. One row a chunk, so that there is a bound."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="batch_failures")
    chunk = models.PositiveBigIntegerField()
    items = models.JSONField(help_text="[place, key, error] of each; an empty error: the chunk's.")
    error = models.TextField(blank=True, help_text="Why the whole chunk failed.")
    error_trace = models.TextField(blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["chunk"]
        constraints = [models.UniqueConstraint(fields=["job", "chunk"], name="one_failure_per_chunk")]

    def __str__(self) -> str:
        return f"{len(self.items)} items of chunk {self.chunk}"


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
    """Enqueues a function at set times; runs never overlap."""

    class Missed(models.TextChoices):
        """What becomes of runs whose time passed while nobody looked, or the run before was not over."""

        SKIP = "skip", "Skip them"
        ONCE = "once", "Run once for all of them"
        ALL = "all", "Run each of them, one after the other"

    name = models.CharField(max_length=80, unique=True)
    function = models.CharField(max_length=255, help_text="Dotted name of a function declared with @queueable.")
    arguments = models.JSONField(default=dict, blank=True)
    cron = models.CharField(max_length=80, blank=True, help_text="Five fields, in the time zone: `17 3 * * *`.")
    time_zone = models.CharField(
        max_length=64, default="UTC", help_text="Of the cron expression; an IANA name such as Europe/Berlin."
    )
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    once_at = models.DateTimeField(null=True, blank=True, help_text="Run once, at this moment (UTC).")
    missed = models.CharField(
        "missed runs",
        max_length=4,
        choices=Missed.choices,
        default=Missed.ONCE,
        help_text="What becomes of runs whose time passed while no worker ran.",
    )
    next_run_at = models.DateTimeField(null=True, blank=True, help_text="Empty: worked out at the next sweep.")
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    last_error = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=(~Q(cron="") & Q(interval_seconds__isnull=True, once_at__isnull=True))
                | Q(cron="", interval_seconds__isnull=False, interval_seconds__gt=0, once_at__isnull=True)
                | Q(cron="", interval_seconds__isnull=True, once_at__isnull=False),
                name="schedule_one_kind_of_time",
                violation_error_message="Give a cron expression, an interval or a moment: one of them.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.cron and not is_cron(self.cron):
            raise ValidationError({"cron": "This is not a cron expression of five fields."})
        if not is_time_zone(self.time_zone):
            raise ValidationError({"time_zone": "This is not the IANA name of a time zone, such as Europe/Berlin."})
        if self.cron and not names_a_time(self.cron):
            raise ValidationError({"cron": "No day is ever like that."})
        try:
            registry.find(self.function).accept(self.arguments, secrets=False)
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
