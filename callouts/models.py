"""The integration log, what it masks, and what is known of each destination: its limits and its circuit breaker."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from callouts import redaction_rules, retrying
from callouts.querysets import IntegrationLogQuerySet
from credentials.models import NamedCredential
from isthmus import causes, clock, ids

__all__ = ["BreakerState", "Destination", "Direction", "IntegrationLogEntry", "Outcome", "RedactionRule", "Resolution"]


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
    NOTED = "noted", "Noted by code"


class Resolution(models.TextChoices):
    """What a person found out about an exchange that was in doubt or had failed."""

    ACTED = "acted", "The other side acted"
    NOT_ACTED = "not_acted", "The other side did not act"
    NO_MATTER = "no_matter", "It does not matter"


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
    cause = models.CharField(
        max_length=causes.MAX_LENGTH, blank=True, help_text="What a callout was made in, such as `event:17`."
    )
    idempotency_key = models.CharField(
        max_length=255, blank=True, help_text="As the request carried it, unless a rule masks the header."
    )
    job_id = models.UUIDField(null=True, blank=True)
    invocation_id = models.UUIDField(null=True, blank=True)
    queued_callout_id = models.BigIntegerField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=1, help_text="Which attempt of the job or queued callout this was.")
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
    dns_ms = models.FloatField("name look-up", null=True, blank=True, help_text="Empty on a kept connection.")
    connect_ms = models.FloatField("connection", null=True, blank=True, help_text="Empty on a kept connection.")
    tls_ms = models.FloatField("TLS handshake", null=True, blank=True, help_text="Empty on a kept connection.")
    first_byte_ms = models.FloatField(
        "first byte", null=True, blank=True, help_text="From the request's last byte to the answer's first."
    )
    resolution = models.CharField(
        max_length=16, blank=True, choices=Resolution.choices, help_text="What a person found out."
    )
    resolution_note = models.TextField(blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
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
            models.Index(fields=["direction", "-started_at"], name="log_by_direction"),
            # What is under way is not in it, so that a callout that succeeds costs nothing here.
            models.Index(
                fields=["named_credential", "-started_at"],
                name="log_gone_wrong",
                condition=models.Q(outcome__in=["failed", "in_doubt"], duration_ms__isnull=False),
            ),
            models.Index(
                fields=["operation", "-started_at"], name="log_by_endpoint", condition=models.Q(direction="inbound")
            ),
            models.Index(fields=["correlation_id"], name="log_by_correlation"),
            models.Index(fields=["record_id"], name="log_by_record", condition=~models.Q(record_id="")),
            models.Index(fields=["job_id"], name="log_by_job", condition=models.Q(job_id__isnull=False)),
            models.Index(
                fields=["idempotency_key"], name="log_by_idempotency_key", condition=~models.Q(idempotency_key="")
            ),
            models.Index(
                fields=["invocation_id"], name="log_by_invocation", condition=models.Q(invocation_id__isnull=False)
            ),
            models.Index(
                fields=["queued_callout_id", "attempt"],
                name="log_by_queued_callout",
                condition=models.Q(queued_callout_id__isnull=False),
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

    @property
    def is_unresolved(self) -> bool:
        """Whether a person has to find out what became of it."""
        return self.outcome == Outcome.IN_DOUBT and not self.resolution


class RedactionRule(models.Model):
    """What else the log masks, besides what goes by a name that is known for secrets."""

    class Kind(models.TextChoices):
        """Where a rule looks."""

        HEADER = "header", "Header or parameter of this name"
        JSON_PATH = "json_path", "JSON path (RFC 9535), such as $.customer.iban"
        PATTERN = "pattern", "Pattern (regular expression) anywhere"

    named_credential = models.ForeignKey(
        NamedCredential,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: for every exchange.",
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    expression = models.CharField(max_length=500)

    class Meta:
        ordering = ["named_credential__name", "kind", "expression"]
        constraints = [
            models.UniqueConstraint(fields=["named_credential", "kind", "expression"], name="redaction_rule_once"),
            # To a unique constraint an empty column differs from every other.
            models.UniqueConstraint(
                fields=["kind", "expression"],
                name="redaction_rule_everywhere_once",
                condition=models.Q(named_credential__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.expression}"

    def clean(self) -> None:
        if wrong := redaction_rules.what_is_wrong(self.kind, self.expression):
            raise ValidationError({"expression": wrong})


class BreakerState(models.TextChoices):
    """Whether callouts to a destination go out."""

    CLOSED = "closed", "Closed"
    OPEN = "open", "Open"
    HALF_OPEN = "half_open", "Half-open"


class Destination(models.Model):
    """How callouts treat the system behind one named credential, and what they have lately seen of it.

    All processes share the row. One that was never needed is not there: then the defaults hold and the breaker is
    closed.
    """

    named_credential = models.OneToOneField(
        NamedCredential, on_delete=models.CASCADE, primary_key=True, related_name="destination"
    )
    retry_delays = models.JSONField(
        null=True,
        blank=True,
        help_text="Seconds before each attempt of a queued callout, as a list; empty: the usual ladder.",
    )
    max_per_second = models.FloatField(
        null=True, blank=True, help_text="Queued callouts that leave in a second, all processes together."
    )
    max_at_once = models.PositiveIntegerField(
        null=True, blank=True, help_text="Queued callouts under way at a time, all processes together."
    )
    breaker_threshold = models.PositiveIntegerField(
        default=10, help_text="Failures in a row that open the circuit breaker; 0 turns it off."
    )
    breaker_seconds = models.FloatField(
        default=30.0, help_text="How long it stays open before one callout may try; doubles up to ten minutes."
    )
    is_dry_run = models.BooleanField(
        "dry run", default=False, help_text="Queued callouts are logged and not sent; direct ones are refused."
    )

    breaker = models.CharField(max_length=10, choices=BreakerState.choices, default=BreakerState.CLOSED, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Failures in a row.")
    openings = models.PositiveIntegerField(default=0, editable=False, help_text="How often it opened in a row.")
    opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    trial_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When the next trial may leave.")
    last_error = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)

    not_before = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Queued callouts wait until then: the system asked for it."
    )
    held_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when it refuses who we are; queued callouts wait."
    )
    hold_reason = models.TextField(blank=True, editable=False)
    tokens = models.FloatField(default=0.0, editable=False, help_text="What the rate limit still allows.")
    tokens_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["named_credential__name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(breaker__in=BreakerState.values), name="breaker_state_known"),
            models.CheckConstraint(
                condition=models.Q(max_per_second__isnull=True) | models.Q(max_per_second__gt=0),
                name="max_per_second_positive",
                violation_error_message="A rate is a number above 0, or empty for none.",
            ),
            models.CheckConstraint(
                condition=models.Q(max_at_once__isnull=True) | models.Q(max_at_once__gt=0),
                name="max_at_once_positive",
                violation_error_message="At least one at a time, or empty for no limit.",
            ),
        ]

    def __str__(self) -> str:
        return str(self.named_credential)

    def clean(self) -> None:
        if wrong := retrying.what_is_wrong_with_delays(self.retry_delays):
            raise ValidationError({"retry_delays": wrong})
