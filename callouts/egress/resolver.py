"""Turns a host name into addresses, within a time limit."""

import socket
import threading
from typing import Protocol

from callouts.errors import ConnectFailed

__all__ = ["Resolver", "SystemResolver"]


class Resolver(Protocol):
    """What the gate asks about names. Tests give one that knows their names."""

    def resolve(self, host: str, port: int, *, seconds: float) -> list[str]:
        """Return the host's addresses, best first, never none. Raises `ConnectFailed` when there are none in time."""


class SystemResolver:
    """Asks the operating system."""

    def resolve(self, host: str, port: int, *, seconds: float) -> list[str]:
        # The system's look-up takes no time limit, so it runs where it can be left behind.
        found: list[str] = []
        failed: list[Exception] = []
        asking = threading.Thread(target=self._ask, args=(host, port, found, failed), daemon=True, name="name-look-up")
        asking.start()
        asking.join(seconds)
        if failed:
            raise ConnectFailed(f"The name {host!r} could not be found; nothing was sent.") from failed[0]
        if not found:
            raise ConnectFailed(f"The look-up of the name {host!r} took too long; nothing was sent.")
        return list(found)

    @staticmethod
    def _ask(host: str, port: int, found: list[str], failed: list[Exception]) -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # UnicodeError: a label that no name can have.
        except (OSError, UnicodeError) as error:
            failed.append(error)
        else:
            found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))
