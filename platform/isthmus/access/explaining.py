"""Why a user may, or may not, do something: the rules of `policy.is_granted`, one after another."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.contrib.auth.models import AbstractUser
from django.db import models

from isthmus.access import policy
from isthmus.access.models import Grant
from isthmus.access.registry import grant_kind

__all__ = ["Explanation", "Given", "explain", "register_further_rule"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """A grant that would answer the question."""

    permission_set: str
    """Name of the permission set that has it."""
    grant: str
    """Such as `object.edit on *`."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The answer, and the rule that decided."""

    user: str
    may: bool
    rule: str
    """What decided, in words."""
    through: tuple[Given, ...] = ()
    """Grants of the user that allow it."""
    would_allow: tuple[Given, ...] = ()
    """Grants of permission sets that the user does not hold; empty when the user may."""


Further = Callable[[AbstractUser, str, str], "tuple[bool, str] | None"]
_further: dict[str, Further] = {}


def register_further_rule(kind: str, rule: Further) -> None:
    """Let `rule` have a say once a grant allows something to a target of `kind`.

    It gets user, action and target and returns whether that is allowed and why, `None` when it has no say.
    """
    _further[kind] = rule


def explain(user: AbstractUser, kind: str, action: str, target: str) -> Explanation:
    """Return why `user` may, or may not, do `action` to `target`.

    A target of the form `Object/record id` asks about one record.
    Raises `UnknownGrantKind` or `UnknownGrantAction` when the question itself is wrong.
    """
    name = user.get_username()
    whole, _, record = target.partition("/")
    if record and kind in _further:
        found = explain(user, kind, action, whole)
        if not found.may:
            return found
        further = _further[kind](user, action, target)
        return found if further is None else replace(found, may=further[0], rule=further[1])
    asked = f"{kind}.{action} on {target}"
    actions = grant_kind(kind).actions_that_give(action)
    if not user.is_active:
        return Explanation(user=name, may=False, rule=f"{name} is not active, and so has nothing.")
    if policy.has_everything(user):
        who = "a superuser" if user.is_superuser else "the automated process"
        return Explanation(user=name, may=True, rule=f"{name} is {who}, and so has everything.")
    answering = Grant.objects.filter(kind=kind, action__in=actions, target__in=policy.covering_targets(target))
    given = tuple(_given(grant) for grant in _named(answering.filter(permission_set__assignments__user_id=user.pk)))
    if given:
        return Explanation(
            user=name, may=True, rule=f"{given[0].permission_set} grants {given[0].grant}.", through=given
        )
    others = tuple(_given(grant) for grant in _named(answering))
    return Explanation(user=name, may=False, rule=f"No permission set of {name} grants {asked}.", would_allow=others)


def _named(grants: models.QuerySet[Grant]) -> models.QuerySet[Grant]:
    return grants.select_related("permission_set").order_by("permission_set__name", "target", "action")


def _given(grant: Grant) -> Given:
    return Given(permission_set=grant.permission_set.name, grant=f"{grant.kind}.{grant.action} on {grant.target}")
