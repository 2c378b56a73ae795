"""What the vault itself keeps: how each key is recognised, and wrapped data keys."""

from django.db import models

from isthmus import clock

__all__ = ["DataKey", "KeyCheck"]


class KeyCheck(models.Model):
    """A known text under a key: another key that bears the same id is recognised before it does harm."""

    key_id = models.CharField(max_length=32, primary_key=True)
    sealed_check = models.TextField()
    first_seen_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["first_seen_at"]

    def __str__(self) -> str:
        return self.key_id


class DataKey(models.Model):
    """A data key as the transit engine has wrapped it; the newest one seals."""

    key_id = models.CharField(max_length=32, primary_key=True)
    wrapped = models.TextField(help_text="`vault:v1:…`: only the transit engine can unwrap it.")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.key_id
