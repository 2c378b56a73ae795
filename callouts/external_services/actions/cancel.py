"""Cancelling an invocation that still waits: callbacks that come later are late."""

from django.contrib.auth.models import AbstractUser

from callouts.external_services import transitions
from callouts.external_services.errors import InvocationFinished
from callouts.external_services.models import Invocation, InvocationState
from isthmus.access import policy

__all__ = ["cancel"]


def cancel(invocation: Invocation, user: AbstractUser, reason: str = "") -> Invocation:
    """End the wait for a callback. Nothing is told to the outside.

    Raises `PermissionRefused` unless `user` may operate the console, and `InvocationFinished` when it is over already.
    """
    policy.require(user, "console", "operate", "*")
    told = f"cancelled by {user}: {reason}" if reason else f"cancelled by {user}"
    moved = transitions.finish(invocation.pk, InvocationState.CANCELLED, told)
    invocation.refresh_from_db()
    if not moved:
        raise InvocationFinished(f"The invocation is {invocation.state} already, so it cannot be cancelled.")
    return invocation
