"""What the record API remembers: which records callers looked at."""

from django.conf import settings
from django.db import models

__all__ = ["RecentRecord"]


class RecentRecord(models.Model):
    """A record that a user looked at, and when last."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    object_name = models.CharField(max_length=80)
    record_pk = models.BigIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "object_name", "record_pk"], name="recent_record_once"),
        ]
        indexes = [models.Index(fields=["user", "-seen_at"], name="recent_record_newest")]

    def __str__(self) -> str:
        return f"{self.object_name} {self.record_pk}"
