"""The way out through an HTTP proxy, where the operator says that there is no other."""

import base64
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from callouts.conf import options

__all__ = ["Proxy", "proxy_for", "what_is_wrong_with_proxy"]


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy: https goes through a tunnel (CONNECT), plain http as a request for a whole address."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Return the proxy at `http://user:password@host:port`."""
        parts = urlsplit(url)
        login = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            login = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(host=parts.hostname or "", port=parts.port or 3128, authorization=login)

    def headers(self) -> dict[str, str]:
        """Return what the proxy itself is told."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}


def proxy_for(host: str, *, is_internal: bool) -> Proxy | None:
    """Return the proxy that callouts to `host` pass; `None` for a direct way.

    Systems in the house (whose credential allows internal addresses) are reached directly.
    """
    if not options.proxy or is_internal:
        return None
    for suffix in options.no_proxy.split(","):
        name = suffix.strip().lstrip(".").lower()
        if name and (host.lower() == name or host.lower().endswith(f".{name}")):
            return None
    return Proxy.parse(options.proxy)


def what_is_wrong_with_proxy(url: str) -> str | None:
    """Return why the address of a proxy is none; `None` when it is one, or empty."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        is_address = parts.scheme == "http" and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    # The value may hold a password, so it is not repeated.
    return (
        None
        if is_address and parts.path in {"", "/"}
        else "a proxy is http://host:port, with user:password@ if need be."
    )
