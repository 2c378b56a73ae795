"""Told by `manage.py check --database default`: external credentials that cannot work as they are set up."""

from collections.abc import Sequence

from django.core import checks
from django.db import DatabaseError

from credentials.errors import CredentialRefused
from credentials.models import ExternalCredential
from credentials.resolver import effective_settings

__all__ = ["check_external_credentials"]


def check_external_credentials(databases: Sequence[str] | None = None, **_: object) -> list[checks.CheckMessage]:
    """Report external credentials whose protocol is gone or whose settings do not fit it (after an upgrade)."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        try:
            rows = list(ExternalCredential.objects.using(alias).select_related("identity_provider"))
        except DatabaseError:
            # Before the first migration there is nothing to check.
            continue
        for row in rows:
            try:
                effective_settings(row)
            except CredentialRefused as error:
                hint = "Correct it under Credentials, External credentials."
                found.append(checks.Warning(error.message, hint=hint, obj=row, id="credentials.W001"))
    return found
