"""The queue of callouts, and batches of them."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from callouts.queue.querysets import QueuedCalloutQuerySet
from callouts.queue.states import AWAITS_DECISION, BLOCKS_ORDER, NOT_ENDED, QueueState
from isthmus import causes, clock

__all__ = ["BatchChunk", "BatchState", "CalloutBatch", "QueueState", "QueuedCallout"]


class BatchState(models.TextChoices):
    """Where a batch is."""

    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    PARTLY_FAILED = "partly_failed", "Partly failed"
    CANCELLED = "cancelled", "Cancelled"


class CalloutBatch(models.Model):
    """Many records that go out in chunks, one callout each."""

    operation = models.CharField(max_length=255)
    function = models.CharField(max_length=255, help_text="Dotted name of the function that builds a chunk's request.")
    read_function = models.CharField(
        max_length=255, blank=True, help_text="Dotted name of the function that finds single failures in an answer."
    )
    context = models.JSONField(null=True, blank=True, help_text="What the functions are given beside the records.")
    is_idempotent = models.BooleanField(default=False, help_text="Whether each chunk has an idempotency key.")
    state = models.CharField(max_length=16, choices=BatchState.choices, default=BatchState.RUNNING)
    total = models.PositiveIntegerField(help_text="How many records it has.")
    chunk_size = models.PositiveIntegerField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    user_name = models.CharField(max_length=150, blank=True, help_text="Whose permissions count.")
    correlation_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "callout batch"
        verbose_name_plural = "callout batches"
        indexes = [models.Index(fields=["-created_at", "-id"], name="callout_batch_newest_first")]
        constraints = [models.CheckConstraint(condition=Q(state__in=BatchState.values), name="batch_state_known")]

    def __str__(self) -> str:
        return f"{self.operation} #{self.pk}"


class BatchChunk(models.Model):
    """Some records of a batch, which go out together."""

    batch = models.ForeignKey(CalloutBatch, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    records = models.JSONField(help_text="Ids of its records, in order.")
    size = models.PositiveIntegerField()
    is_built = models.BooleanField(default=False, help_text="Whether its callout was enqueued, or could not be built.")
    error = models.TextField(blank=True, help_text="Why its request could not be built, or its answer not be read.")
    failures = models.JSONField(default=dict, blank=True, help_text="Why single records failed, by their id.")
    failed = models.PositiveIntegerField(default=0, help_text="How many single records failed.")
    is_read = models.BooleanField(default=False, help_text="Whether its answer was looked at.")

    class Meta:
        ordering = ["batch", "number"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="batch_chunk_once")]

    def __str__(self) -> str:
        return f"{self.batch} chunk {self.number}"


class QueuedCallout(models.Model):
    """A callout that was asked for in a transaction and leaves after it. States change in `transitions` only."""

    operation = models.CharField(max_length=255, help_text="What it is for, in the caller's words.")
    named_credential = models.CharField(max_length=80)
    method = models.CharField(max_length=16)
    url = models.TextField(help_text="callout:Name/path?query")
    headers = models.JSONField(default=dict, blank=True)
    body = models.BinaryField(default=b"", blank=True)
    timeout_seconds = models.FloatField(null=True, blank=True, help_text="Empty: the default.")
    idempotency_key = models.CharField(max_length=255, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    user_name = models.CharField(
        max_length=150, blank=True, help_text="Whose permissions count; empty: the automated process."
    )
    record_id = models.CharField(max_length=64, blank=True)
    order_key = models.CharField(
        max_length=255, blank=True, help_text="Callouts of the same key leave one after the other."
    )
    invocation_id = models.UUIDField(null=True, blank=True)
    correlation_id = models.CharField(max_length=128, blank=True)
    cause = models.CharField(
        max_length=causes.MAX_LENGTH, blank=True, help_text="What it was asked for in, such as `operation:0198…`."
    )

    retry_delays = models.JSONField(null=True, blank=True, help_text="Empty: those of the destination.")
    on_success = models.CharField(max_length=255, blank=True)
    on_failure = models.CharField(max_length=255, blank=True)
    probe = models.CharField(max_length=255, blank=True, help_text="Asks the other side whether it acted.")
    context = models.JSONField(null=True, blank=True, help_text="What those functions are given besides.")

    state = models.CharField(max_length=12, choices=QueueState.choices, default=QueueState.WAITING)
    reason = models.TextField(blank=True, help_text="Why it is where it is.")
    due_at = models.DateTimeField(default=clock.now, help_text="Does not leave before.")
    attempts = models.PositiveIntegerField(default=0, help_text="How often a worker took it.")
    tries = models.PositiveIntegerField(default=0, help_text="How far it has come on its ladder of retries.")
    worker_deaths = models.PositiveIntegerField(default=0)
    is_trial = models.BooleanField(default=False, help_text="Leaves to find out whether its credential is mended.")
    lease_holder = models.CharField(max_length=160, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    fencing_token = models.PositiveBigIntegerField(default=0)
    status_code = models.PositiveIntegerField(null=True, blank=True, help_text="Of its latest answer.")
    answer_headers = models.JSONField(default=dict, blank=True)
    answer_body = models.BinaryField(default=b"", blank=True, help_text="Kept until its functions have seen it.")

    edited_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="edited_into"
    )
    chunk = models.ForeignKey(BatchChunk, null=True, blank=True, on_delete=models.CASCADE, related_name="callouts")
    created_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is in a state that it stays in.")

    objects = QueuedCalloutQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "queued callout"
        indexes = [
            models.Index(fields=["due_at", "id"], condition=Q(state=QueueState.WAITING), name="queued_callout_due"),
            models.Index(
                fields=["lease_expires_at"], condition=Q(state=QueueState.SENDING), name="queued_callout_leased"
            ),
            models.Index(
                fields=["order_key", "id"],
                condition=~Q(order_key="") & Q(state__in=BLOCKS_ORDER),
                name="queued_callout_order",
            ),
            models.Index(
                fields=["named_credential", "state"],
                condition=Q(state__in=NOT_ENDED),
                name="queued_callout_destination",
            ),
            models.Index(
                fields=["state", "-ended_at"], condition=Q(state__in=AWAITS_DECISION), name="queued_callout_dead"
            ),
            models.Index(fields=["-created_at", "-id"], name="queued_callout_newest"),
            models.Index(fields=["ended_at"], name="queued_callout_ended"),
            models.Index(fields=["correlation_id"], name="queued_callout_correlation"),
            models.Index(fields=["record_id"], condition=~Q(record_id=""), name="queued_callout_record"),
            models.Index(fields=["idempotency_key"], condition=~Q(idempotency_key=""), name="queued_callout_key"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=QueueState.values), name="queued_callout_state_known")
        ]

    def __str__(self) -> str:
        return f"{self.operation} #{self.pk}"

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it again is known to be safe."""
        return bool(self.idempotency_key) or self.method in {"GET", "HEAD", "OPTIONS"}

    @property
    def wants_answer(self) -> bool:
        """Whether somebody is to see its answer."""
        return bool(self.on_success or self.on_failure or self.chunk_id)

    def as_dict(self) -> dict[str, Any]:
        """Return what names it in logs and audits."""
        return {"queued_callout": self.pk, "operation": self.operation, "named_credential": self.named_credential}
