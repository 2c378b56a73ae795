"""The integration log: what was sent and what came back, both sides, redacted."""

from django.conf import settings
from django.db import models

from callouts.querysets import IntegrationLogQuerySet
from isthmus import clock, ids

__all__ = ["Direction", "IntegrationLogEntry", "Outcome"]


class Outcome(models.TextChoices):
    """How an exchange ended."""

    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    IN_DOUBT = "in_doubt", "In doubt"
    REFUSED = "refused", "Refused"


class Direction(models.TextChoices):
    """Who asked whom."""

    OUTBOUND = "outbound", "Outbound"
    INBOUND = "inbound", "Inbound"


class IntegrationLogEntry(models.Model):
    """One exchange with an outside system.

    An outbound entry is written before the request leaves, as in doubt, and completed afterwards: what a crash leaves
    behind is the truth. Headers and bodies are redacted and capped before they get here.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.OUTBOUND)
    operation = models.CharField(
        max_length=255, blank=True, help_text="What the exchange is for, in the caller's words."
    )
    named_credential = models.CharField(max_length=80, blank=True)
    principal = models.CharField(max_length=160, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    record_id = models.CharField(max_length=64, blank=True, help_text="Id of the record that the exchange is about.")
    correlation_id = models.CharField(max_length=128, blank=True)
    job_id = models.UUIDField(null=True, blank=True)
    invocation_id = models.UUIDField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=1, help_text="Which attempt of the job this was.")
    method = models.CharField(max_length=16)
    url = models.TextField()
    request_headers = models.JSONField(default=dict, blank=True)
    request_body = models.TextField(blank=True)
    response_headers = models.JSONField(default=dict, blank=True)
    response_body = models.TextField(blank=True)
    status_code = models.PositiveIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.IN_DOUBT)
    error_code = models.CharField(max_length=80, blank=True)
    error_message = models.TextField(blank=True)
    started_at = models.DateTimeField(default=clock.now)
    duration_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty while the request is under way, or for ever when its process died."
    )

    objects = IntegrationLogQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        verbose_name = "integration log entry"
        verbose_name_plural = "integration log"
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="log_newest_first"),
            models.Index(fields=["outcome", "-started_at"], name="log_by_outcome"),
            models.Index(fields=["named_credential", "-started_at"], name="log_by_credential"),
            models.Index(fields=["correlation_id"], name="log_by_correlation"),
            models.Index(fields=["record_id"], name="log_by_record", condition=~models.Q(record_id="")),
            models.Index(fields=["job_id"], name="log_by_job", condition=models.Q(job_id__isnull=False)),
            models.Index(
                fields=["invocation_id"], name="log_by_invocation", condition=models.Q(invocation_id__isnull=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(outcome__in=Outcome.values), name="log_outcome_known"),
            models.CheckConstraint(condition=models.Q(direction__in=Direction.values), name="log_direction_known"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url}"

    @property
    def is_under_way(self) -> bool:
        """Whether the exchange has no end yet: it is being sent, or its process died meanwhile."""
        return self.duration_ms is None
