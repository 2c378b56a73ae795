"""What can go wrong with secrets at rest.

IsthmusError
└── VaultError
    ├── KeysMalformed   the key ring in the settings cannot be used
    ├── UnknownKey      sealed with a key that is not in the ring (any more)
    ├── SealBroken      changed, cut, or sealed for another row
    └── SecretRefused   the caller gave something that cannot be kept as a secret, or at no row's place

No message ever carries a secret, a sealed text or a key.
"""

from isthmus.errors import IsthmusError

__all__ = ["KeysMalformed", "SealBroken", "SecretRefused", "UnknownKey", "VaultError"]


class VaultError(IsthmusError):
    """A secret could not be kept or opened."""

    code = "VAULT_ERROR"


class KeysMalformed(VaultError):
    """The encryption keys in ISTHMUS_ENCRYPTION_KEYS cannot be used. `python -m isthmus.keys` prints a good one."""

    code = "ENCRYPTION_KEYS_MALFORMED"


class UnknownKey(VaultError):
    """The secret was sealed with a key that is not in ISTHMUS_ENCRYPTION_KEYS. Put that key back into the list."""

    code = "ENCRYPTION_KEY_UNKNOWN"


class SealBroken(VaultError):
    """The sealed secret does not open: it was changed, cut, or belongs to another row. Enter the secret again."""

    code = "SEAL_BROKEN"


class SecretRefused(VaultError):
    """This cannot be kept as a secret."""

    code = "SECRET_REFUSED"
    status = 400
