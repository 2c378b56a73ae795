"""What can go wrong with an external service.

ExternalServiceError
├── DocumentRefused             the document as a whole cannot be registered
│   ├── DocumentUnreadable          neither JSON nor YAML, or not a mapping
│   ├── DocumentTooLarge            a limit on size, depth, values or time was reached
│   └── VersionUnsupported          not OpenAPI 2.0, 3.0 or 3.1
├── UnknownExternalService      no service of that name
├── UnknownVersion              the service has no version of that number
├── UnknownOperation            no operation of that name in the version
├── MockUnprepared              a double was asked for what its document or its requests do not have
├── PagesUnknown                the document does not say how one page leads to the next
├── CannotConnect               no credential can be made from what the document says
├── NotConnected                the service has no named credential
├── ArgumentsRefused            the arguments do not fit the document; nothing was sent
├── HandlerRefused              the callback handler cannot be used; nothing was sent
├── ReferenceReused             the reference already stands for other arguments; nothing was sent
├── InvocationInDoubt           the request may have arrived and must not be sent again
├── ReceiptSettled              what was asked is possible only for a callback that was refused
├── InvocationFinished          what was asked is possible only while an invocation waits
├── UnexpectedAnswer            the service answered with something that the document does not know
│   └── RepeatableUnexpectedAnswer  … and repeating the request is safe
├── AnswerInvalid               the answer does not fit the document, and the service is set to fail then
└── OperationFailed             the service answered with an error status
    ├── RequestRefused              4xx: the same request will be refused again
    └── ServiceFailed               5xx, 408, 425, 429: trying again later may help
        └── ServiceInDoubt              but it may have acted, and nothing makes the same call again safe
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from isthmus.errors import IsthmusError

__all__ = [
    "AnswerInvalid",
    "ArgumentProblem",
    "ArgumentsRefused",
    "CannotConnect",
    "DocumentRefused",
    "DocumentTooLarge",
    "DocumentUnreadable",
    "ExternalServiceError",
    "HandlerRefused",
    "InvocationFinished",
    "InvocationInDoubt",
    "MockUnprepared",
    "NotConnected",
    "OperationFailed",
    "PagesUnknown",
    "ReceiptSettled",
    "ReferenceReused",
    "RepeatableUnexpectedAnswer",
    "RequestRefused",
    "ServiceFailed",
    "ServiceInDoubt",
    "UnexpectedAnswer",
    "UnknownExternalService",
    "UnknownOperation",
    "UnknownVersion",
    "VersionUnsupported",
]


class ExternalServiceError(IsthmusError):
    """An external service could not be used."""

    code = "EXTERNAL_SERVICE_ERROR"


class DocumentRefused(ExternalServiceError):
    """The document cannot be registered."""

    code = "INVALID_OPENAPI_DOCUMENT"
    status = 400


class DocumentUnreadable(DocumentRefused):
    """The document is neither JSON nor YAML."""

    code = "UNREADABLE_OPENAPI_DOCUMENT"


class DocumentTooLarge(DocumentRefused):
    """The document exceeds a limit."""

    code = "OPENAPI_DOCUMENT_TOO_LARGE"


class VersionUnsupported(DocumentRefused):
    """The document is not OpenAPI 2.0, 3.0 or 3.1."""

    code = "UNSUPPORTED_OPENAPI_VERSION"


class UnknownExternalService(ExternalServiceError):
    """No external service has that name."""

    code = "UNKNOWN_EXTERNAL_SERVICE"
    status = 404


class UnknownVersion(ExternalServiceError):
    """The external service has no version of that number."""

    code = "UNKNOWN_EXTERNAL_SERVICE_VERSION"
    status = 404


class MockUnprepared(ExternalServiceError):
    """A double was asked for what it does not have."""

    code = "MOCK_UNPREPARED"
    status = 409


class PagesUnknown(ExternalServiceError):
    """The document does not say how one page leads to the next."""

    code = "PAGES_UNKNOWN"
    status = 409


class CannotConnect(ExternalServiceError):
    """No credential can be made from what the document says."""

    code = "EXTERNAL_SERVICE_NOT_CONNECTABLE"
    status = 409


class UnknownOperation(ExternalServiceError):
    """The external service has no such operation."""

    code = "UNKNOWN_OPERATION"
    status = 404


class NotConnected(ExternalServiceError):
    """The external service has no named credential: nobody said where it is reached."""

    code = "EXTERNAL_SERVICE_NOT_CONNECTED"
    status = 409


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """One thing that is wrong with the arguments."""

    pointer: str
    """Where: a JSON pointer that starts with the argument's name, such as `/body/applicant/name`."""
    message: str


