"""May this user do that? Everything that is not granted is refused.

Two kinds of users have everything: active superusers, and the automated process (`system_user`), as which jobs and
subscribers act where no human does. Inactive and anonymous users have nothing.
"""

from typing import TypeAlias

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser, AnonymousUser, User

from isthmus.access.errors import PermissionRefused, SystemUserTaken
from isthmus.access.models import Grant
from isthmus.access.registry import ALL_TARGETS, GrantKey, grant_kind

__all__ = [
    "SYSTEM_USERNAME",
    "AnyUser",
    "covering_targets",
    "forget_grants",
    "has_everything",
    "is_granted",
    "load_grants",
    "require",
    "system_user",
]

AnyUser: TypeAlias = "AbstractUser | AnonymousUser | None"

SYSTEM_USERNAME = "automated-process"
_CACHE = "_isthmus_grants"


def is_granted(user: AnyUser, kind: str, action: str, target: str) -> bool:
    """Return whether `user` may do `action` to `target`.

    The grants of a user are read once (one query) and kept on the user object, as Django does with its permissions.
    Raises `UnknownGrantKind` or `UnknownGrantAction` when the question itself is wrong.
    """
    actions = grant_kind(kind).actions_that_give(action)
    if not isinstance(user, AbstractUser) or not user.is_active:
        return False
    if has_everything(user):
        return True
    held = _grants_of(user)
    return any((kind, given, covering) in held for given in actions for covering in covering_targets(target))


def require(user: AnyUser, kind: str, action: str, target: str) -> None:
    """Return if `user` may do `action` to `target`; raises `PermissionRefused` otherwise."""
    if is_granted(user, kind, action, target):
        return
    who = user.get_username() if isinstance(user, AbstractUser) else "An anonymous caller"
    raise PermissionRefused(
        f"{who or 'The caller'} lacks the grant {kind}.{action} on {target}. "
        "An administrator can give it in Set-up, Permission sets."
    )


def system_user() -> User:
    """Return the user as which the platform acts on its own; made when it is first asked for.

    It has no password and cannot log in. Raises `SystemUserTaken` when somebody gave it one.
    """
    user, _ = get_user_model().objects.get_or_create(
        username=SYSTEM_USERNAME, defaults={"first_name": "Automated", "last_name": "Process", "password": "!"}
    )
    if not _is_system_user(user):
        raise SystemUserTaken
    return user


def load_grants(user: AbstractUser) -> None:
    """Read the user's grants now, so that copies of the user object carry them."""
    if user.is_active and not has_everything(user):
        _grants_of(user)


def forget_grants(user: AnyUser) -> None:
    """Let the next question about this user object read the grants anew."""
    if hasattr(user, _CACHE):
        delattr(user, _CACHE)


def _is_system_user(user: AbstractUser) -> bool:
    # A person who may add users could otherwise take the name before the platform does.
    return user.get_username() == SYSTEM_USERNAME and not user.has_usable_password()


def has_everything(user: AbstractUser) -> bool:
    """Return whether the user, if active, needs no grant."""
    return user.is_superuser or _is_system_user(user)


def covering_targets(target: str) -> tuple[str, ...]:
    """Return the targets of a grant that include `target`: itself, everything, everything of its owner."""
    owner, dot, _ = target.partition(".")
    return (target, ALL_TARGETS, f"{owner}.{ALL_TARGETS}") if dot else (target, ALL_TARGETS)


def _grants_of(user: AbstractUser) -> frozenset[GrantKey]:
    cached: frozenset[GrantKey] | None = getattr(user, _CACHE, None)
    if cached is None:
        found = Grant.objects.filter(permission_set__assignments__user_id=user.pk)
        cached = frozenset(found.order_by().values_list("kind", "action", "target"))
        setattr(user, _CACHE, cached)
    return cached
