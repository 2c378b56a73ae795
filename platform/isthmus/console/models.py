"""Bulk actions that somebody asked for, and the rows that could not be acted on; figures are beside (`rollups`)."""

from django.conf import settings
from django.db import models

from isthmus import clock, ids
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress, Width

__all__ = ["BulkOperation", "BulkRefusal", "SeriesPeriod", "SeriesProgress", "Width"]


class BulkOperation(models.Model):
    """One action on many rows of a list. How far it is stands here, so that no row is acted on twice."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    listing = models.CharField(max_length=60)
    act = models.CharField(max_length=60)
    filters = models.JSONField(default=dict, help_text="What narrowed the list, as in its page's address.")
    keys = models.JSONField(null=True, help_text="The rows that were chosen one by one; empty: all that match.")
    asked_at = models.DateTimeField(help_text="When the rows were shown; what has come since is left alone.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    total = models.PositiveIntegerField(help_text="How many rows there were to act on.")
    done = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    last_key = models.CharField(max_length=255, blank=True, help_text="The last row that was looked at.")
    url = models.CharField(max_length=255, blank=True, help_text="The page of what does it.")
    created_at = models.DateTimeField(default=clock.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at"], name="bulk_newest"),
            models.Index(fields=["created_at"], condition=models.Q(finished_at=None), name="bulk_under_way"),
        ]
        constraints = [
            # A preview is of one moment, so its button begins one operation, however often it is pressed.
            models.UniqueConstraint(fields=["user", "listing", "act", "asked_at"], name="bulk_begun_once")
        ]

    def __str__(self) -> str:
        return f"{self.act} {self.listing}"


class BulkRefusal(models.Model):
    """A row that was left as it is, and why."""

    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="refusals")
    key = models.CharField(max_length=255)
    title = models.CharField(max_length=255)
    reason = models.TextField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["operation", "key"], name="bulk_refused_once")]

    def __str__(self) -> str:
        return f"{self.title}: {self.reason}"
