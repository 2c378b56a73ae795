"""Turns what user code asks for into a prepared request, refusing what could mean two things on the wire."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests

from callouts.errors import BodyTooLarge, InvalidCallout
from isthmus import correlation

__all__ = ["Data", "Params", "parse_callout_url", "prepare"]

Params: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | None
Data: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | bytes | None

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
_CALLOUT_URL = re.compile(r"callout:(?P<name>[A-Za-z][A-Za-z0-9_]*)(?P<rest>(?:[/?].*)?)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What the transport itself decides; a second opinion would let one request look like two (request smuggling).
_TRANSPORT_HEADERS = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "proxy-authorization", "proxy-connection",
}  # fmt: skip


def parse_callout_url(url: str) -> tuple[str, str]:
    """Return the named credential's name and the rest of `callout:Name/path?query`. Raises `InvalidCallout`."""
    found = _CALLOUT_URL.fullmatch(url)
    if found is None:
        raise InvalidCallout("A callout's address is callout:Name/path?query, Name being a named credential.")
    if _CONTROL.search(url):
        raise InvalidCallout("A callout's address has no blanks or control characters; encode them (%20).")
    if "#" in url:
        raise InvalidCallout("A callout's address has no fragment; encode a # that belongs to the path (%23).")
    return found["name"], found["rest"]


def prepare(
    method: str,
    url: str,
    *,
    params: Params,
    json: Any,
    data: Data,
    headers: Mapping[str, str] | None,
    idempotency_key: str | None,
    max_body_bytes: int,
) -> requests.PreparedRequest:
    """Return the request to `url` (a whole address), not yet signed. Raises `InvalidCallout` and `BodyTooLarge`."""
    if method not in METHODS:
        raise InvalidCallout(f"A callout's method is one of {', '.join(METHODS)}.")
    if json is not None and data is not None:
        raise InvalidCallout("A callout has json or data, not both.")
    try:
        prepared = requests.Request(
            method,
            url,
            params=params,
            json=json,
            data=_sendable(data),
            headers=_headers(headers, idempotency_key),
        ).prepare()
    except (requests.RequestException, UnicodeError) as error:
        raise InvalidCallout(f"The callout cannot be put on the wire: {type(error).__name__}.") from error
    if isinstance(prepared.body, str):
        prepared.body = prepared.body.encode()
    if prepared.body is not None and len(prepared.body) > max_body_bytes:
        raise BodyTooLarge(f"The request body has {len(prepared.body)} bytes; at most {max_body_bytes} are sent.")
    _refuse_other_origin(url, prepared.url or "")
    return prepared


def _headers(given: Mapping[str, str] | None, idempotency_key: str | None) -> dict[str, str]:
    own = {
        "User-Agent": "Isthmus",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        correlation.HEADER: correlation.current_or_new(),
    }
    if idempotency_key is not None:
        own[IDEMPOTENCY_KEY_HEADER] = idempotency_key
    theirs = dict(given or {})
    names = {name.lower() for name in theirs}
    if idempotency_key is not None and IDEMPOTENCY_KEY_HEADER.lower() in names:
        raise InvalidCallout("The idempotency key is given twice: as an argument and as a header.")
    merged = {name: value for name, value in own.items() if name.lower() not in names} | theirs
    for name, value in merged.items():
        _refuse_header(name, value)
    return merged


def _refuse_header(name: str, value: object) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidCallout("A header's name holds letters, digits and hyphens only.")
    if name.lower() in _TRANSPORT_HEADERS:
        raise InvalidCallout(f"The header {name} is the transport's own and cannot be given.")
    if not isinstance(value, str) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value) or value != value.strip():
        raise InvalidCallout(f"The value of header {name} must be one line of text, without blanks around it.")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidCallout(f"The value of header {name} has characters that a header cannot carry.") from error


def _sendable(data: Data) -> Any:
    if data is None or isinstance(data, bytes | Mapping):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, list | tuple):
        return list(data)
    # A body is logged, and sent again after a token was refreshed: it must be there as a whole.
    raise InvalidCallout("A callout's data is text, bytes, or form fields; read a file or iterator first.")


def _refuse_other_origin(url: str, prepared_url: str) -> None:
    asked, result = urlsplit(url), urlsplit(prepared_url)
    if (asked.scheme.lower(), asked.netloc.lower()) != (result.scheme, result.netloc.lower()):
        raise InvalidCallout("The callout's address is ambiguous.")
