"""Who publishes."""

from django.contrib.auth.models import AbstractUser
from django.db import connection

from isthmus.access.policy import AnyUser, system_user
from isthmus.objects.capture import acting_user
from isthmus.objects.record_ids import record_id_of

__all__ = ["forget", "publisher_id"]

_system_id = ""


def publisher_id(user: AnyUser) -> str:
    """Return the record id of `user`, else of whoever acts now, else of the system user."""
    acting = user if isinstance(user, AbstractUser) else acting_user()
    return record_id_of(acting) if acting is not None else _system_user_id()


def _system_user_id() -> str:
    """Return the record id of the system user; a process asks for it once, for that user never goes."""
    global _system_id
    if _system_id:
        return _system_id
    found = record_id_of(system_user())
    # In a transaction that is rolled back, so may be the user.
    if not connection.in_atomic_block:
        _system_id = found
    return found


def forget() -> None:
    """Ask the database again (its tables were emptied)."""
    global _system_id
    _system_id = ""
