"""What the record API keeps: the queries whose further pages are yet to come."""

from django.conf import settings
from django.db import models

__all__ = ["QueryCursor", "QueryCursorIds"]


class QueryCursor(models.Model):
    """A query with more rows than an answer holds. Its rows were found once, when it began."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    soql = models.TextField()
    include_deleted = models.BooleanField()
    child_path = models.CharField(
        max_length=40, blank=True, help_text="Which query inside SELECT it is; empty: itself."
    )
    total = models.PositiveBigIntegerField(default=0)
    used_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["user", "used_at"], name="query_cursor_of_user")]

    def __str__(self) -> str:
        return f"{self.soql[:60]} ({self.total})"


class QueryCursorIds(models.Model):
    """Some of the primary keys that a query found, in its order, as 64-bit numbers one after another."""

    cursor = models.ForeignKey(QueryCursor, on_delete=models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    keys = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cursor", "number"], name="query_cursor_piece_once")]

    def __str__(self) -> str:
        return f"{self.cursor_id}, {self.number}"
