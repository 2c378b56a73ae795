"""Setting identity providers up."""

from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from credentials.actions import saved
from credentials.errors import SecretRefused
from credentials.models import ClientAuthentication, IdentityProvider
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.vault.secret import Secret

__all__ = ["ensure_identity_provider", "save_identity_provider"]

_AUDITED = (
    "label", "issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint",
    "jwks_uri", "client_id", "client_authentication", "certificate_id", "assertion_audience",
    "allow_internal_addresses",
)  # fmt: skip


@sensitive_variables()
def save_identity_provider(provider: IdentityProvider, *, client_secret: str = "") -> IdentityProvider:
    """Save it if it makes sense; an empty `client_secret` keeps the one that is there.

    Raises `CredentialInvalid` or `SecretRefused`.
    """
    if len(client_secret) > 2 and not client_secret.strip("*•●"):
        raise SecretRefused("A mask was given as the secret. Leave it out to keep what is there.")
    with transaction.atomic():
        before = IdentityProvider.objects.select_for_update().filter(pk=provider.pk).first()
        if client_secret:
            provider.client_secret = Secret(client_secret)
            provider.client_secret_set_at = clock.now()
        if before is not None and before.issuer != provider.issuer:
            # What another issuer said of itself counts for nothing.
            provider.metadata, provider.discovered_at = {}, None
        row = saved(provider)
        changed = [name for name in _AUDITED if before is None or getattr(before, name) != getattr(row, name)]
        changed += ["client_secret"] if client_secret else []
        if before is None:
            audit.record("credentials.provider_made", target=row.name)
        elif changed:
            audit.record("credentials.provider_changed", target=row.name, details={"changed": changed})
    return row


@sensitive_variables()
def ensure_identity_provider(
    name: str,
    *,
    client_id: str,
    client_secret: str = "",
    issuer: str = "",
    authorization_endpoint: str = "",
    token_endpoint: str = "",
    revocation_endpoint: str = "",
    client_authentication: str = ClientAuthentication.HEADER,
    allow_internal_addresses: bool = False,
) -> IdentityProvider:
    """Make the identity provider be like this; a secret that is the same stays. For seeds and tests."""
    with transaction.atomic():
        row = IdentityProvider.objects.select_for_update().filter(name=name).first() or IdentityProvider(name=name)
        row.client_id, row.issuer, row.client_authentication = client_id, issuer, client_authentication
        row.allow_internal_addresses = allow_internal_addresses
        for field, url in (
            ("authorization_endpoint", authorization_endpoint),
            ("token_endpoint", token_endpoint),
            ("revocation_endpoint", revocation_endpoint),
        ):
            if url:
                setattr(row, field, url)
        held: Secret | None = row.client_secret
        is_same = held is not None and held.matches(client_secret)
        return save_identity_provider(row, client_secret="" if is_same else client_secret)
