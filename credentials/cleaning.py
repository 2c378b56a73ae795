"""Removes what remembered a person on the way to an identity provider and back."""

from datetime import timedelta

from credentials.models import AuthorizationRequest
from isthmus import clock
from isthmus.jobs import queueable
from isthmus.jobs.removal import Removal

__all__ = ["remove_old_authorization_requests"]

_KEPT = timedelta(days=1)
"""Long enough to tell somebody who comes back late that it is too late."""


@queueable(max_attempts=3, kind="Maintenance", time_limit_seconds=3_600)
def remove_old_authorization_requests() -> dict[str, object]:
    """Remove the requests that nobody can come back to any more."""
    removal = Removal()
    old = AuthorizationRequest.objects.filter(expires_at__lt=clock.now() - _KEPT)
    removal.remove("authorization_requests", old, order="pk")
    return {"removed": removal.counts}
