"""Records every change of what permission sets grant and who holds them, through whichever door it comes: screens save
these rows themselves."""

from collections.abc import Sequence
from typing import Any

from django.db.models.signals import post_delete, post_save

from isthmus.access.models import Grant, PermissionSet, PermissionSetAssignment
from isthmus.access.registry import GrantKey
from isthmus.audit import actions as audit

__all__ = ["connect", "note_granted"]

_MOST_NAMED = 100


def connect() -> None:
    """Watch the rows; called once, when the app is ready."""
    post_save.connect(_after_save, sender=Grant, dispatch_uid="isthmus.access.audit")
    post_delete.connect(_after_delete, sender=Grant, dispatch_uid="isthmus.access.audit")
    post_save.connect(_after_save, sender=PermissionSetAssignment, dispatch_uid="isthmus.access.audit")
    post_delete.connect(_after_delete, sender=PermissionSetAssignment, dispatch_uid="isthmus.access.audit")


def note_granted(permission_set: PermissionSet, grants: Sequence[GrantKey]) -> None:
    """Record grants that one statement makes, which no row tells of."""
    if grants:
        named = [f"{kind}.{action} {target}" for kind, action, target in grants[:_MOST_NAMED]]
        audit.record("access.granted", target=permission_set.name, details={"grants": named, "count": len(grants)})


def _after_save(sender: Any, instance: Grant | PermissionSetAssignment, created: bool, **_: Any) -> None:
    if not created:
        return
    if isinstance(instance, Grant):
        audit.record("access.granted", target=instance.permission_set.name, details={"grants": [str(instance)]})
    else:
        audit.record("access.assigned", target=instance.permission_set.name, details=_user(instance))


def _after_delete(sender: Any, instance: Grant | PermissionSetAssignment, **_: Any) -> None:
    if isinstance(instance, Grant):
        audit.record("access.revoked", target=instance.permission_set.name, details={"grants": [str(instance)]})
    else:
        audit.record("access.unassigned", target=instance.permission_set.name, details=_user(instance))


def _user(assignment: PermissionSetAssignment) -> dict[str, str]:
    return {"user": str(assignment.user)}
