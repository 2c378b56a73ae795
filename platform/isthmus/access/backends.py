"""Permission sets behind Django's `has_perm`, so that admin, REST framework and our own code agree."""

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.backends import BaseBackend

from isthmus.access import policy
from isthmus.access.errors import GrantRefused
from isthmus.access.policy import AnyUser
from isthmus.access.registry import GrantKey, model_permission_translators

__all__ = ["PermissionSetBackend"]


class PermissionSetBackend(BaseBackend):
    """Answers from the user's permission sets.

    `user.has_perm("object.create", "Contact")` asks for a grant by kind, action and target;
    `user.has_perm("crm.add_contact")` asks for the grant that stands for a model permission.
    """

    def has_perm(self, user_obj: AnyUser, perm: str, obj: Any = None) -> bool:
        return any(_is_granted(user_obj, asked) for asked in _asked_grants(perm, obj))

    def has_module_perms(self, user_obj: AnyUser, app_label: str) -> bool:
        """Return whether the user may see anything of the app."""
        return any(
            _is_granted(user_obj, asked)
            for translator in model_permission_translators()
            for asked in translator.grants_in(app_label)
        )

    async def ahas_perm(self, user_obj: AnyUser, perm: str, obj: Any = None) -> bool:
        return await sync_to_async(self.has_perm)(user_obj, perm, obj)

    async def ahas_module_perms(self, user_obj: AnyUser, app_label: str) -> bool:
        """Return whether the user may see anything of the app."""
        return await sync_to_async(self.has_module_perms)(user_obj, app_label)


def _asked_grants(perm: str, obj: Any) -> list[GrantKey]:
    """Return the grants of which any is enough."""
    if isinstance(obj, str):
        kind, _, action = perm.partition(".")
        return [(kind, action, obj)]
    found = (translator.grant_for(perm) for translator in model_permission_translators())
    return [asked for asked in found if asked is not None]


def _is_granted(user: AnyUser, asked: GrantKey) -> bool:
    try:
        return policy.is_granted(user, *asked)
    except GrantRefused:
        # Django's contract: a permission that nobody knows is one that nobody has.
        return False
