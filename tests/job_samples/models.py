"""What sample jobs leave behind."""

from django.db import models


class Effect(models.Model):
    """One row for each time that a sample's effect was committed."""

    name = models.CharField(max_length=80)
    attempt = models.IntegerField()

    def __str__(self):
        return self.name
