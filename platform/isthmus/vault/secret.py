"""A secret in memory: shows `********` wherever it is printed, logged or formatted."""

import hmac
from typing import NoReturn

from django.views.decorators.debug import sensitive_variables

from isthmus.vault import keyring, keys_in_use
from isthmus.vault.errors import SecretRefused

__all__ = ["MASK", "Sealed", "Secret"]

MASK = "********"


class Sealed:
    """A sealed text as it lies in its column. It opens only in its own row, so it may be copied and pickled."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return MASK


class Secret:
    """A text that is given only to who calls `reveal()`."""

    __slots__ = ("_context", "_plaintext", "_sealed")

    _plaintext: str | None
    _sealed: str | None
    _context: str | None

    @sensitive_variables()
    def __init__(self, plaintext: str | None, *, sealed: str | None = None, context: str | None = None) -> None:
        """Hold `plaintext`; or, without one, `sealed`, which lies at `context` and is opened when it is needed.

        Raises `SecretRefused` for the mask, which only a form that was sent back can hold.
        """
        if plaintext == MASK:
            raise SecretRefused("The mask that stands for a secret was given as the secret. Leave it out instead.")
        if (plaintext is None) == (sealed is None):
            raise TypeError("A secret is made from its text or from a sealed text.")
        self._plaintext = plaintext
        self._sealed = sealed
        self._context = context

    @sensitive_variables()
    def reveal(self) -> str:
        """Return the text itself. Raises `UnknownKey` or `SealBroken` when it was sealed and does not open."""
        if self._plaintext is not None:
            return self._plaintext
        return keys_in_use.open_sealed(self._sealed or "", context=self._context or "")

    @property
    def fingerprint(self) -> str:
        """8 hexadecimal digits by which a person recognises the secret."""
        return keyring.fingerprint(self.reveal())

    @sensitive_variables()
    def matches(self, given: str) -> bool:
        """Return whether `given` is the secret, taking the same time wherever the two differ."""
        return hmac.compare_digest(self.reveal().encode(), given.encode())

    @sensitive_variables()
    def placed_at(self, context: str) -> "Secret":
        """Return the same secret, to be sealed for `context`."""
        if self._context == context:
            return self
        return Secret(self.reveal(), context=context)

    def as_sealed(self) -> Sealed:
        """Return what its column holds. Raises `SecretRefused` when it is at no row's place."""
        if self._sealed is not None:
            return Sealed(self._sealed)
        if self._context is None or self._plaintext is None:
            raise SecretRefused("A secret is sealed for its row: set it on an instance and save that.")
        return Sealed(keys_in_use.seal(self._plaintext, context=self._context))

    def is_at(self, context: str) -> bool:
        """Return whether this is the sealed secret of that very place."""
        return self._sealed is not None and self._context == context

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not pickled.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()
