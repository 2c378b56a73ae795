"""Seals and opens with the keys of the provider in use."""

from django.views.decorators.debug import sensitive_variables

from isthmus.vault.errors import UnknownKey
from isthmus.vault.keyring import KeyRing
from isthmus.vault.providers import key_provider

__all__ = ["key_ring", "open_sealed", "seal"]


def key_ring() -> KeyRing:
    """Return the keys in force. Raises `KeysMalformed` or `KeyProviderUnavailable`."""
    return key_provider().ring()


@sensitive_variables()
def seal(plaintext: str, *, context: str) -> str:
    """Seal with the primary key."""
    return key_ring().seal(plaintext, context=context)


@sensitive_variables()
def open_sealed(sealed: str, *, context: str) -> str:
    """Return the text inside. Raises `UnknownKey` or `SealBroken`.

    A key that this process has not met may have been made meanwhile: the provider is asked once more.
    """
    provider = key_provider()
    try:
        return provider.ring().open_sealed(sealed, context=context)
    except UnknownKey:
        return provider.refreshed().open_sealed(sealed, context=context)
