"""What charts are drawn from: figures of short periods and of hours, and how far each series is rolled up."""

from django.db import models

__all__ = ["SeriesPeriod", "SeriesProgress", "Width"]


class Width(models.IntegerChoices):
    """How long a period is, in seconds."""

    FINE = 300, "Five minutes"
    HOUR = 3_600, "An hour"


class SeriesPeriod(models.Model):
    """What happened of one kind within one period."""

    series = models.CharField(max_length=60)
    width_seconds = models.PositiveIntegerField(choices=Width.choices)
    scope = models.CharField(max_length=300, blank=True, help_text="What it belongs to; empty: everything together.")
    starts_at = models.DateTimeField()
    kind = models.CharField(max_length=120, blank=True, help_text="Outcome or cause.")
    number = models.PositiveBigIntegerField(default=0)
    buckets = models.JSONField(default=dict, help_text="How many durations fell into each bucket.")

    class Meta:
        ordering = ["series", "width_seconds", "scope", "starts_at", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["series", "width_seconds", "scope", "starts_at", "kind"], name="series_period_once"
            )
        ]
        indexes = [models.Index(fields=["series", "width_seconds", "starts_at"], name="series_period_time")]

    def __str__(self) -> str:
        return f"{self.series} {self.scope} {self.starts_at:%Y-%m-%d %H:%M} {self.kind}: {self.number}"


class SeriesProgress(models.Model):
    """Until when the raw rows of a series are rolled up. Moves in the transaction that writes the periods."""

    series = models.CharField(max_length=60, primary_key=True)
    rolled_until = models.DateTimeField()
    rolled_at = models.DateTimeField(help_text="When that was.")

    class Meta:
        verbose_name_plural = "series progress"

    def __str__(self) -> str:
        return f"{self.series} until {self.rolled_until:%Y-%m-%d %H:%M}"
