"""The roles that come with the platform: permission sets that are made once and belong to the operator from then on."""

from dataclasses import dataclass
from typing import Any

from django.db import connections, router, transaction

from isthmus.access.models import Grant, PermissionSet, ShippedPermissionSet
from isthmus.access.registry import ALL_TARGETS, GrantKey

__all__ = ["ROLES", "Role", "make_missing", "make_missing_after_migration"]


@dataclass(frozen=True, kw_only=True)
class Role:
    """A permission set as it is shipped."""

    name: str
    label: str
    description: str
    grants: tuple[GrantKey, ...]


ROLES = (
    Role(
        name="Console_Viewer",
        label="Console viewer",
        description="Sees every page of the console, bodies and payloads included, and changes nothing.",
        grants=(("console", "view", ALL_TARGETS),),
    ),
    Role(
        name="Console_Operator",
        label="Console operator",
        description="Sees every page and acts: retries, aborts, resends, pauses, decides what is in doubt.",
        grants=(("console", "view", ALL_TARGETS), ("console", "operate", ALL_TARGETS)),
    ),
    Role(
        name="Console_Administrator",
        label="Console administrator",
        description="Sees, acts, and sets up: users, permission sets, credentials, services, events, schedules.",
        grants=(
            ("console", "view", ALL_TARGETS),
            ("console", "operate", ALL_TARGETS),
            ("console", "administer", ALL_TARGETS),
            ("setup", "manage", ALL_TARGETS),
        ),
    ),
)


def make_missing_after_migration(*, using: str, **_: Any) -> None:
    """Receive `post_migrate`, which Django also sends after it emptied the tables (`flush`)."""
    is_ours = using == router.db_for_write(PermissionSet)
    if is_ours and ShippedPermissionSet._meta.db_table in connections[using].introspection.table_names():
        make_missing()


@transaction.atomic
def make_missing() -> None:
    """Make the roles that were never made here. One that was changed or deleted since stays as it is.

    The audit trail tells of what people grant; nobody holds these yet.
    """
    made_before = set(ShippedPermissionSet.objects.values_list("name", flat=True))
    for role in ROLES:
        if role.name not in made_before:
            ShippedPermissionSet.objects.create(name=role.name)
            _make(role)


def _make(role: Role) -> None:
    permission_set, is_new = PermissionSet.objects.get_or_create(
        name=role.name, defaults={"label": role.label, "description": role.description}
    )
    if is_new:
        Grant.objects.bulk_create(
            Grant(permission_set=permission_set, kind=kind, action=action, target=target)
            for kind, action, target in role.grants
        )
