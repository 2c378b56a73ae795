"""Who publishes."""

from django.contrib.auth.models import AbstractUser

from isthmus.access.policy import AnyUser, system_user
from isthmus.objects.capture import acting_user
from isthmus.objects.record_ids import record_id_of

__all__ = ["publisher_id"]


def publisher_id(user: AnyUser) -> str:
    """Return the record id of `user`, else of whoever acts now, else of the system user."""
    acting = user if isinstance(user, AbstractUser) else acting_user() or system_user()
    return record_id_of(acting)
