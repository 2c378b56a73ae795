"""Which redirects a callout follows: those that stay within the origin and do not change what is asked.

A redirect is followed by a new, newly signed request. 301 and 302 are followed for GET and HEAD only, because for other
methods clients disagree on whether the body goes along (https://www.rfc-editor.org/rfc/rfc9110#section-15.4); such an
answer is returned as it is.
"""

from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from callouts.errors import RedirectRefused
from credentials.origins import Origin

__all__ = ["is_same_origin", "next_request"]

_AS_IT_WAS = {307, 308}
_SEE_OTHER = 303
_FOR_READS = {301, 302, 303}
_BODY_HEADERS = ("Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding")


def next_request(
    asked: requests.PreparedRequest, answer: requests.Response, *, within: Origin
) -> requests.PreparedRequest | None:
    """Return the request that the redirect asks for, or `None` when the answer is one to return.

    Raises `RedirectRefused` when it leads out of the origin, its path included.
    """
    location = answer.headers.get("Location", "")
    is_read = asked.method in {"GET", "HEAD"}
    sees_other = answer.status_code == _SEE_OTHER and not is_read
    if not location or not (
        answer.status_code in _AS_IT_WAS or sees_other or (is_read and answer.status_code in _FOR_READS)
    ):
        return None
    follow_up = asked.copy()
    follow_up.url = _target(asked.url or "", location, within)
    if sees_other:
        follow_up.method = "GET"
        follow_up.body = None
        for name in _BODY_HEADERS:
            follow_up.headers.pop(name, None)
    return follow_up


def is_same_origin(one: str, other: str) -> bool:
    """Return whether two addresses have scheme, host and port in common."""
    try:
        return _origin(urlsplit(one)) == _origin(urlsplit(other))
    except ValueError:
        return False


def _target(asked_url: str, location: str, within: Origin) -> str:
    # What http.client reads as Latin-1 is UTF-8 where servers send more than ASCII.
    readable = location.encode("latin-1", "replace").decode("utf-8", "replace")
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(urljoin(asked_url, readable), None)
    except (ValueError, requests.RequestException) as error:
        raise RedirectRefused("The answer is a redirect to something that is no address.") from error
    target = prepared.url or ""
    if not is_same_origin(asked_url, target) or urlsplit(target).username is not None:
        host = urlsplit(target).hostname or "another scheme"
        raise RedirectRefused(f"The answer is a redirect to {host}, outside of the named credential's origin.")
    if not within.holds_path(urlsplit(target).path):
        raise RedirectRefused("The answer is a redirect out of the named credential's path.")
    return target


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
