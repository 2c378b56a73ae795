"""The secrets with which deliveries that come in are verified."""

from credentials.errors import PrincipalNotConfigured
from credentials.models import Principal, PrincipalSecret
from credentials.secret_store import PrincipalSecrets
from isthmus.vault.secret import Secret

__all__ = ["signing_secrets"]

_NAMES = ("signing_secret", "previous_signing_secret")


def signing_secrets(target: str) -> list[Secret]:
    """Return the signing secrets of the principal `ExternalCredential.Principal`, the current one first.

    Raises `PrincipalNotConfigured` when there is no such principal or it has none.
    """
    credential, _, name = target.partition(".")
    principal = Principal.objects.filter(external_credential__name=credential, name=name).first()
    if principal is None:
        raise PrincipalNotConfigured(f"There is no principal {target}.")
    rows = PrincipalSecret.objects.filter(principal=principal, user=None, name__in=_NAMES)
    secrets = PrincipalSecrets(rows.select_related("principal"))
    found = [secrets[name] for name in _NAMES if name in secrets]
    if not found:
        raise PrincipalNotConfigured(f"The principal {target} has no signing secret.")
    return found