class ArgumentsRefused(ExternalServiceError):
    """The arguments do not fit the operation."""

    code = "INVALID_ARGUMENTS"
    status = 400

    def __init__(self, operation: str, problems: Sequence[ArgumentProblem]) -> None:
        self.problems = tuple(problems)
        lines = "; ".join(f"{problem.pointer}: {problem.message}" for problem in self.problems)
        super().__init__(f"{operation} was not called: {lines}", fields=[problem.pointer for problem in self.problems])


class HandlerRefused(ExternalServiceError):
    """The callback handler cannot be used."""

    code = "INVALID_CALLBACK_HANDLER"
    status = 400


class ReferenceReused(ExternalServiceError):
    """The reference already stands for other arguments."""

    code = "REFERENCE_REUSED"
    status = 409


class InvocationInDoubt(ExternalServiceError):
    """The request may have arrived, and the operation does not say how it may be repeated."""

    code = "INVOCATION_IN_DOUBT"
    status = 409


class InvocationFinished(ExternalServiceError):
    """The invocation is finished."""

    code = "INVOCATION_FINISHED"
    status = 409


class ReceiptSettled(ExternalServiceError):
    """The callback is dealt with."""

    code = "CALLBACK_SETTLED"
    status = 409


class UnexpectedAnswer(ExternalServiceError):
    """The service answered with something that its document does not know."""

    code = "UNEXPECTED_ANSWER"
    status = 502


class RepeatableUnexpectedAnswer(UnexpectedAnswer):
    """The service answered with something that its document does not know; repeating the request is safe."""

    retryable = True


class AnswerInvalid(ExternalServiceError):
    """The answer does not fit the document."""

    code = "ANSWER_INVALID"
    status = 502

    def __init__(self, operation: str, problems: "Sequence[ArgumentProblem]", answer: Any) -> None:
        self.problems = tuple(problems)
        self.answer = answer
        """The `OperationResponse`: the service did act."""
        lines = "; ".join(f"{problem.pointer}: {problem.message}" for problem in self.problems)
        super().__init__(f"{operation} answered with what its document does not say: {lines}")


class OperationFailed(ExternalServiceError):
    """The service answered with an error status."""

    code = "OPERATION_FAILED"
    status = 502
    response_kind: ClassVar[str] = "an error"

    def __init__(
        self,
        operation: str,
        *,
        response_status: int,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        invocation_id: UUID | None = None,
    ) -> None:
        self.response_status = response_status
        self.body = body
        """The answer's body: parsed where it is JSON, else text; `None` where there was none."""
        self.headers = dict(headers or {})
        self.invocation_id = invocation_id
        self.response: Any = None
        """The whole answer as an `OperationResponse`, typed by status."""
        super().__init__(f"{operation} answered {response_status}, {self.response_kind}.")


class RequestRefused(OperationFailed):
    """The service refused the request; the same request will be refused again."""

    code = "OPERATION_REFUSED"
    response_kind = "which refuses the request"


class ServiceFailed(OperationFailed):
    """The service could not answer now; trying again later may help."""

    code = "OPERATION_UNAVAILABLE"
    status = 503
    retryable = True
    response_kind = "which says that it cannot do this now"


class ServiceInDoubt(ServiceFailed):
    """The service failed and may have acted nevertheless; nothing makes the same call again safe."""

    code = "OPERATION_IN_DOUBT"
    status = 502
    retryable = False
    response_kind = "and may have acted nevertheless"
