"""Records what is deleted, through whichever door: set-up pages delete rows themselves, several at once too."""

from typing import Any

from django.db.models import Model
from django.db.models.signals import pre_delete

from credentials.models import Certificate, ExternalCredential, IdentityProvider, NamedCredential, Principal
from isthmus.audit import actions as audit

__all__ = ["connect"]


def connect() -> None:
    """Watch the rows; called once, when the app is ready."""
    for model in (Certificate, ExternalCredential, IdentityProvider, NamedCredential, Principal):
        # Before: what it belongs to is still there to name it by.
        pre_delete.connect(_before_delete, sender=model, dispatch_uid="credentials.audit")


def _before_delete(sender: type[Model], instance: Any, **_: Any) -> None:
    target = instance.target if isinstance(instance, Principal) else instance.name
    audit.record("credentials.deleted", target=target, details={"kind": str(sender._meta.verbose_name)})
