"""Begins and ceases to capture the changes of an object while everything runs."""

from django.db import router, transaction
from django.dispatch import Signal

from isthmus.audit import actions as audit
from isthmus.objects.capture.triggers.installing import install_triggers
from isthmus.objects.models import ChangeTracking
from isthmus.objects.object_types import ObjectType

__all__ = ["as_declared", "switch", "tracking_switched"]

tracking_switched = Signal()
"""Sent in the transaction of the switch, with `object_type` and `is_on`."""


def switch(object_type: ObjectType, *, is_on: bool) -> None:
    """Capture the changes of the object's records from now on, or cease to, whatever the code says.

    Raises `ValueError` for an object without a table.
    """
    ChangeTracking.objects.update_or_create(object_name=object_type.api_name, defaults={"is_on": is_on})
    _apply(object_type, is_on=is_on)


def as_declared(object_type: ObjectType) -> None:
    """Do again what the code says."""
    ChangeTracking.objects.filter(object_name=object_type.api_name).delete()
    _apply(object_type, is_on=object_type.track_changes)


def _apply(object_type: ObjectType, *, is_on: bool) -> None:
    if object_type.model is None:
        raise ValueError(f"{object_type.api_name} has no table.")
    using = router.db_for_write(object_type.model)
    with transaction.atomic(using=using):
        install_triggers(object_type, using, noting=is_on)
        audit.record("objects.tracking_switched", target=object_type.api_name, details={"is_on": is_on})
        tracking_switched.send(sender=ChangeTracking, object_type=object_type, is_on=is_on)
