"""Doubles of external services inside a test, made from their documents.

def test_an_approval_qualifies_the_lead(db, external_service_mock):
    bank = external_service_mock("AcmeMortgages")
    submit_application(lead)
    assert bank.received[0].operation == "submit_application"
    bank.call_back("applicationOutcomeApproved", {"applicationNumber": "A-1", "status": "approved"})

Requests are checked against the document: one that does not fit is answered 422 and says why. Answers are the
document's examples, or values made from its schemas, unless the test prepares others:
`bank.answer("submit_application", status=409, json={...})`. Token requests of OAuth credentials are answered too.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
import requests
from django.test import Client

from callouts import egress
from callouts.external_services.errors import NotConnected, UnknownExternalService
from callouts.external_services.mock.double import Double, Given, Received
from callouts.external_services.models import ExternalService
from callouts.requesting import parse_callout_url
from callouts.testing import Answer, UnexpectedCallout, answered, content_of

__all__ = ["ServiceMock", "external_service_mock"]


class ServiceMock:
    """A double of one service."""

    def __init__(self, name: str) -> None:
        """Raise `UnknownExternalService`, and `NotConnected` for a service without a named credential."""
        service = (
            ExternalService.objects.select_related("active_version__service", "named_credential")
            .filter(name=name, active_version__isnull=False)
            .first()
        )
        if service is None or service.active_version is None:
            raise UnknownExternalService(f"No external service is registered as {name!r}.")
        if service.named_credential is None:
            raise NotConnected(f"{name} has no named credential; give it one.")
        self.credential = service.named_credential.name
        self._double = Double(service.active_version)
        self._client = Client()

    @property
    def received(self) -> list[Received]:
        """What reached the double, the first one first."""
        return self._double.received

    def answer(
        self,
        operation: str,
        *,
        status: int = 200,
        json: Any = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        """Answer an operation with this; several are given in this order, the last one for ever."""
        given = Given(status=status, body=json, written=body, headers=headers or {}, content_type=content_type)
        self._double.prepare(operation, given)

    def call_back(self, name: str, body: Any = None, *, method: str = "", received: Received | None = None) -> Any:
        """Call back, as the request that was received last (or another one) asked for; return the platform's answer.

        `body`: `None` makes one from the document.
        """
        callback = self._double.callback(name, body=body, method=method, received=received)
        parts = urlsplit(callback.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return self._client.generic(callback.method, target, callback.body, content_type=callback.content_type)

    def take(self, request: requests.PreparedRequest, url: str) -> Answer:
        """Answer a request to `callout:Credential/path`."""
        _, path = parse_callout_url(url)
        given = self._double.answer(request.method or "", path, dict(request.headers), content_of(request.body))
        headers = {**given.headers, **({"Content-Type": given.content_type} if given.written else {})}
        return Answer(status=given.status, body=given.written, headers=headers)


class _Sender:
    """Hands each callout to the double of its service; token requests get a token."""

    def __init__(self) -> None:
        self.doubles: dict[str, ServiceMock] = {}

    def send(
        self,
        request: requests.PreparedRequest,
        *,
        route: egress.Route,
        deadline: egress.Deadline,
        timing: egress.Timing | None = None,
    ) -> requests.Response:
        """Give the double's answer. Raises `UnexpectedCallout` for a callout to another service."""
        url = route.callout_url
        if url:
            name, _ = parse_callout_url(url)
            double = self.doubles.get(name)
            if double is None:
                known = ", ".join(self.doubles) or "nothing"
                raise UnexpectedCallout(f"{request.method} {url} was called; there are doubles of {known}.")
            taken = double.take(request, url)
            return answered(request, taken)
        token = {"access_token": "a-token-of-the-double", "token_type": "Bearer", "expires_in": 3600}
        return answered(request, Answer(json=token))


class _Factory(Protocol):
    def __call__(self, name: str) -> ServiceMock: ...


@pytest.fixture
def external_service_mock() -> Iterator[_Factory]:
    """Return a function that puts a double in place of a service; see the module."""
    sender = _Sender()

    def make(name: str) -> ServiceMock:
        double = ServiceMock(name)
        sender.doubles[double.credential] = double
        return double

    with ExitStack() as stack:
        stack.enter_context(egress.use(sender))
        yield make
