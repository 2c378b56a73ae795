"""A logged request as a command for curl: what was masked in the log is a placeholder."""

import re
import shlex

from callouts.models import IntegrationLogEntry

__all__ = ["as_curl"]

_MASK = "********"
_NOT_GIVEN = {"content-length", "accept-encoding", "user-agent", "host", "connection"}
_WORD = re.compile(r"[^A-Za-z0-9]+")


def as_curl(entry: IntegrationLogEntry) -> str:
    """Return the command. Placeholders are shell variables in capitals, named after what they stand for."""
    parts = [f"curl --request {shlex.quote(entry.method)} {_quoted(entry.url, 'SECRET')}"]
    for name, value in entry.request_headers.items():
        if name.lower() not in _NOT_GIVEN:
            parts.append(f"--header {_quoted(f'{name}: {value}', _variable(name))}")
    body = entry.request_body
    if body.startswith("[") and "SHA-256" in body and not body.startswith(("[{", "[[")):
        parts.append("--data-binary @body  # the log has only its size and hash")
    elif body:
        note = "" if "… [cut;" not in body else "  # the log has only its beginning"
        parts.append(f"--data-raw {_quoted(body, 'SECRET')}{note}")
    return " \\\n  ".join(parts)


def _variable(name: str) -> str:
    return _WORD.sub("_", name).strip("_").upper() or "SECRET"


def _quoted(text: str, variable: str) -> str:
    """Return the text quoted for a shell; masked parts end the quotes for a variable."""
    pieces = text.split(_MASK)
    joined = f'"${{{variable}}}"'.join(shlex.quote(piece) if piece else "" for piece in pieces)
    return joined or "''"
