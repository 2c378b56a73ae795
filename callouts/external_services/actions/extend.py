"""Waiting longer for the callback of an invocation."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.external_services import transitions
from callouts.external_services.errors import InvocationFinished
from callouts.external_services.jobs import end_wait
from callouts.external_services.models import Invocation
from isthmus import clock, correlation
from isthmus.access import policy
from isthmus.audit import actions as audit

__all__ = ["extend"]


def extend(invocation: Invocation, user: AbstractUser, *, until: datetime) -> Invocation:
    """Wait for a callback until a later moment.

    Raises `PermissionRefused` unless `user` may operate the console, and `InvocationFinished` when it is over already
    or waits as long without this.
    """
    policy.require(user, "console", "operate", "*")
    with transaction.atomic(), correlation.bind(invocation.correlation_id):
        before = invocation.expires_at
        moved = transitions.extended(invocation.pk, until)
        invocation.refresh_from_db()
        if not moved:
            told = f"is {invocation.state}" if invocation.is_finished else "waits until then without that"
            raise InvocationFinished(f"The invocation {told}, so it cannot be extended.")
        # The job that was to end the wait comes too early now, finds that, and leaves it to this one.
        end_wait.enqueue(
            invocation_id=str(invocation.pk),
            delay=until - clock.now(),
            subject=("invocation", str(invocation.pk)),
        )
        audit.record(
            "external_service.invocation_extended",
            actor=user,
            target=str(invocation.pk),
            details={"before": before.isoformat(), "until": until.isoformat()},
        )
    return invocation
