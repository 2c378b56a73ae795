"""Lets held callouts go when what kept them may have been mended.

That is: somebody changed a credential, its secrets or who may use it; a connection test succeeded; a callout came
through; or an operator said so.
"""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from callouts import destinations
from callouts.models import Destination
from callouts.queue import transitions
from callouts.signals import destination_released
from credentials.models import ExternalCredential, NamedCredential, Principal, PrincipalSecret, StoredToken
from isthmus.access.models import Grant, PermissionSetAssignment

__all__ = ["connect"]

_CREDENTIALS = (NamedCredential, ExternalCredential, Principal, PrincipalSecret, StoredToken)
_TOLD = {"status", "status_reason", "status_at"}
"""What is written about a principal when a token is fetched: no reason to try again."""


def connect() -> None:
    """Watch; called once, when the app is ready."""
    destination_released.connect(_release, dispatch_uid="callouts.queue.released")
    for model in (*_CREDENTIALS, Grant, PermissionSetAssignment):
        post_save.connect(_after_change, sender=model, dispatch_uid=f"callouts.queue.{model.__name__}")


def _release(named_credential: str, **_: Any) -> None:
    transitions.release(named_credential=named_credential)


def _after_change(using: str, update_fields: Any = None, **_: Any) -> None:
    if update_fields is not None and set(update_fields) <= _TOLD:
        return
    # Credentials are changed rarely, and which callouts a grant sets free is known only by trying.
    transaction.on_commit(_release_all, using=using, robust=True)


def _release_all() -> None:
    for name in Destination.objects.filter(held_since__isnull=False).values_list("named_credential__name", flat=True):
        destinations.release(name)
    transitions.release()
