"""How access to objects and fields is granted: the kinds `object` and `field`, and Django's model permissions.

Required and system fields come with the object; every other field is granted by itself (`Contact.Email`) or with all
its siblings (`Contact.*`).
"""

from collections.abc import Iterable, Iterator

from isthmus.access import policy
from isthmus.access.errors import PermissionRefused
from isthmus.access.policy import AnyUser
from isthmus.access.registry import GrantKey, GrantKind
from isthmus.objects import catalogue
from isthmus.objects.object_types import FieldType, ObjectType
from isthmus.objects.relationships import (
    ChildRelationship,
    ParentRelationship,
    child_of,
    child_relationships,
    parent_of,
)
from isthmus.objects.results import Operation

__all__ = [
    "FIELD_KIND",
    "OBJECT_KIND",
    "ModelPermissions",
    "can_edit_field",
    "can_read_field",
    "may",
    "may_refer_to",
    "readable_child",
    "readable_children",
    "readable_fields",
    "readable_parent",
    "require_operation",
]

_ACTIONS = {
    Operation.CREATE: ("create",),
    Operation.UPDATE: ("edit",),
    Operation.UPSERT: ("create", "edit"),
    Operation.DELETE: ("delete",),
    # Who may delete may take it back.
    Operation.UNDELETE: ("delete",),
}
_DJANGO_ACTIONS = {"add": "create", "view": "read", "change": "edit", "delete": "delete"}


def may(user: AnyUser, object_type: ObjectType, action: str) -> bool:
    """Return whether the user may `read` (without which nobody learns of the object), `create`, `edit` or `delete`."""
    if object_type.access is not None:
        return object_type.access(user, action)
    return object_type.model is None or policy.is_granted(user, "object", action, object_type.api_name)


def may_refer_to(user: AnyUser, target: ObjectType) -> bool:
    """Return whether the user may know and name the object as what a field refers to.

    Everybody may refer to users; records are not for those who may not see their kind.
    """
    return not getattr(target.model, "soft_deletes", False) or may(user, target, "read")


def require_operation(user: AnyUser, object_type: ObjectType, operation: Operation) -> None:
    """Return if the user may do this to records of the object. Raises `PermissionRefused`."""
    for action in _ACTIONS[operation]:
        if object_type.access is None:
            policy.require(user, "object", action, object_type.api_name)
        elif not object_type.access(user, action):
            raise PermissionRefused(f"{object_type} does not let this user {action} records.")


def can_read_field(user: AnyUser, object_type: ObjectType, field: FieldType) -> bool:
    """Return whether the user sees the field, given that they see the object."""
    return not field.permissionable or policy.is_granted(user, "field", "read", f"{object_type}.{field.api_name}")


def can_edit_field(user: AnyUser, object_type: ObjectType, field: FieldType) -> bool:
    """Return whether the user may set the field, given that they may write the object."""
    return not field.permissionable or policy.is_granted(user, "field", "edit", f"{object_type}.{field.api_name}")


def readable_fields(user: AnyUser, object_type: ObjectType) -> list[FieldType]:
    """Return the fields that the user sees, given that they see the object."""
    return [field for field in object_type.fields if can_read_field(user, object_type, field)]


def readable_parent(user: AnyUser, object_type: ObjectType, name: str) -> ParentRelationship | None:
    """Return the parent of that relationship name, whatever its case; `None` without one, or one for this user.

    To follow it takes the field that names the parent, and the parent's object.
    """
    found = parent_of(object_type, name)
    if found is None or not can_read_field(user, object_type, found.field) or not may(user, found.target, "read"):
        return None
    return found


def readable_child(user: AnyUser, object_type: ObjectType, name: str) -> ChildRelationship | None:
    """Return the children of that relationship name, whatever its case; `None` without any, or any for this user."""
    found = child_of(object_type, name)
    return found if found is not None and _is_readable(user, found) else None


def readable_children(user: AnyUser, object_type: ObjectType) -> list[ChildRelationship]:
    """Return everything that refers to records of the object, as far as the user sees it."""
    return [one for one in child_relationships(object_type) if _is_readable(user, one)]


def _is_readable(user: AnyUser, child: ChildRelationship) -> bool:
    return may(user, child.owner, "read") and can_read_field(user, child.owner, child.field)


def _object_targets() -> Iterable[str]:
    return [object_type.api_name for object_type in catalogue.all_objects() if _is_granted_here(object_type)]


def _field_targets() -> Iterable[str]:
    return [
        f"{object_type}.{field.api_name}"
        for object_type in catalogue.all_objects()
        if _is_granted_here(object_type)
        for field in object_type.fields
        if field.permissionable
    ]


def _is_granted_here(object_type: ObjectType) -> bool:
    return object_type.model is not None and object_type.access is None


OBJECT_KIND = GrantKind(
    name="object",
    label="Objects",
    actions=("create", "read", "edit", "delete", "view_all", "modify_all"),
    targets=_object_targets,
    implied={
        "create": ("read",),
        "edit": ("read",),
        "delete": ("read",),
        # Past record sharing: every record, whoever owns it.
        "view_all": ("read",),
        "modify_all": ("read", "edit", "delete", "view_all"),
    },
)
FIELD_KIND = GrantKind(
    name="field", label="Fields", actions=("read", "edit"), targets=_field_targets, implied={"edit": ("read",)}
)


class ModelPermissions:
    """Answers Django's model permissions of exposed models from the grants of their sObjects."""

    def grant_for(self, permission: str) -> GrantKey | None:
        """Return the grant that `app_label.codename` stands for; `None` when the model is not exposed."""
        app_label, _, codename = permission.partition(".")
        verb, _, model_name = codename.partition("_")
        action = _DJANGO_ACTIONS.get(verb)
        if action is None:
            return None
        for object_type, found_label, found_name in _exposed_models():
            if (found_label, found_name) == (app_label, model_name):
                return "object", action, object_type.api_name
        return None

    def grants_in(self, app_label: str) -> Iterator[GrantKey]:
        """Yield the grants any of which makes the app worth showing."""
        for object_type, found_label, _ in _exposed_models():
            if found_label == app_label:
                yield "object", "read", object_type.api_name


def _exposed_models() -> Iterator[tuple[ObjectType, str, str]]:
    for object_type in catalogue.all_objects():
        if object_type.model is not None and _is_granted_here(object_type):
            options = object_type.model._meta
            yield object_type, options.app_label, options.model_name or ""
