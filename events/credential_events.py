"""Tells of connections that cannot be renewed as a platform event: credentials know no events."""

from typing import Any

from credentials.signals import connection_failed
from events.platform_events import CredentialConnectionFailed

__all__ = ["connect"]


def connect() -> None:
    """Listen; called once, when the app is ready."""
    connection_failed.connect(_publish, dispatch_uid="events.credentials")


def _publish(sender: Any, principal: Any, user: Any, code: str, reason: str, **_: Any) -> None:
    CredentialConnectionFailed(
        principal=principal.target,
        username=user.get_username() if user else None,
        error_code=code,
        reason=reason[:255],
    ).publish()
