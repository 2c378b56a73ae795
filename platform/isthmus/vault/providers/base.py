"""What every key provider does."""

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

from isthmus import clock
from isthmus.vault.keyring import KeyRing

__all__ = ["KeyProvider", "ReloadingKeyProvider"]

_SECONDS_BETWEEN_RELOADS = 1.0


class KeyProvider(ABC):
    """Where the encryption keys come from. A process asks for the ring at every secret, so `ring` must be cheap."""

    name: ClassVar[str]

    @abstractmethod
    def ring(self) -> KeyRing:
        """Return the keys now in force. Raises `KeysMalformed` or `KeyProviderUnavailable`."""

    @abstractmethod
    def refreshed(self) -> KeyRing:
        """Return the keys after another look at where they are kept: a text under an unknown key was met."""

    @abstractmethod
    def add_key(self) -> tuple[str, str]:
        """Make a new key. Return its id and, in a sentence, what has to be done next."""


class ReloadingKeyProvider(KeyProvider):
    """Base of providers that hold a loaded ring and look again when a key is missing, at most once a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring: KeyRing | None = None
        self._loaded_at = 0.0

    @abstractmethod
    def load(self) -> KeyRing:
        """Read the keys. Raises `KeysMalformed` or `KeyProviderUnavailable`."""

    def ring(self) -> KeyRing:
        return self._ring or self._reloaded(at_most_seconds_old=None)

    def refreshed(self) -> KeyRing:
        return self._reloaded(at_most_seconds_old=_SECONDS_BETWEEN_RELOADS)

    def _reloaded(self, *, at_most_seconds_old: float | None) -> KeyRing:
        with self._lock:
            age = clock.monotonic_seconds() - self._loaded_at
            is_fresh = at_most_seconds_old is None or age < at_most_seconds_old
            if self._ring is None or not is_fresh:
                self._ring = self.load()
                self._loaded_at = clock.monotonic_seconds()
            return self._ring
