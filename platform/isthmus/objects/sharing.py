"""Record sharing: which records of an object a user sees and changes, given that the object itself is granted.

An object is *public*, *read-only for others*, or *private*, as the code declares it or an administrator sets it. Beyond
that a record opens to its owner; to the members of a group, by a sharing rule (`SharingRule`); and to whom a rule in
the code says, a function that returns a condition for the query. Who holds *view all* or *modify all* on the object,
superusers and the automated process see everything.

    expose(Visit, api_name="Visit__c", sharing=Sharing(default=Default.PRIVATE, owner="visitor", rule=same_region))
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.contrib.auth.models import AbstractUser
from django.db import models

from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.objects import catalogue
from isthmus.objects.conf import options
from isthmus.objects.errors import MalformedId
from isthmus.objects.object_types import ObjectType, Sharing, SharingDefault
from isthmus.objects.record_ids import decode
from isthmus.remembering import Remembered

__all__ = [
    "Sharing",
    "SharingDefault",
    "enforced",
    "explain_record",
    "explain_target",
    "forget_settings",
    "narrowed",
    "sees_everything",
    "visible",
    "without_sharing",
]

Rows = TypeVar("Rows", bound="models.QuerySet[Any]")


@dataclass(frozen=True)
class _InForce:
    """How one object is shared now."""

    default: SharingDefault
    rules: tuple[tuple[int | None, int, bool], ...]
    """Owners' group (`None`: whoever owns it), the group that is let in, whether it may edit."""


_remembered: Remembered[str, _InForce] = Remembered(lambda: options.sharing_seconds)
_enforced_for: ContextVar[AbstractUser | None] = ContextVar("isthmus_sharing_enforced_for", default=None)
_is_off: ContextVar[bool] = ContextVar("isthmus_without_sharing", default=False)


@contextmanager
def enforced(user: AnyUser) -> Iterator[None]:
    """Let `Model.objects` of exposed records return, within the block, only what `user` sees."""
    token = _enforced_for.set(user if isinstance(user, AbstractUser) else None)
    try:
        yield
    finally:
        _enforced_for.reset(token)


@contextmanager
def without_sharing() -> Iterator[None]:
    """Leave record sharing aside within the block, in queries and in the write door; grants still count."""
    token = _is_off.set(True)
    try:
        yield
    finally:
        _is_off.reset(token)


def narrowed(rows: Rows) -> Rows:
    """Return what of `rows` the user sees for whom sharing is enforced now; all of it where it is not."""
    user = _enforced_for.get()
    if user is None or _is_off.get():
        return rows
    object_type = catalogue.object_of_model(rows.model)
    return rows if object_type is None else visible(user, object_type, rows)


def visible(user: AnyUser, object_type: ObjectType, rows: Rows, action: str = "read") -> Rows:
    """Return what of `rows` the user may `read` or `edit`, as far as sharing has a say."""
    if sees_everything(user, object_type, action):
        return rows
    return rows.filter(_condition(user, object_type, action))


def sees_everything(user: AnyUser, object_type: ObjectType, action: str = "read") -> bool:
    """Return whether sharing keeps no record of the object from the user."""
    if _is_off.get() or object_type.sharing is None:
        return True
    default = _in_force(object_type).default
    if default is SharingDefault.PUBLIC or (default is SharingDefault.READ_ONLY and action == "read"):
        return True
    return policy.is_granted(user, "object", "view_all" if action == "read" else "modify_all", object_type.api_name)


def explain_record(user: AbstractUser, object_type: ObjectType, pk: int, action: str) -> tuple[bool, str]:
    """Return whether sharing lets the user do `action` (`read`, `edit`) to the record, and the rule that decided."""
    model, sharing = object_type.model, object_type.sharing
    if model is None or sharing is None:
        return True, f"{object_type} has no record sharing."
    force = _in_force(object_type)
    if sees_everything(user, object_type, action):
        if force.default is SharingDefault.PUBLIC or (force.default is SharingDefault.READ_ONLY and action == "read"):
            return True, f"{object_type} is {force.default.label.lower()}."
        return True, f"The user may see or change all records of {object_type}."
    rows = model._base_manager.filter(pk=pk)
    if sharing.owner and rows.filter(**{sharing.owner: user.pk}).exists():
        return True, "The user owns the record."
    if (rule := sharing.rule) is not None and rows.filter(rule(user, action)).exists():
        return True, f"The rule {rule.__module__}.{rule.__qualname__} shares it."
    for owners, let_in, may_edit in force.rules:
        if (may_edit or action == "read") and rows.filter(_by_rule(sharing, user, owners, let_in)).exists():
            return True, f"A sharing rule lets the group {_group_name(let_in)} in."
    return False, f"{object_type} is {force.default.label.lower()}, and neither ownership nor a rule shares the record."


def explain_target(user: AbstractUser, action: str, target: str) -> tuple[bool, str] | None:
    """Return what sharing says about `Object/record id`, `None` when it has no say. Raises `MalformedId`."""
    name, _, record_id = target.partition("/")
    object_type = catalogue.get_object(name)
    prefix, pk = decode(record_id)
    if prefix != object_type.key_prefix:
        raise MalformedId(f"{record_id} is no id of {object_type}.")
    if action not in {"read", "edit", "delete"}:
        return None
    return explain_record(user, object_type, pk, "read" if action == "read" else "edit")


def forget_settings() -> None:
    """Read what administrators set anew."""
    _remembered.forget()


def _condition(user: AnyUser, object_type: ObjectType, action: str) -> models.Q:
    sharing = object_type.sharing
    nothing = models.Q(pk__in=[])
    if sharing is None or not isinstance(user, AbstractUser) or not user.is_active:
        return nothing
    found = models.Q(**{sharing.owner: user.pk}) if sharing.owner else nothing
    for owners, let_in, may_edit in _in_force(object_type).rules:
        if may_edit or action == "read":
            found |= _by_rule(sharing, user, owners, let_in)
    if sharing.rule is not None:
        found |= sharing.rule(user, action)
    return found


def _by_rule(sharing: Sharing, user: AbstractUser, owners: int | None, let_in: int) -> models.Q:
    """Return the condition of one rule; the memberships are asked for inside the query."""
    membership = type(user).groups.through.objects  # type: ignore[attr-defined]  # Django's user has groups
    is_member = models.Exists(membership.filter(user_id=user.pk, group_id=let_in))
    if owners is None:
        return models.Q(is_member)
    if not sharing.owner:
        return models.Q(pk__in=[])
    owned = models.Q(**{f"{sharing.owner}__in": membership.filter(group_id=owners).values("user_id")})
    return models.Q(is_member) & owned


def _in_force(object_type: ObjectType) -> _InForce:
    return _remembered.get(object_type.api_name, lambda: _read(object_type))


def _read(object_type: ObjectType) -> _InForce:
    declared = object_type.sharing.default if object_type.sharing else SharingDefault.PUBLIC
    setting = apps.get_model("objects", "ObjectSharing").objects.filter(object_name=object_type.api_name).first()
    default = SharingDefault(setting.default) if setting is not None else declared
    rules: Sequence[tuple[int | None, int, bool]] = ()
    if default is not SharingDefault.PUBLIC:
        found = apps.get_model("objects", "SharingRule").objects.filter(object_name=object_type.api_name)
        rules = list(found.order_by("pk").values_list("owned_by", "shared_with", "may_edit"))
    return _InForce(default, tuple(rules))


def _group_name(pk: int) -> str:
    group = apps.get_model("auth", "Group").objects.filter(pk=pk).first()
    return str(group) if group else str(pk)
