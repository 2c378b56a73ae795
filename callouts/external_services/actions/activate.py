"""Switching the version that calls use, forward or back. Invocations stay with the version that they were made with."""

from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts.external_services.errors import UnknownVersion
from callouts.external_services.models import ExternalService, ExternalServiceVersion
from isthmus.audit import actions as audit
from isthmus.logs import get_logger

__all__ = ["activate"]

log = get_logger(__name__)


def activate(service: ExternalService, number: int, *, user: AbstractUser | None = None) -> ExternalServiceVersion:
    """Make the version of a number the active one. Raises `UnknownVersion`."""
    with transaction.atomic():
        locked = ExternalService.objects.select_for_update().get(pk=service.pk)
        version = locked.versions.filter(number=number).first()
        if version is None:
            raise UnknownVersion(f"{locked.name} has no version {number}.")
        before = locked.active_version.number if locked.active_version else None
        locked.active_version = version
        locked.save(update_fields=["active_version"])
        audit.record(
            "external_service.activated",
            actor=user,
            target=locked.name,
            details={"version": number, "before": before},
        )
    service.active_version = version
    log.info("external_service.activated", service=service.name, version=number, before=before)
    return version
