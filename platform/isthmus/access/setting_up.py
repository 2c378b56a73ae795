"""Who sets the platform up: grants of the kind `setup`, for each app whose set-up pages there are.

They stand for Django's model permissions of those apps. Records are none of them: who may do what with records is
granted by the kinds `object` and `field`.
"""

from collections.abc import Iterable, Iterator

from django.apps import apps
from django.contrib.auth.models import AbstractUser

from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.access.registry import ALL_TARGETS, GrantKey, GrantKind

__all__ = ["KIND", "SetUpPermissions", "register_set_up", "sets_up"]

_ACTIONS = {"view": "view", "add": "manage", "change": "manage", "delete": "manage"}
_apps: set[str] = set()


def register_set_up(*app_labels: str) -> None:
    """Let the set-up pages of these apps be granted; each app names its own."""
    _apps.update(app_labels)


KIND = GrantKind(
    name="setup",
    label="Set-up",
    actions=("view", "manage"),
    targets=lambda: sorted(_apps),
    implied={"manage": ("view",)},
)


def sets_up(user: AnyUser) -> bool:
    """Return whether the user finds anything on the set-up pages: staff, and who holds a grant of the kind `setup`."""
    if not isinstance(user, AbstractUser) or not user.is_active:
        return False
    return user.is_staff or any(
        policy.is_granted(user, KIND.name, "view", target) for target in (ALL_TARGETS, *sorted(_apps))
    )


class SetUpPermissions:
    """Answers Django's model permissions of the registered apps."""

    def grant_for(self, permission: str) -> GrantKey | None:
        """Return the grant that `app_label.codename` stands for; `None` where it is not about set-up."""
        app_label, _, codename = permission.partition(".")
        verb, _, model_name = codename.partition("_")
        if app_label not in _apps or verb not in _ACTIONS or _is_record(app_label, model_name):
            return None
        return KIND.name, _ACTIONS[verb], app_label

    def grants_in(self, app_label: str) -> Iterable[GrantKey]:
        """Yield the grants any of which makes the app worth showing."""
        return self._of(app_label)

    def _of(self, app_label: str) -> Iterator[GrantKey]:
        if app_label in _apps:
            yield KIND.name, "view", app_label


def _is_record(app_label: str, model_name: str) -> bool:
    try:
        model = apps.get_model(app_label, model_name)
    except LookupError:
        return True
    return bool(getattr(model, "soft_deletes", False))
