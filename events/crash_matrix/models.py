"""What the writers say happened, and what the subscribers did. Nothing is unique: what happens twice shows twice."""

from django.db import models

__all__ = ["Effect", "Item", "Step"]


class Item(models.Model):
    """Counts its changes; whoever changes it holds it until the transaction ends."""

    sequence = models.PositiveIntegerField(default=0)

    # Said here, because the type checker's project does not install this app.
    objects: models.Manager["Item"] = models.Manager()

    def __str__(self) -> str:
        return f"{self.pk}: {self.sequence}"


class Step(models.Model):
    """A change of an item, in the transaction that made it."""

    item = models.IntegerField()
    sequence = models.PositiveIntegerField()
    event_uuid = models.UUIDField()

    objects: models.Manager["Step"] = models.Manager()

    def __str__(self) -> str:
        return f"{self.item}: {self.sequence}"


class Effect(models.Model):
    """That a subscriber handled an event, in the transaction that moved its cursor."""

    subscriber = models.CharField(max_length=20)
    item = models.IntegerField()
    sequence = models.PositiveIntegerField()
    event_uuid = models.UUIDField()

    objects: models.Manager["Effect"] = models.Manager()

    def __str__(self) -> str:
        return f"{self.subscriber} {self.item}: {self.sequence}"
