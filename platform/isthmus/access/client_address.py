"""Where a request comes from."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from isthmus.access.conf import AccessOptions

__all__ = ["address_in", "client_address"]


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


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return ""
