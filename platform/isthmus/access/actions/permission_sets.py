"""Grant and revoke, assign and unassign. Each may be repeated: the second time changes nothing."""

from collections.abc import Iterable

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from isthmus.access import auditing, policy
from isthmus.access.errors import UnknownGrantTarget
from isthmus.access.models import Grant, PermissionSet, PermissionSetAssignment
from isthmus.access.registry import ALL_TARGETS, GrantKey, grant_kind

__all__ = ["assign", "check_grant", "ensure_permission_set", "grant", "revoke", "unassign"]


def check_grant(kind: str, action: str, target: str) -> None:
    """Raise what is wrong with a grant: `UnknownGrantKind`, `UnknownGrantAction` or `UnknownGrantTarget`."""
    known = grant_kind(kind)
    known.actions_that_give(action)
    if target == ALL_TARGETS:
        return
    targets = set(known.targets())
    owner, dot, rest = target.partition(".")
    if target in targets:
        return
    if dot and rest == ALL_TARGETS and any(name.startswith(f"{owner}.") for name in targets):
        return
    raise UnknownGrantTarget(f"{known.label}: there is no {target!r}.")


def grant(permission_set: PermissionSet, kind: str, action: str, target: str) -> Grant:
    """Let the permission set allow `action` on `target`. Raises `GrantRefused` when that makes no sense.

    A user object that already asked for a permission keeps its answer until `policy.forget_grants`.
    """
    check_grant(kind, action, target)
    given, _ = Grant.objects.get_or_create(permission_set=permission_set, kind=kind, action=action, target=target)
    return given


def revoke(permission_set: PermissionSet, kind: str, action: str, target: str) -> None:
    """Take a grant away, if it is there."""
    permission_set.grants.filter(kind=kind, action=action, target=target).delete()


def assign(permission_set: PermissionSet, user: AbstractUser) -> None:
    """Give the permission set to the user."""
    PermissionSetAssignment.objects.get_or_create(permission_set=permission_set, user_id=user.pk)
    policy.forget_grants(user)


def unassign(permission_set: PermissionSet, user: AbstractUser) -> None:
    """Take the permission set from the user."""
    PermissionSetAssignment.objects.filter(permission_set=permission_set, user_id=user.pk).delete()
    policy.forget_grants(user)


@transaction.atomic
def ensure_permission_set(name: str, label: str, grants: Iterable[GrantKey] = ()) -> PermissionSet:
    """Return the permission set `name`, made or relabelled as needed, with at least these grants.

    Grants it has beyond `grants` stay. Raises `GrantRefused`, and changes nothing, when one makes no sense.
    """
    wanted = list(grants)
    for kind, action, target in wanted:
        check_grant(kind, action, target)
    permission_set, _ = PermissionSet.objects.update_or_create(name=name, defaults={"label": label})
    held = set(permission_set.grants.values_list("kind", "action", "target"))
    auditing.note_granted(permission_set, sorted(set(wanted) - held))
    Grant.objects.bulk_create(
        [
            Grant(permission_set=permission_set, kind=kind, action=action, target=target)
            for kind, action, target in wanted
        ],
        ignore_conflicts=True,
    )
    return permission_set
