"""Where the encryption keys come from, and which provider is in use."""

from isthmus.vault.conf import options
from isthmus.vault.providers.base import KeyProvider
from isthmus.vault.providers.environment import EnvironmentKeyProvider
from isthmus.vault.providers.file import FileKeyProvider
from isthmus.vault.providers.transit import TransitKeyProvider

__all__ = ["KeyProvider", "key_provider"]

_providers: dict[str, KeyProvider] = {
    provider.name: provider for provider in (EnvironmentKeyProvider(), FileKeyProvider(), TransitKeyProvider())
}


def key_provider() -> KeyProvider:
    """Return the provider that `ISTHMUS_KEY_PROVIDER` names. Raises `InvalidOption`."""
    return _providers[options.provider]
