"""Where an authorization code may go."""

import re
from urllib.parse import urlsplit

__all__ = ["is_redirect_uri"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def is_redirect_uri(uri: str) -> bool:
    """Return whether a code may be sent to `uri`: https, http on this machine (RFC 8252), or an app's own scheme."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return False
    scheme = parts.scheme.lower()
    if parts.fragment or "*" in uri or not _SCHEME.fullmatch(scheme):
        return False
    if scheme == "https":
        return bool(host)
    if scheme == "http":
        return host in _LOOPBACK
    # An app's own scheme has the form of a reversed domain name (RFC 8252, 7.1), so that no other app has it;
    # what browsers make something else of (`javascript`, `data`, `file`) has not.
    return "." in scheme
