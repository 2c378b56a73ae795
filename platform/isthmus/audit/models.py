"""The entries of the audit trail, and the head of their chain."""

from typing import Any

from django.db import models

from isthmus import clock
from isthmus.audit.errors import AppendOnly

__all__ = ["AuditChain", "AuditEntry", "AuditOutcome"]


class AuditOutcome(models.TextChoices):
    """How it ended."""

    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class _EntryQuerySet(models.QuerySet["AuditEntry"]):
    def update(self, **kwargs: Any) -> int:
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly


class AuditEntry(models.Model):
    """What happened, sealed by a hash over itself and the entry before it.

    Users are named, not referenced: an entry outlives them. The database refuses changes too (triggers).
    """

    sequence = models.BigIntegerField(primary_key=True, help_text="Place in the chain, without gaps.")
    occurred_at = models.DateTimeField(default=clock.now, db_index=True)
    action = models.CharField(max_length=80, db_index=True)
    outcome = models.CharField(max_length=10, choices=AuditOutcome.choices, default=AuditOutcome.DONE)
    actor = models.CharField(max_length=150, blank=True, db_index=True, help_text="User name; empty: the platform.")
    actor_id = models.CharField(max_length=40, blank=True)
    target = models.CharField(max_length=255, blank=True, db_index=True)
    correlation_id = models.CharField(max_length=128, blank=True)
    details = models.JSONField(default=dict, blank=True)
    previous_hash = models.CharField(max_length=64)
    entry_hash = models.CharField(max_length=64)

    objects = _EntryQuerySet.as_manager()

    class Meta:
        ordering = ["-sequence"]
        verbose_name_plural = "audit trail"

    def __str__(self) -> str:
        return f"{self.sequence} {self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert. Raises `AppendOnly` for an entry that is there."""
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly


class AuditChain(models.Model):
    """Where the chain ends, and up to where it was shortened. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    head_sequence = models.BigIntegerField(default=0)
    head_hash = models.CharField(max_length=64, blank=True)
    head_seal = models.CharField(max_length=64, blank=True, help_text="Shows that the head was not set back.")
    kept_from = models.BigIntegerField(default=1, help_text="The first entry that is still kept.")
    verified_sequence = models.BigIntegerField(default=0)
    verified_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "audit chain"

    def __str__(self) -> str:
        return f"up to {self.head_sequence}"
