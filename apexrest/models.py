"""What endpoints remember: recorded answers, limits set by operators, rates, the fuzzer's verdicts."""

from django.db import models

from isthmus import clock

__all__ = ["EndpointLimits", "FuzzVerdict", "RateState", "RecordedAnswer"]


class RecordedAnswer(models.Model):
    """The answer of a request that came with an `Idempotency-Key`; written in the transaction of its effect."""

    caller = models.CharField(max_length=128, help_text="User and API client: each has keys of its own.")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, address and body.")
    method = models.CharField(max_length=16)
    path = models.CharField(max_length=2_000)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    content = models.BinaryField(default=bytes)
    correlation_id = models.CharField(max_length=128, db_index=True)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="recorded_answer_once")]
        indexes = [models.Index(fields=["key"], name="recorded_answer_key")]

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status}"


class EndpointLimits(models.Model):
    """Limits that an operator set in place of those in the code."""

    mapping = models.CharField(max_length=255, unique=True, help_text="URL mapping, such as /v1/orders/*")
    max_body_bytes = models.PositiveIntegerField(null=True, blank=True)
    rate = models.CharField(max_length=40, null=True, blank=True, help_text="For each client: 100/minute, 5/10s.")
    concurrency = models.PositiveIntegerField(null=True, blank=True, help_text="Requests at the same moment.")
    ip_ranges = models.TextField(
        "IP ranges", null=True, blank=True, help_text="Networks callers may come from, one a line: 10.0.0.0/8"
    )
    max_seconds = models.FloatField(null=True, blank=True, help_text="A method that takes longer is undone.")

    class Meta:
        verbose_name = "endpoint limits"
        verbose_name_plural = "endpoint limits"
        ordering = ["mapping"]

    def __str__(self) -> str:
        return self.mapping


class RateState(models.Model):
    """How far ahead of its rate one client of one resource is."""

    key = models.CharField(max_length=384, primary_key=True)
    paid_until = models.FloatField(db_index=True, help_text="When, in seconds since 1970, all so far is paid for.")

    def __str__(self) -> str:
        return self.key


class FuzzVerdict(models.Model):
    """What the idempotency fuzzer found out about one method of one resource."""

    mapping = models.CharField(max_length=255)
    http_method = models.CharField(max_length=16)
    verdict = models.CharField(max_length=20)
    detail = models.TextField(blank=True)
    code_digest = models.CharField(
        max_length=64, help_text="Of the source that was tried; changed code is to be tried again."
    )
    tried_at = models.DateTimeField(default=clock.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mapping", "http_method"], name="one_verdict_an_endpoint")]

    def __str__(self) -> str:
        return f"{self.http_method} {self.mapping}: {self.verdict}"
