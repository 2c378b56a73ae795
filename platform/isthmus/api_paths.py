"""How the API's addresses are written by clients, and how they are meant."""

import re

__all__ = ["collapse_slashes"]

_API = re.compile(r"/+(?:services|cometd|id|\.well-known)(?:/|$)")
_SLASHES = re.compile(r"//+")


def collapse_slashes(path: str) -> str:
    """Return `/services/data` for `//services//data`: clients whose instance URL ends with a slash write it so.

    Only the API's addresses are touched.
    """
    return _SLASHES.sub("/", path) if "//" in path and _API.match(path) else path
