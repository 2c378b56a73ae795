"""Told before the first request: whether the encryption keys can be used."""

from django.core import checks

from isthmus.vault.errors import KeysMalformed
from isthmus.vault.keyring import key_ring

__all__ = ["check_keys"]


def check_keys(**_: object) -> list[checks.CheckMessage]:
    """Report keys that cannot be read."""
    try:
        key_ring()
    except KeysMalformed as error:
        hint = "`python -m isthmus.keys` prints a new key. Keep the old ones behind it until everything is rotated."
        return [checks.Error(error.message, hint=hint, obj="ISTHMUS_ENCRYPTION_KEYS", id="vault.E001")]
    return []
