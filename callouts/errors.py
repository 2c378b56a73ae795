"""What can go wrong with a callout, split by what it means for a retry.

CalloutError
├── CalloutRefused             it never left: nothing happened outside, and the same call is refused again
│   ├── UncommittedWorkPending   the transaction holds writes
│   ├── LimitExceeded            the transaction has used up its callouts or its callout time
│   ├── EgressRefused            the address is one that callouts may not reach
│   ├── BodyTooLarge             the request body is over the limit
│   ├── CircuitOpen              the destination failed too often; it is left alone for a while
│   ├── DryRun                   the destination is in dry-run mode
│   └── InvalidCallout           the call is malformed: URL, method, header, body
├── CalloutFailed              it is over, and nothing is in doubt
│   ├── ConnectFailed            no connection; nothing was sent
│   ├── TlsFailed                the other side could not prove who it is; nothing was sent
│   ├── SigningFailed            the token endpoint gave no answer; the callout itself was not sent
│   ├── LeaseExpired             another worker may have taken the queued callout over; nothing was sent
│   ├── RedirectRefused          answered with a redirect that leaves the credential's origin
│   └── TooManyRedirects         answered with redirects without end
└── CalloutInDoubt             it was sent and the answer is lost: the other side may or may not have acted
    ├── AnswerTimedOut           no complete answer within the time limit
    ├── ConnectionLost           the connection ended before the answer
    ├── ResponseBroken           the answer is cut short or is not HTTP
    ├── AnswerTooLarge           the answer is over the size limit and was not read to its end
    ├── AnswerNotRead            a streamed answer was closed before its end
    └── RepeatableInDoubt        the same, where repeating is known to be safe
AnswerRejected                 an answer came, and it is not one that was asked for; the callout itself is over
├── ErrorAnswered              it has an error status
└── AnswerDoesNotFit           it is not of the type that was asked for
"""

from typing import ClassVar

import requests

from isthmus.errors import IsthmusError

__all__ = [
    "AnswerDoesNotFit",
    "AnswerNotRead",
    "AnswerRejected",
    "AnswerTimedOut",
    "AnswerTooLarge",
    "BodyTooLarge",
    "CalloutError",
    "CalloutFailed",
    "CalloutInDoubt",
    "CalloutRefused",
    "CircuitOpen",
    "ConnectFailed",
    "ConnectionLost",
    "DryRun",
    "EgressRefused",
    "ErrorAnswered",
    "InvalidCallout",
    "LeaseExpired",
    "LimitExceeded",
    "RedirectRefused",
    "RepeatableInDoubt",
    "ResponseBroken",
    "SigningFailed",
    "TlsFailed",
    "TooManyRedirects",
    "UncommittedWorkPending",
]


class CalloutError(IsthmusError):
    """The callout has no answer."""

    code: ClassVar[str] = "CALLOUT_ERROR"
    status: ClassVar[int] = 502


class CalloutRefused(CalloutError):
    """The callout was refused before it left."""

    code: ClassVar[str] = "CALLOUT_REFUSED"
    status: ClassVar[int] = 500


class UncommittedWorkPending(CalloutRefused):
    """You have uncommitted work pending. Commit first, or use callouts.enqueue(...): it leaves after the commit."""

    code: ClassVar[str] = "UNCOMMITTED_WORK_PENDING"


class LimitExceeded(CalloutRefused):
    """The limit on callouts in one transaction is reached."""

    code: ClassVar[str] = "LIMIT_EXCEEDED"


class EgressRefused(CalloutRefused):
    """The address is one that callouts may not reach."""

    code: ClassVar[str] = "EGRESS_REFUSED"


class BodyTooLarge(CalloutRefused):
    """The request body is larger than callouts may send."""

    code: ClassVar[str] = "REQUEST_BODY_TOO_LARGE"


class CircuitOpen(CalloutRefused):
    """The destination failed too often in a row; for a while nothing is sent to it."""

    code: ClassVar[str] = "CIRCUIT_OPEN"
    status: ClassVar[int] = 503
    retryable: ClassVar[bool] = True


