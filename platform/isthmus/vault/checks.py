"""Told before the first request: whether the encryption keys can be used, and whether they are the right ones."""

from collections.abc import Sequence

from django.core import checks

from isthmus.vault.conf import options
from isthmus.vault.errors import KeyProviderUnavailable, KeysMalformed, WrongKey
from isthmus.vault.key_checks import refuse_wrong_keys
from isthmus.vault.keys_in_use import key_ring

__all__ = ["check_key_identity", "check_keys"]

_HINT = "`manage.py encryption_key new` makes a key. Keep the old ones until everything is rotated."


def check_keys(**_: object) -> list[checks.CheckMessage]:
    """Report keys that cannot be read. Keys behind the database or a server are looked at by `check_key_identity`."""
    if options.provider == "transit":
        return []
    try:
        key_ring()
    except KeysMalformed as error:
        return [checks.Error(error.message, hint=_HINT, obj="ISTHMUS_ENCRYPTION_KEYS", id="vault.E001")]
    return []


def check_key_identity(databases: Sequence[str] | None = None, **_: object) -> list[checks.CheckMessage]:
    """Report a key that is not the one that its id stood for (`manage.py check --database default`)."""
    if not databases:
        return []
    try:
        refuse_wrong_keys()
    except (WrongKey, KeysMalformed, KeyProviderUnavailable) as error:
        return [checks.Error(error.message, obj="encryption keys", id="vault.E004")]
    return []
