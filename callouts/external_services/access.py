"""Who may call what: permission sets grant `call` on `Service.operation`, `Service.*` or `*`."""

from collections.abc import Iterator

from django.contrib.auth.models import AbstractUser

from callouts.client import running_user
from callouts.external_services.models import ExternalService, Operation
from isthmus.access import policy
from isthmus.access.registry import GrantKind

__all__ = ["EXTERNAL_SERVICE", "may_call", "require_call"]


def _targets() -> Iterator[str]:
    """Yield every service as a whole, and its operations."""
    for service in ExternalService.objects.order_by("name"):
        yield f"{service.name}.*"
    active = Operation.objects.active().order_by("version__service__name", "name")
    for service_name, name in active.values_list("version__service__name", "name"):
        yield f"{service_name}.{name}"


EXTERNAL_SERVICE = GrantKind(name="external_service", label="External services", actions=("call",), targets=_targets)


def require_call(user: AbstractUser | None, operation: Operation) -> None:
    """Raise `PermissionRefused` unless an operation may be called.

    `user`: `None` means who is acting now, whom the job runs for, or else the platform itself.
    """
    acting = running_user(user) or policy.system_user()
    policy.require(acting, EXTERNAL_SERVICE.name, "call", operation.grant_target)


def may_call(user: AbstractUser, operation: Operation) -> bool:
    """Return whether a user may call an operation."""
    return policy.is_granted(user, EXTERNAL_SERVICE.name, "call", operation.grant_target)
