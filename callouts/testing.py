"""Answers callouts inside a test, so that nothing leaves.

def test_the_application_is_submitted(db, callout_mock):
    callout_mock.post("callout:AcmeMortgages/applications", status=201, json={"id": "A-1"})
    submit_application(lead)
    assert callout_mock.calls[0].json() == {"amount": 250_000}

Everything before the wire is real: the named credential and its permissions, the signature, limits, the integration
log. A call that no answer was given for is an error. Token requests of an authentication protocol are answered by
their whole address (`callout_mock.post("https://login.example/token", json={...})`).
"""

import http.client
import io
import json as json_text
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from callouts import egress
from callouts.errors import CalloutError
from callouts.requesting import METHODS

__all__ = ["Call", "CalloutMock", "UnexpectedCallout", "callout_mock"]


class UnexpectedCallout(AssertionError):
    """A callout was made for which the test gave no answer."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it would have gone out, signed."""

    method: str
    url: str
    """As code asked for it: `callout:Name/path?query`; whole for token requests."""
    headers: Mapping[str, str]
    body: bytes
    timeout: float
    """Seconds that were left for it."""

    def json(self) -> Any:
        """Return the body as JSON."""
        return json_text.loads(self.body)

    def form(self) -> dict[str, str]:
        """Return the body's form fields; of a repeated one the last."""
        return {name: values[-1] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass(frozen=True, kw_only=True)
class _Given:
    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    error: CalloutError | None

    def fits(self, method: str, url: str) -> bool:
        # Where the test names no query, any will do.
        return self.method == method and self.url in {url, url.partition("?")[0]}


class CalloutMock:
    """A sender, in place of the egress gate, that gives prepared answers and keeps what was sent."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._given: list[_Given] = []

    def add(
        self,
        method: str,
        url: str,
        *,
        status: int = 200,
        json: Any = None,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
        error: CalloutError | None = None,
    ) -> None:
        """Give an answer to `method` and `url`; several for the same are given in this order, the last one for ever.

        `json` or `body` is the answer's body. `error` is raised in place of an answer.
        """
        if method not in METHODS:
            raise ValueError(f"{method!r} is not a method of callouts.")
        content = json_text.dumps(json).encode() if json is not None else body
        kind = {"Content-Type": "application/json"} if json is not None else {}
        self._given.append(
            _Given(
                method=method,
                url=url,
                status=status,
                headers={**kind, **(headers or {})},
                body=content.encode() if isinstance(content, str) else content,
                error=error,
            )
        )

    def get(self, url: str, **answer: Any) -> None:
        """Give an answer to GET; see `add`."""
        self.add("GET", url, **answer)

    def post(self, url: str, **answer: Any) -> None:
        """Give an answer to POST; see `add`."""
        self.add("POST", url, **answer)

    def put(self, url: str, **answer: Any) -> None:
        """Give an answer to PUT; see `add`."""
        self.add("PUT", url, **answer)

    def patch(self, url: str, **answer: Any) -> None:
        """Give an answer to PATCH; see `add`."""
        self.add("PATCH", url, **answer)

    def delete(self, url: str, **answer: Any) -> None:
        """Give an answer to DELETE; see `add`."""
        self.add("DELETE", url, **answer)

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        route: egress.Route,
        deadline: egress.Deadline,
        timing: egress.Timing | None = None,
    ) -> requests.Response:
        """Give the prepared answer. Raises `UnexpectedCallout` when there is none."""
        method, url = request.method or "", route.callout_url or request.url or ""
        body = request.body or b""
        self.calls.append(
            Call(
                method=method,
                url=url,
                headers=CaseInsensitiveDict(request.headers),
                body=body.encode() if isinstance(body, str) else bytes(body),
                timeout=deadline.remaining(),
            )
        )
        given = self._next(method, url)
        if given.error is not None:
            raise given.error
        return _answer(request, given)

    def _next(self, method: str, url: str) -> _Given:
        fitting = [given for given in self._given if given.fits(method, url)]
        if not fitting:
            known = ", ".join(f"{given.method} {given.url}" for given in self._given) or "nothing"
            raise UnexpectedCallout(f"{method} {url} was called; answers were given for: {known}.")
        if len(fitting) > 1:
            self._given.remove(fitting[0])
        return fitting[0]


@pytest.fixture
def callout_mock() -> Iterator[CalloutMock]:
    """Answers every callout of the test; see the module."""
    mock = CalloutMock()
    with egress.use(mock):
        yield mock


def _answer(request: requests.PreparedRequest, given: _Given) -> requests.Response:
    answer = requests.Response()
    answer.status_code = given.status
    answer.reason = http.client.responses.get(given.status, "")
    answer.headers = CaseInsensitiveDict(given.headers)
    answer.encoding = get_encoding_from_headers(answer.headers)
    answer.raw = io.BytesIO(given.body)
    answer.url = request.url or ""
    answer.request = request
    return answer
