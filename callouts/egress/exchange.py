"""One request and one answer on a connection: written in one piece, read strictly.

The reading of bodies is the standard library's. What is stricter here is the head of an answer, where two readers that
disagree make two answers out of one (https://www.rfc-editor.org/rfc/rfc9112#section-11.2): a header line that is none,
a lone carriage return, two different lengths and an unknown way of framing end the exchange.
"""

import http.client
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from callouts.bodies import SpooledBody
from callouts.errors import InvalidCallout

__all__ = ["AnswerHead", "write_request"]

_PIECE = 64 * 1024
_LONGEST_LINE = 64 * 1024
_MOST_HEADERS = 256
_MOST_INTERIM = 16
_TARGET = re.compile(r"[!-~]+")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS = re.compile(r"[\r\n\x00]")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def write_request(
    sock: socket.socket, request: requests.PreparedRequest, *, proxy_headers: dict[str, str] | None = None
) -> None:
    """Send a request. With `proxy_headers` it is for a proxy, which is asked for the whole address.

    Raises `InvalidCallout` for what cannot be put on the wire, before anything is sent, and what the socket raises.
    """
    parts = urlsplit(request.url or "")
    body: Any = request.body
    target = request.path_url
    if proxy_headers is not None:
        # https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
        target = f"{parts.scheme}://{parts.netloc}{target}"
    if not _TARGET.fullmatch(target):
        raise InvalidCallout("The callout's address holds characters that a request line cannot carry.")
    lines = [f"{request.method} {target} HTTP/1.1"]
    names = set()
    for name, value in (*request.headers.items(), *(proxy_headers or {}).items()):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        names.add(name.lower())
        lines.append(f"{name}: {text}")
    if "host" not in names:
        lines.insert(1, f"Host: {parts.netloc.rpartition('@')[2].removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}")
    if "accept-encoding" not in names:
        lines.append("Accept-Encoding: identity")
    if any(map(_BREAKS.search, lines)):
        raise InvalidCallout("A header of the callout holds a line break.")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if isinstance(body, SpooledBody):
        body.rewind()
        sock.sendall(head)
        while piece := body.read(_PIECE):
            sock.sendall(piece)
    elif body is None or isinstance(body, bytes | str):
        content = body.encode() if isinstance(body, str) else body or b""
        if len(content) <= _PIECE:
            # One packet, and one wake-up of the other side.
            sock.sendall(head + content)
        else:
            sock.sendall(head)
            sock.sendall(content)
    else:
        raise InvalidCallout("A callout's body is bytes, or was read from its source before.")


class AnswerHead(http.client.HTTPResponse):
    """An answer whose body is read by the standard library, from a head that was read here."""

    fp: Any
    fields: CaseInsensitiveDict[str]
    """The headers; repeated ones joined by a comma."""

    def begin(self) -> None:
        """Read the head. Raises `HTTPException` for one that is none."""
        read_status: Any = self._read_status  # type: ignore[attr-defined]  # the standard library's own
        for _ in range(_MOST_INTERIM):
            version, status, reason = read_status()
            fields = self._read_fields()
            # Interim answers announce the real one (https://www.rfc-editor.org/rfc/rfc9110#section-15.2).
            if not 100 <= status < 200 or status == 101:
                break
        else:
            raise http.client.HTTPException("interim answers without end")
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version.startswith("HTTP/1.0") else 11
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.fields = fields
        self.headers = self.msg = fields  # type: ignore[assignment]  # all that is asked of it is get()
        self._frame(fields)

    def is_whole(self) -> bool:
        """Return whether nothing of the body is missing, once there is no more to read."""
        return not self.length

    def _read_fields(self) -> CaseInsensitiveDict[str]:
        fields: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for _ in range(_MOST_HEADERS + 1):
            line: bytes = self.fp.readline(_LONGEST_LINE + 1)
            if line in {b"\r\n", b"\n"}:
                return fields
            if not line:
                raise http.client.IncompleteRead(b"")
            name, colon, value = line.partition(b":")
            content = value.rstrip(b"\r\n")
            is_line = len(line) <= _LONGEST_LINE and colon and _NAME.fullmatch(name)
            if not is_line or b"\r" in content or b"\x00" in content:
                raise http.client.HTTPException("a line in the head of the answer is no header")
            key, text = name.decode("ascii"), content.strip(b" \t").decode("latin-1")
            fields[key] = f"{fields[key]}, {text}" if key in fields else text
        raise http.client.HTTPException("more headers than are read")

    def _frame(self, fields: CaseInsensitiveDict[str]) -> None:
        # https://www.rfc-editor.org/rfc/rfc9112#section-6.3
        coding = fields.get("Transfer-Encoding", "").strip().lower()
        if coding and coding != "chunked":
            raise http.client.HTTPException("an unknown transfer coding")
        self.chunked = bool(coding)
        self.chunk_left = None
        self.length = None if self.chunked else _length(fields.get("Content-Length"))
        method: str = self._method  # type: ignore[attr-defined]  # the standard library's own
        if self.status in {204, 304} or method == "HEAD":
            self.length, self.chunked = 0, False
        said = fields.get("Connection", "").lower()
        is_kept = "keep-alive" in said if self.version == 10 else "close" not in said
        is_ambiguous = bool(coding) and "Content-Length" in fields
        self.will_close = not is_kept or is_ambiguous or (not self.chunked and self.length is None)


def _length(declared: str | None) -> int | None:
    """Return the declared length; `None` when the body ends with the connection."""
    if declared is None:
        return None
    lengths = {one.strip() for one in declared.split(",")}
    if len(lengths) > 1:
        raise http.client.HTTPException("an answer with two lengths")
    text = lengths.pop()
    return int(text) if text.isascii() and text.isdecimal() else None
