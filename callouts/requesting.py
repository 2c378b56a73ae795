"""Turns what user code asks for into a prepared request, refusing what could mean two things on the wire."""

import dataclasses
import json as json_text
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import IO, Any, TypeAlias
from urllib.parse import quote, urlsplit

import msgspec
import requests
from requests.structures import CaseInsensitiveDict

from callouts.bodies import SpooledBody, is_readable
from callouts.errors import BodyTooLarge, InvalidCallout
from isthmus import correlation

__all__ = ["Data", "Files", "Params", "Request", "filled", "parse_callout_url", "prepare", "spooled"]

Params: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | None
Data: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | Iterable[bytes] | IO[bytes] | str | bytes | None
Files: TypeAlias = Mapping[str, Any] | Iterable[tuple[str, Any]] | None

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
_CALLOUT_URL = re.compile(r"callout:(?P<name>[A-Za-z][A-Za-z0-9_]*)(?P<rest>(?:[/?].*)?)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What the transport itself decides; a second opinion would let one request look like two (request smuggling).
_TRANSPORT_HEADERS = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "proxy-authorization", "proxy-connection",
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A request that is not sent yet: what is enqueued. Arguments are those of `callouts.http`."""

    method: str
    url: str
    path: Mapping[str, object] | None = None
    params: Params = None
    json: Any = None
    data: "Data | SpooledBody" = None
    files: Files = None
    headers: Mapping[str, str] | None = None
    timeout: float | None = None


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


def filled(url: str, path: Mapping[str, object] | None) -> str:
    """Return the address with each `{name}` of its path replaced by a value, escaped. Raises `InvalidCallout`.

    >>> filled("callout:Bank/customers/{id}/notes", {"id": "A/7 ?"})
    'callout:Bank/customers/A%2F7%20%3F/notes'
    """
    if path is None:
        return url
    place, mark, query = url.partition("?")
    names = set(_PLACEHOLDER.findall(place))
    if names != set(path):
        unlike = ", ".join(sorted(names ^ set(path)))
        raise InvalidCallout(f"The address and its path values do not agree on: {unlike}.")
    return _PLACEHOLDER.sub(lambda found: _escaped(found[1], path[found[1]]), place) + mark + query


def _escaped(name: str, value: object) -> str:
    text = str(value)
    if text in {"", ".", ".."}:
        raise InvalidCallout(f"The path value {name} is empty or only dots; it would change the path itself.")
    return quote(text, safe="")


def spooled(data: "Data | SpooledBody", *, max_body_bytes: int) -> Data | SpooledBody:
    """Return `data` so that it can be sent more than once: what must be read is read now.

    Raises `BodyTooLarge` and `InvalidCallout`.
    """
    if isinstance(data, SpooledBody) or not is_readable(data):
        return data
    return SpooledBody(data, at_most_bytes=max_body_bytes)  # type: ignore[arg-type]  # it gives bytes, or is refused


def prepare(
    method: str,
    url: str,
    *,
    params: Params,
    json: Any,
    data: "Data | SpooledBody",
    headers: Mapping[str, str] | None,
    idempotency_key: str | None,
    max_body_bytes: int,
    files: Files = None,
) -> requests.PreparedRequest:
    """Return the request to `url` (a whole address), not yet signed. Raises `InvalidCallout` and `BodyTooLarge`."""
    if method not in METHODS:
        raise InvalidCallout(f"A callout's method is one of {', '.join(METHODS)}.")
    if sum(given is not None for given in (json, data)) + (json is not None and files is not None) > 1:
        raise InvalidCallout("A callout has json, or data and files, not both.")
    prepared = requests.PreparedRequest()
    try:
        prepared.method = method
        prepared.url = _prepared_url(url) if not params else _with_params(url, params)
        prepared.headers = _headers(headers, idempotency_key)
        prepared._cookies = None  # type: ignore[attr-defined]  # noqa: SLF001 - what copy() asks for; there are none
        prepared.hooks = {"response": []}
        _set_body(prepared, json=json, data=_sendable(data), files=files)
    except (requests.RequestException, UnicodeError, TypeError, ValueError) as error:
        raise InvalidCallout(f"The callout cannot be put on the wire: {type(error).__name__}.") from error
    if isinstance(prepared.body, str):
        prepared.body = prepared.body.encode()
    if prepared.body is not None and len(prepared.body) > max_body_bytes:
        raise BodyTooLarge(f"The request body has {len(prepared.body)} bytes; at most {max_body_bytes} are sent.")
    if params:
        _refuse_other_origin(url, prepared.url or "")
    return prepared


def _with_params(url: str, params: Params) -> str:
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, params)
    return prepared.url or ""


@lru_cache(maxsize=1_024)
def _prepared_url(url: str) -> str:
    # Code calls the same few addresses again and again; parsing one costs a tenth of a callout.
    prepared = requests.PreparedRequest()
    prepared.prepare_url(url, None)
    _refuse_other_origin(url, prepared.url or "")
    return prepared.url or ""


def _set_body(prepared: requests.PreparedRequest, *, json: Any, data: Any, files: Files) -> None:
    if json is not None:
        plain = msgspec.to_builtins(json) if dataclasses.is_dataclass(json) else json
        prepared.body = json_text.dumps(plain, allow_nan=False).encode()
        prepared.headers.setdefault("Content-Type", "application/json")
    elif isinstance(data, SpooledBody):
        prepared.body = data  # type: ignore[assignment]  # a file, for requests and for HTTP clients
    elif data is not None or files is not None:
        prepared.prepare_body(data, files)
        return
    else:
        prepared.body = None
    if prepared.body is not None:
        prepared.headers["Content-Length"] = str(len(prepared.body))
    elif prepared.method not in {"GET", "HEAD"}:
        prepared.headers["Content-Length"] = "0"


def _headers(given: Mapping[str, str] | None, idempotency_key: str | None) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(
        {
            "User-Agent": "Isthmus",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
            correlation.HEADER: correlation.current_or_new(),
        }
    )
    for name, value in (given or {}).items():
        _refuse_header(name, value)
        headers[name] = value
    if idempotency_key is not None:
        if IDEMPOTENCY_KEY_HEADER in headers:
            raise InvalidCallout("The idempotency key is given twice: as an argument and as a header.")
        _refuse_header(IDEMPOTENCY_KEY_HEADER, idempotency_key)
        headers[IDEMPOTENCY_KEY_HEADER] = idempotency_key
    return headers


def _refuse_header(name: str, value: object) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise InvalidCallout("A header's name holds letters, digits and hyphens only.")
    if name.lower() in _TRANSPORT_HEADERS:
        raise InvalidCallout(f"The header {name} is the transport's own and cannot be given.")
    if not isinstance(value, str) or _NOT_IN_HEADERS.search(value) or value != value.strip():
        raise InvalidCallout(f"The value of header {name} must be one line of text, without blanks around it.")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidCallout(f"The value of header {name} has characters that a header cannot carry.") from error


def _sendable(data: "Data | SpooledBody") -> Any:
    if data is None or isinstance(data, bytes | Mapping | SpooledBody):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, list | tuple):
        return list(data)
    raise InvalidCallout("A callout's data is text, bytes, form fields, a file opened in binary mode, or an iterator.")


def _refuse_other_origin(url: str, prepared_url: str) -> None:
    asked, result = urlsplit(url), urlsplit(prepared_url)
    if (asked.scheme.lower(), asked.netloc.lower()) != (result.scheme, result.netloc.lower()):
        raise InvalidCallout("The callout's address is ambiguous.")
