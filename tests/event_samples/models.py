"""What subscribers leave behind. Nothing is unique: an event that is handled twice shows as two rows."""

from django.db import models


class Handled(models.Model):
    subscriber = models.CharField(max_length=80)
    number = models.IntegerField()
    event_uuid = models.UUIDField()
    process = models.IntegerField()

    def __str__(self):
        return f"{self.subscriber} {self.number}"
