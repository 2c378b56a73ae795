"""Keys in the environment variable `ISTHMUS_ENCRYPTION_KEYS`: `id:key` pairs, the first one seals."""

from functools import lru_cache

from django.conf import settings

from isthmus.keys import new_encryption_key
from isthmus.vault.keyring import KeyRing
from isthmus.vault.providers.base import KeyProvider

__all__ = ["EnvironmentKeyProvider"]


class EnvironmentKeyProvider(KeyProvider):
    """The default. A process knows the keys that it was started with."""

    name = "environment"

    def ring(self) -> KeyRing:
        return _ring_from(settings.ISTHMUS_ENCRYPTION_KEYS)

    def refreshed(self) -> KeyRing:
        return self.ring()

    def add_key(self) -> tuple[str, str]:
        entry = new_encryption_key()
        key_id = entry.partition(":")[0]
        return key_id, (
            f"{entry}\nPut it behind the others in ISTHMUS_ENCRYPTION_KEYS and restart every process, so that all can "
            "open what it seals. Then put it in front, restart again, and run `manage.py encryption_key rotate`."
        )


@lru_cache(maxsize=4)
def _ring_from(text: str) -> KeyRing:
    return KeyRing.parse(text, source="ISTHMUS_ENCRYPTION_KEYS")
