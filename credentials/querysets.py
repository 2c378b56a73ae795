"""How credentials are read."""

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from credentials.models import (
        NamedCredential,  # noqa: F401 - ruff does not see it in the base class's brackets
        Principal,
        PrincipalSecret,  # noqa: F401 - ruff does not see it in the base class's brackets
    )

__all__ = ["NamedCredentialQuerySet", "PrincipalQuerySet", "PrincipalSecretQuerySet"]


class NamedCredentialQuerySet(models.QuerySet["NamedCredential"]):
    """Named credentials."""

    def with_authentication(self) -> "NamedCredentialQuerySet":
        """Read the external credential and the fixed principal along, in the same query."""
        return self.select_related(
            "external_credential__identity_provider__certificate",
            "principal__external_credential__identity_provider",
            "client_certificate",
        )


class PrincipalQuerySet(models.QuerySet["Principal"]):
    """Principals."""

    def in_order_of_choice(self) -> "PrincipalQuerySet":
        """Put first what is to be used first."""
        return self.order_by("sequence", "name")


class PrincipalSecretQuerySet(models.QuerySet["PrincipalSecret"]):
    """Secrets of principals."""

    def of(self, principal: "Principal", user: "User | None") -> "PrincipalSecretQuerySet":
        """Keep the secrets that `principal` itself holds (`user` is `None`) or that `user` holds at it."""
        return self.filter(principal=principal, user=user)
