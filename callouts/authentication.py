"""Drives an authentication protocol: sends what it asks for, and at last the signed request.

Protocols do no I/O of their own. They are generators that yield requests and are sent the answers; what they yield goes
out through the egress gate like everything else, within the same deadline.
"""

from collections.abc import Callable, Generator
from typing import Protocol
from urllib.parse import urlsplit

import requests

from callouts.errors import CalloutFailed, CalloutInDoubt, SigningFailed

__all__ = ["AuthenticationFlow", "drive"]

Send = Callable[[requests.PreparedRequest, bool], requests.Response]
"""Sends a request; the second argument says whether it is the callout itself."""


class AuthenticationFlow(Protocol):
    """What signs one request."""

    def flow(self, request: requests.PreparedRequest) -> Generator[requests.PreparedRequest, requests.Response, None]:
        """Yield what must be sent first (token requests), then `request` signed, once more after a refresh."""


def drive(authentication: AuthenticationFlow, request: requests.PreparedRequest, send: Send) -> requests.Response:
    """Return the answer to the signed request.

    Raises what `send` raises for the callout itself; when a request before it goes wrong, `SigningFailed` or what the
    protocol makes of it: then the callout was not sent, and nothing is in doubt.
    """
    asked = _place(request)
    answer: requests.Response | None = None
    is_callout = False
    steps = authentication.flow(request.copy())
    try:
        outgoing = next(steps)
        while True:
            is_callout = _place(outgoing) == asked
            try:
                answer = send(outgoing, is_callout)
            except (CalloutFailed, CalloutInDoubt) as error:
                # The protocol learns of it, so that it can give back what it holds.
                outgoing = steps.throw(error if is_callout else _before_the_callout(error))
            else:
                outgoing = steps.send(answer)
    except StopIteration:
        if answer is None or not is_callout:
            raise SigningFailed("The authentication protocol ended without a signed request.") from None
        return answer
    finally:
        steps.close()


def _before_the_callout(error: CalloutFailed | CalloutInDoubt) -> SigningFailed:
    failed = SigningFailed(f"No token, so the callout was not sent: {error.message}")
    failed.__cause__ = error
    return failed


def _place(request: requests.PreparedRequest) -> tuple[str | None, str, str, str]:
    # A protocol may add to the query (keys, signatures) but not change where the request goes.
    parts = urlsplit(request.url or "")
    return request.method, parts.scheme, parts.netloc, parts.path
