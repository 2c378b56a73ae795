"""How a request reaches an identity provider outside of a callout: when a person connects, disconnects, or an issuer is
discovered. Credentials open no sockets; whoever does (callouts, through its egress gate) registers itself here."""

from typing import Protocol

from requests import PreparedRequest, Response

__all__ = ["Transport", "register_transport", "send"]


class Transport(Protocol):
    """Carries one request out."""

    def __call__(self, request: PreparedRequest, *, name: str, allow_internal_addresses: bool) -> Response:
        """Return the answer; redirects are answers. `name` says on whose behalf. Raises errors of `IsthmusError`."""


_transports: list[Transport] = []


def register_transport(transport: Transport) -> None:
    """Let `transport` carry requests out. Raises `ValueError` when there is one already."""
    if _transports:
        raise ValueError("A transport is registered already.")
    _transports.append(transport)


def send(request: PreparedRequest, *, name: str, allow_internal_addresses: bool) -> Response:
    """Send through the registered transport. Raises what it raises."""
    return _transports[0](request, name=name, allow_internal_addresses=allow_internal_addresses)
