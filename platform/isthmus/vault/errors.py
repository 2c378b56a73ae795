"""What can go wrong with secrets at rest.

IsthmusError
└── VaultError
    ├── KeysMalformed            the keys that the provider holds cannot be used
    ├── KeyProviderUnavailable   the server that holds the keys does not give them: may work later
    ├── WrongKey                 another key bears the id of one that sealed secrets
    ├── UnknownKey               sealed with a key that is not in the ring (any more)
    ├── SealBroken               changed, cut, or sealed for another row
    └── SecretRefused            the caller gave something that cannot be kept as a secret, or at no row's place

No message ever carries a secret, a sealed text or a key.
"""

from isthmus.errors import IsthmusError

__all__ = [
    "KeyProviderUnavailable",
    "KeysMalformed",
    "SealBroken",
    "SecretRefused",
    "UnknownKey",
    "VaultError",
    "WrongKey",
]


class VaultError(IsthmusError):
    """A secret could not be kept or opened."""

    code = "VAULT_ERROR"


class KeysMalformed(VaultError):
    """The encryption keys cannot be used. `manage.py encryption_key status` tells more."""

    code = "ENCRYPTION_KEYS_MALFORMED"


class KeyProviderUnavailable(VaultError):
    """The server that holds the encryption keys does not give them."""

    code = "KEY_PROVIDER_UNAVAILABLE"
    status = 503
    retryable = True


class WrongKey(VaultError):
    """An encryption key is not the one that its id stood for. Put the right key back."""

    code = "ENCRYPTION_KEY_WRONG"


class UnknownKey(VaultError):
    """The secret was sealed with a key that the key provider does not have. Put that key back."""

    code = "ENCRYPTION_KEY_UNKNOWN"


class SealBroken(VaultError):
    """The sealed secret does not open: it was changed, cut, or belongs to another row. Enter the secret again."""

    code = "SEAL_BROKEN"


class SecretRefused(VaultError):
    """This cannot be kept as a secret."""

    code = "SECRET_REFUSED"
    status = 400
