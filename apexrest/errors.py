"""What goes wrong with custom endpoints.

EndpointError
├── EndpointMisdeclared     a resource class cannot work as it is written (at start-up)
│   └── MappingTaken        two classes claim one address
├── OutsideEndpoint         the context was asked for while no endpoint runs
├── NoSuchAddress           nothing is mapped to the address
├── BodyRefused             the body cannot be taken
│   ├── BodyUnreadable      it is no JSON, or no JSON that is taken here
│   │   └── FieldsRefused   it is JSON, but not what the method asks for
│   ├── BodyTooLarge
│   └── MediaTypeRefused
├── AdmissionRefused        the request may not come in now, or from there
│   ├── AddressRefused
│   ├── RateExceeded
│   └── TooManyAtOnce
├── IdempotencyKeyRefused   the key cannot be taken
│   ├── IdempotencyKeyMalformed
│   ├── IdempotencyKeyMissing
│   ├── IdempotencyKeyReused    it came with another request before
│   └── IdempotencyKeyInUse     the first request still runs
├── WebhookRefused          a delivery is not from whom it should be
├── EndpointTooSlow         the method took longer than it may
├── AnswerUnserialisable    what the method returned cannot be written as JSON
├── RowAmbiguous            several records are meant
├── EndpointRefused         the method itself refuses; endpoint authors raise it
│   └── RowRefused          a record was not written
└── EndpointFailed          the method raised something it did not mean to
"""

from collections.abc import Sequence

from isthmus.errors import IsthmusError

__all__ = [
    "AddressRefused",
    "AdmissionRefused",
    "AnswerUnserialisable",
    "BodyRefused",
    "BodyTooLarge",
    "BodyUnreadable",
    "EndpointError",
    "EndpointFailed",
    "EndpointMisdeclared",
    "EndpointRefused",
    "EndpointTooSlow",
    "FieldsRefused",
    "IdempotencyKeyInUse",
    "IdempotencyKeyMalformed",
    "IdempotencyKeyMissing",
    "IdempotencyKeyRefused",
    "IdempotencyKeyReused",
    "MappingTaken",
    "MediaTypeRefused",
    "NoSuchAddress",
    "OutsideEndpoint",
    "RateExceeded",
    "RowAmbiguous",
    "RowRefused",
    "TooManyAtOnce",
    "WebhookRefused",
]


class EndpointError(IsthmusError):
    """Something about a custom endpoint."""


class EndpointMisdeclared(EndpointError):
    """A resource class cannot work as it is written."""


class MappingTaken(EndpointMisdeclared):
    """Another class has this URL mapping."""


class OutsideEndpoint(EndpointError):
    """There is no request here: `apexrest.context` works only while an endpoint's method runs."""


class NoSuchAddress(EndpointError):
    """Could not find a match for URL"""

    code = "NOT_FOUND"
    status = 404


class BodyRefused(EndpointError):
    """The request body cannot be taken."""

    code = "JSON_PARSER_ERROR"
    status = 400


class BodyUnreadable(BodyRefused):
    """The request body is not JSON."""


class FieldsRefused(BodyUnreadable):
    """The request body is not what the endpoint asks for.

    `code` is `REQUIRED_FIELD_MISSING` when nothing is wrong but what is missing.
    """

    def __init__(self, message: str, *, fields: Sequence[str] = (), only_missing: bool = False) -> None:
        super().__init__(message, fields=fields)
        if only_missing:
            self.code = "REQUIRED_FIELD_MISSING"  # type: ignore[misc]  # this one class has two codes


class BodyTooLarge(BodyRefused):
    """The request body is larger than this endpoint takes."""

    code = "EXCEEDED_MAX_SIZE_REQUEST"
    status = 413


class MediaTypeRefused(BodyRefused):
    """The request body must be application/json or application/xml in UTF-8."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class AdmissionRefused(EndpointError):
    """The request may not come in."""

    retry_after: int | None = None
    """Seconds after which another attempt may be let in; `None` where waiting does not help."""


class AddressRefused(AdmissionRefused):
    """Requests from this address are not taken here."""

    code = "IP_ADDRESS_NOT_ALLOWED"
    status = 403


class RateExceeded(AdmissionRefused):
    """This client has sent too many requests to this endpoint."""

    code = "REQUEST_LIMIT_EXCEEDED"
    status = 429
    retryable = True

    def __init__(self, message: str = "", *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyAtOnce(AdmissionRefused):
    """As many requests as this endpoint takes at once are running."""

    code = "REQUEST_LIMIT_EXCEEDED"
    status = 429
    retryable = True
    retry_after = 1


class IdempotencyKeyRefused(EndpointError):
    """The Idempotency-Key cannot be taken."""

    code = "INVALID_IDEMPOTENCY_KEY"
    status = 400
    retry_after: int | None = None


class IdempotencyKeyMalformed(IdempotencyKeyRefused):
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""


class IdempotencyKeyMissing(IdempotencyKeyRefused):
    """This endpoint takes requests only with an Idempotency-Key."""

    code = "IDEMPOTENCY_KEY_MISSING"


class IdempotencyKeyReused(IdempotencyKeyRefused):
    """This Idempotency-Key came with another request before; a new request needs a new key."""

    code = "IDEMPOTENCY_KEY_REUSED"
    status = 422


class IdempotencyKeyInUse(IdempotencyKeyRefused):
    """The first request with this Idempotency-Key is still running."""

    code = "IDEMPOTENCY_KEY_IN_USE"
    status = 409
    retryable = True
    retry_after = 1


class WebhookRefused(EndpointError):
    """The signature of this delivery is missing, wrong, or too old."""

    code = "INVALID_SIGNATURE"
    status = 401


class EndpointTooSlow(EndpointError):
    """The request was running for too long, and has been stopped."""

    code = "REQUEST_RUNNING_TOO_LONG"
    status = 503
    retryable = True


class AnswerUnserialisable(EndpointError):
    """What the endpoint returned cannot be written as JSON."""


class EndpointRefused(EndpointError):
    """The request was refused.

    Endpoint authors raise it, or a subclass with a code and status of its own:
    `raise EndpointRefused("The order is shipped already.", code="ORDER_SHIPPED", status=409, fields=["orderId"])`.
    """

    code = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    status = 400

    def __init__(
        self, message: str = "", *, code: str | None = None, status: int | None = None, fields: Sequence[str] = ()
    ) -> None:
        super().__init__(message, fields=fields)
        if status is not None and not 400 <= status <= 599:
            raise ValueError(f"A refusal has a status from 400 to 599, not {status}.")
        # One class serves every refusal an author thinks of, so here code and status belong to the instance.
        self.code = code or type(self).code  # type: ignore[misc]
        self.status = status or type(self).status  # type: ignore[misc]


class RowRefused(EndpointRefused):
    """The record was not written."""


class RowAmbiguous(EndpointError):
    """More than one record has this external reference."""

    code = "DUPLICATE_EXTERNAL_ID"
    status = 300

    def __init__(self, message: str = "", *, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


class EndpointFailed(EndpointError):
    """An unexpected error occurred."""

    code = "APEX_ERROR"
    status = 500
