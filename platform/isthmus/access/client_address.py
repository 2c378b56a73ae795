"""Where a request comes from, and whether that is inside the networks that somebody named."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.access.conf import AccessOptions

__all__ = ["address_in", "client_address", "ip_networks", "is_inside"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(request: Any) -> str:
    """Return the caller's IP address, "" where the server does not know it; see `address_in`."""
    return address_in(request.META)


def address_in(meta: Mapping[str, Any]) -> str:
    """Return the caller's IP address out of a request's `META`, "" where the server does not know it.

    `X-Forwarded-For` is believed only as far as `ISTHMUS_ACCESS_TRUSTED_PROXIES` says: each of that many proxies in
    front appended the address that it saw, so the one before the first of them is the caller's.
    """
    direct = meta.get("REMOTE_ADDR") or ""
    proxies = AccessOptions().trusted_proxies
    if not proxies:
        return _address(direct)
    forwarded = [step.strip() for step in str(meta.get("HTTP_X_FORWARDED_FOR") or "").split(",") if step.strip()]
    seen = [*forwarded, direct]
    return _address(seen[-1 - proxies]) if len(seen) > proxies else _address(seen[0])


def ip_networks(texts: Iterable[str]) -> list[Network]:
    """Return the networks that texts like `10.0.0.0/8` name. Raises `ValueError`, quoting one that names none."""
    return [_network(text.strip()) for text in texts]


def is_inside(address: str, texts: Iterable[str]) -> bool:
    """Return whether an address, as `client_address` returns it, is in one of the networks; "" is in none."""
    if not address:
        return False
    given = ipaddress.ip_address(address)
    return any(given in network for network in ip_networks(texts))


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"{text} is no network; write one like 10.0.0.0/8.") from error


def _address(text: str) -> str:
    try:
        found = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return ""
    # A server that listens on both kinds of addresses sees one of the old kind inside one of the new.
    return str(getattr(found, "ipv4_mapped", None) or found)
