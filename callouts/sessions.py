"""A `requests.Session` for libraries that want one: each request it sends is a callout."""

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from django.contrib.auth.models import AbstractUser
from requests.adapters import BaseAdapter

from callouts.bodies import is_readable
from callouts.client import Callout, perform
from callouts.errors import InvalidCallout

__all__ = ["CalloutSession"]

_OF_THE_TRANSPORT = {"content-length", "transfer-encoding"}


class CalloutSession(requests.Session):
    """Sends to `callout:Name/path` only, as `callouts.http` does.

    `user`: whose permissions count, `None` for the automated process. `operation` names the callouts in the
    integration log. No cookies, proxies, netrc files or certificates of its own; redirects are followed within the
    credential's origin.
    """

    def __init__(self, *, user: AbstractUser | None = None, operation: str = "") -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.adapters.clear()
        self.mount("callout:", _CalloutAdapter(user=user, operation=operation))

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Prepare as requests does, and keep the parameters, which it drops for schemes that it does not know."""
        prepared = super().prepare_request(request)
        if request.params or self.params:
            merged = requests.PreparedRequest()
            merged.prepare_url("http://callout.invalid/", {**self.params, **dict(request.params or {})})  # type: ignore[dict-item]  # a mapping here; anything else fails in dict()
            query = (merged.url or "").partition("?")[2]
            prepared.url = f"{prepared.url}{'&' if '?' in (prepared.url or '') else '?'}{query}"
        return prepared

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return `None`: redirects were followed where the credential is known."""
        return None


class _CalloutAdapter(BaseAdapter):
    def __init__(self, *, user: AbstractUser | None, operation: str) -> None:
        super().__init__()
        self._user = user
        self._operation = operation

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if not verify or cert or proxies:
            raise InvalidCallout("Verification, certificates and proxies of callouts are not the caller's to choose.")
        return perform(
            Callout(
                method=request.method or "GET",
                url=request.url or "",
                data=_body(request),
                headers={name: value for name, value in _headers(request) if name.lower() not in _OF_THE_TRANSPORT},
                stream=stream,
                timeout=_seconds(timeout),
                user=self._user,
                operation=self._operation,
            )
        )

    def close(self) -> None:
        pass


def _body(request: requests.PreparedRequest) -> Any:
    body: Any = request.body
    if body is None or isinstance(body, bytes | str) or is_readable(body):
        return body
    raise InvalidCallout("A callout's data is text, bytes, form fields, a file opened in binary mode, or an iterator.")


def _headers(request: requests.PreparedRequest) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in request.headers.items()]


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _seconds(timeout: float | tuple[float | None, float | None] | None) -> float | None:
    """Return one limit for all: requests' pair of limits, for the connection and for each read, added up."""
    if isinstance(timeout, tuple):
        return sum(part for part in timeout if part is not None) or None
    return timeout
