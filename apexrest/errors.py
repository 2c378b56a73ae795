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
├── AnswerUnserialisable    what the method returned cannot be written as JSON
├── EndpointRefused         the method itself refuses; endpoint authors raise it
│   └── RowRefused          a record was not written
└── EndpointFailed          the method raised something it did not mean to
"""

from collections.abc import Sequence

from isthmus.errors import IsthmusError

__all__ = [
    "AnswerUnserialisable",
    "BodyRefused",
    "BodyTooLarge",
    "BodyUnreadable",
    "EndpointError",
    "EndpointFailed",
    "EndpointMisdeclared",
    "EndpointRefused",
    "FieldsRefused",
    "MappingTaken",
    "MediaTypeRefused",
    "NoSuchAddress",
    "OutsideEndpoint",
    "RowRefused",
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
    """The request body must be application/json in UTF-8."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


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


class EndpointFailed(EndpointError):
    """An unexpected error occurred."""

    code = "APEX_ERROR"
    status = 500
