"""Whose changes are captured: what the code says, unless an administrator said otherwise."""

from typing import Any

from django.apps import apps
from django.db import models

from isthmus.objects.object_types import ObjectType

__all__ = ["is_tracked", "tracked_names"]


def is_tracked(object_type: ObjectType) -> bool:
    """Return whether changes of the object's records are captured."""
    return object_type.api_name in tracked_names([object_type])


def tracked_names(object_types: list[ObjectType]) -> set[str]:
    """Return the API names of those whose changes are captured. One query, whatever their number."""
    switches = dict(
        _switches()
        .filter(object_name__in=[found.api_name for found in object_types])
        .values_list("object_name", "is_on")
    )
    return {
        found.api_name
        for found in object_types
        if found.model is not None and switches.get(found.api_name, found.track_changes)
    }


def _switches() -> models.QuerySet[Any]:
    # By name, because the models module stands on this package.
    return apps.get_model("objects", "ChangeTracking")._base_manager.all()
