"""Answers callouts inside a test, so that nothing leaves.

def test_the_application_is_submitted(db, callout_mock):
    callout_mock.post("callout:AcmeMortgages/applications", status=201, json={"id": "A-1"})
    submit_application(lead)
    assert callout_mock.calls[0].json() == {"amount": 250_000}

Everything before the wire is real: the named credential and its permissions, the signature, limits, the integration
log. A call that no answer was given for is an error. Token requests of an authentication protocol are answered by
their whole address (`callout_mock.post("https://login.example/token", json={...})`).

An answer can be made by a function of the call, and a whole conversation can be recorded once against the real service
and replayed ever after:

    callout_mock.post("callout:Bank/loans", respond=lambda call: Answer(status=201, json=call.json()))
    callout_mock.replay(Path(__file__).with_name("bank.json"))

`real_network_refused`, imported into a `conftest.py`, keeps all tests there from reaching anything but this machine.
"""

import http.client
import io
import ipaddress
import json as json_text
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from callouts import egress
from callouts.bodies import SpooledBody
from callouts.errors import CalloutError
from callouts.recordings import Recorder, Replay
from callouts.requesting import METHODS

__all__ = [
    "Answer",
    "Call",
    "CalloutMock",
    "RealNetworkRefused",
    "UnexpectedCallout",
    "answered",
    "callout_mock",
    "content_of",
    "real_network_refused",
]

RECORD_VARIABLE = "ISTHMUS_RECORD_CALLOUTS"


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


class RealNetworkRefused(AssertionError):
    """A test tried to reach another machine."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the other side answers: `json` or `body`."""

    status: int = 200
    json: Any = None
    body: str | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """Return the body as it goes over the wire."""
        given = json_text.dumps(self.json) if self.json is not None else self.body
        return given.encode() if isinstance(given, str) else given

    def all_headers(self) -> dict[str, str]:
        """Return the headers, the type of a JSON body included."""
        return {**({"Content-Type": "application/json"} if self.json is not None else {}), **self.headers}


@dataclass(frozen=True, kw_only=True)
class _Given:
    method: str
    url: str
    answer: Answer | None
    error: CalloutError | None
    respond: Callable[[Call], Answer] | None

    def fits(self, method: str, url: str) -> bool:
        # Where the test names no query, any will do.
        return self.method == method and self.url in {url, url.partition("?")[0]}


class CalloutMock:
    """A sender, in place of the egress gate, that gives prepared answers and keeps what was sent."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._given: list[_Given] = []
        self._used: set[int] = set()
        self._replay: Replay | None = None
        self._recorder: Recorder | None = None

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
        respond: Callable[[Call], Answer] | None = None,
    ) -> None:
        """Give an answer to `method` and `url`; several for the same are given in this order, the last one for ever.

        `json` or `body` is the answer's body. `error` is raised in place of an answer. `respond` makes the answer from
        the call.
        """
        if method not in METHODS:
            raise ValueError(f"{method!r} is not a method of callouts.")
        answer = Answer(status=status, json=json, body=body, headers=headers or {})
        self._given.append(_Given(method=method, url=url, answer=answer, error=error, respond=respond))

    def replay(self, path: Path) -> None:
        """Answer from a recording, strictly: the same calls, with the same bodies, in the same order, all of them.

        With the environment variable `ISTHMUS_RECORD_CALLOUTS=1` the calls go to the real service, and the recording is
        written when the test ends; secrets in it are masked as in the integration log.
        """
        if os.environ.get(RECORD_VARIABLE):
            self._recorder = Recorder(path, egress.EgressGate())
        elif not path.exists():
            raise UnexpectedCallout(f"There is no recording {path.name}; make it once with {RECORD_VARIABLE}=1.")
        else:
            self._replay = Replay(path)

    def unused(self) -> list[str]:
        """Return the answers that were given and that nothing has asked for, as `METHOD url`."""
        return [f"{one.method} {one.url}" for one in self._given if id(one) not in self._used]

    def finish(self) -> None:
        """Write what was recorded, or see to it that all of a recording was used. Called when the test ends."""
        if self._recorder is not None:
            self._recorder.write()
        if self._replay is not None and (left := self._replay.left()):
            raise UnexpectedCallout(f"The recording goes on: {left} was not called.")

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
        call = Call(
            method=method,
            url=url,
            headers=CaseInsensitiveDict(request.headers),
            body=content_of(request.body),
            timeout=deadline.remaining(),
        )
        self.calls.append(call)
        if self._recorder is not None:
            return self._recorder.send(request, route=route, deadline=deadline, timing=timing, body=call.body)
        if self._replay is not None:
            status, headers, content = self._replay.next(method, url, call.body, call.headers)
            return answered(request, Answer(status=status, headers=headers, body=content))
        given = self._next(method, url)
        if given.error is not None:
            raise given.error
        return answered(request, given.respond(call) if given.respond else given.answer or Answer())

    def _next(self, method: str, url: str) -> _Given:
        fitting = [given for given in self._given if given.fits(method, url)]
        if not fitting:
            known = ", ".join(f"{given.method} {given.url}" for given in self._given) or "nothing"
            raise UnexpectedCallout(f"{method} {url} was called; answers were given for: {known}.")
        if len(fitting) > 1:
            self._given.remove(fitting[0])
        self._used.add(id(fitting[0]))
        return fitting[0]


@pytest.fixture
def callout_mock() -> Iterator[CalloutMock]:
    """Answers every callout of the test; see the module."""
    mock = CalloutMock()
    with egress.use(mock):
        yield mock
    mock.finish()


@pytest.fixture(autouse=True)
def real_network_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test from reaching another machine, by callouts or otherwise; this machine's own addresses stay open."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        _refuse_far(self, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        _refuse_far(self, address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


def _refuse_far(sock: socket.socket, address: Any) -> None:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = str(address[0])
    try:
        is_near = ipaddress.ip_address(host.split("%", 1)[0]).is_loopback
    except ValueError:
        is_near = host == "localhost"
    if not is_near:
        # Who called does not expect this error, and would leave the socket open.
        sock.close()
        raise RealNetworkRefused(f"The test tried to reach {host}; give an answer with callout_mock.")


def content_of(body: Any) -> bytes:
    """Return a request's body, which may be read from a file."""
    if isinstance(body, SpooledBody):
        body.rewind()
        return body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def answered(request: requests.PreparedRequest, given: Answer) -> requests.Response:
    """Return what a sender returns for a request."""
    answer = requests.Response()
    answer.status_code = given.status
    answer.reason = http.client.responses.get(given.status, "")
    answer.headers = CaseInsensitiveDict(given.all_headers())
    answer.encoding = get_encoding_from_headers(answer.headers)
    answer.raw = io.BytesIO(given.content())
    answer.url = request.url or ""
    answer.request = request
    return answer