class DryRun(CalloutRefused):
    """The destination is in dry-run mode: nothing is sent to it."""

    code: ClassVar[str] = "DRY_RUN"


class InvalidCallout(CalloutRefused):
    """The callout is malformed."""

    code: ClassVar[str] = "INVALID_CALLOUT"


class CalloutFailed(CalloutError):
    """The callout failed, and nothing is in doubt."""

    code: ClassVar[str] = "CALLOUT_FAILED"
    retryable: ClassVar[bool] = True


class ConnectFailed(CalloutFailed):
    """No connection could be made; nothing was sent."""

    code: ClassVar[str] = "CONNECT_FAILED"


class TlsFailed(CalloutFailed):
    """The other side could not prove who it is; nothing was sent."""

    code: ClassVar[str] = "TLS_FAILED"


class SigningFailed(CalloutFailed):
    """The token endpoint gave no answer; the callout itself was not sent."""

    code: ClassVar[str] = "SIGNING_FAILED"


class LeaseExpired(CalloutFailed):
    """The worker held the queued callout for too long; another one may have taken it over. Nothing was sent."""

    code: ClassVar[str] = "LEASE_EXPIRED"


class RedirectRefused(CalloutFailed):
    """The answer is a redirect that leaves the named credential's origin."""

    code: ClassVar[str] = "REDIRECT_REFUSED"
    retryable: ClassVar[bool] = False


class TooManyRedirects(CalloutFailed):
    """The answer is one redirect after another."""

    code: ClassVar[str] = "TOO_MANY_REDIRECTS"
    retryable: ClassVar[bool] = False


class CalloutInDoubt(CalloutError):
    """The request was sent and its answer is lost: the other side may or may not have acted on it."""

    code: ClassVar[str] = "CALLOUT_IN_DOUBT"
    status: ClassVar[int] = 504


class AnswerTimedOut(CalloutInDoubt):
    """The request was sent; no complete answer came within the time limit."""

    code: ClassVar[str] = "ANSWER_TIMED_OUT"


class ConnectionLost(CalloutInDoubt):
    """The request was sent; the connection ended before the answer."""

    code: ClassVar[str] = "CONNECTION_LOST"


class ResponseBroken(CalloutInDoubt):
    """The request was sent; its answer is cut short or is not HTTP."""

    code: ClassVar[str] = "RESPONSE_BROKEN"


class AnswerTooLarge(CalloutInDoubt):
    """The request was sent; its answer is larger than callouts may read."""

    code: ClassVar[str] = "ANSWER_TOO_LARGE"


class AnswerNotRead(CalloutInDoubt):
    """The streamed answer was closed before its end."""

    code: ClassVar[str] = "ANSWER_NOT_READ"


class RepeatableInDoubt(CalloutInDoubt):
    """The request was sent and its answer is lost; repeating it is safe."""

    code: ClassVar[str] = "REPEATABLE_IN_DOUBT"
    retryable: ClassVar[bool] = True


class AnswerRejected(IsthmusError):
    """An answer came, and it is not one that was asked for; the callout itself is over."""

    code: ClassVar[str] = "ANSWER_REJECTED"
    status: ClassVar[int] = 502

    def __init__(self, message: str = "", *, response: requests.Response) -> None:
        super().__init__(message)
        self.response = response
        """The answer."""


class ErrorAnswered(AnswerRejected):
    """The answer has an error status."""

    code: ClassVar[str] = "ERROR_ANSWERED"


class AnswerDoesNotFit(AnswerRejected):
    """The answer is not of the type that was asked for."""

    code: ClassVar[str] = "ANSWER_DOES_NOT_FIT"

    def __init__(self, message: str = "", *, response: requests.Response, field: str = "") -> None:
        super().__init__(message, response=response)
        self.field = field
        """The path of the field that does not fit, such as `address.zip`; "" for the whole."""
