"""What goes wrong at the record API.

RecordError
├── NoSuchResource        nothing is there: no such object, record, field or version
├── MethodRefused         the resource does not know the method
├── BodyRefused           the body is not what the resource takes
├── ParameterRefused      a parameter of the address, or a header, is missing or wrong
├── FieldUnknown          a field that is asked for does not exist, or not for this user
├── IdMisplaced           a field that the address gives is in the body, too
├── RowsRefused           the write door refused; carries every error of the row
├── SeveralRecords        an external id means several records
├── RecordLimitExceeded   more records than one request takes
├── ChunkLimitExceeded    the records of one request change their object too often
├── PartLimitExceeded     more parts, levels or kinds than a composite request takes
├── PartRefused           a part of a composite request that cannot be one
├── NoReferredValue       a part refers to a value that no earlier part answered
├── SearchMalformed       a search cannot be read
├── SearchObjectUnknown   an object that a search names does not exist, or not for this user
├── ConditionMalformed    a conditional header of a write cannot be read
├── PreconditionFailed    the record is not as the caller believes it to be
├── ReplicationDateRefused  changes of that time are not told
├── NotReplicateable      the object's records do not tell when they change
└── TooManyChanges        more records were changed than one answer holds
"""

from collections.abc import Sequence
from typing import Any

from isthmus.errors import IsthmusError
from isthmus.objects.results import SaveError

__all__ = [
    "BodyRefused",
    "ChunkLimitExceeded",
    "ConditionMalformed",
    "FieldUnknown",
    "IdMisplaced",
    "MethodRefused",
    "NoReferredValue",
    "NoSuchResource",
    "NotReplicateable",
    "ParameterRefused",
    "PartLimitExceeded",
    "PartRefused",
    "PreconditionFailed",
    "RecordError",
    "RecordLimitExceeded",
    "ReplicationDateRefused",
    "RowsRefused",
    "SearchMalformed",
    "SearchObjectUnknown",
    "SeveralRecords",
    "TooManyChanges",
]


class RecordError(IsthmusError):
    """Something about the record API."""


class NoSuchResource(RecordError):
    """The requested resource does not exist"""

    code = "NOT_FOUND"
    status = 404


class MethodRefused(RecordError):
    """The resource does not know the method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f"HTTP Method '{method}' not allowed. Allowed are {','.join(allowed)}")
        self.allowed = tuple(allowed)


class BodyRefused(RecordError):
    """The request body must be a JSON object."""

    code = "JSON_PARSER_ERROR"
    status = 400


class ParameterRefused(RecordError):
    """A parameter of the request is missing or wrong."""

    code = "INVALID_PARAMETER"
    status = 400


class FieldUnknown(RecordError):
    """No such column"""

    code = "INVALID_FIELD"
    status = 400


class IdMisplaced(RecordError):
    """A field that the address gives should not be specified in the sobject data."""

    code = "INVALID_FIELD"
    status = 400


class RowsRefused(RecordError):
    """The record was not written."""

    code = "FIELD_INTEGRITY_EXCEPTION"
    status = 400

    def __init__(self, errors: Sequence[SaveError], *, status: int = 400) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = tuple(errors)
        self.status = status  # type: ignore[misc]  # one class for every row

    def as_list(self) -> list[dict[str, Any]]:
        """Return every error of the row."""
        return [
            {"message": error.message, "errorCode": error.code, "fields": list(error.fields)} for error in self.errors
        ]


class SeveralRecords(RecordError):
    """The external id means more than one record."""

    code = "DUPLICATE_EXTERNAL_ID"
    status = 300

    def __init__(self, object_name: str, record_ids: Sequence[str]) -> None:
        super().__init__()
        self.object_name = object_name
        self.record_ids = tuple(record_ids)


class RecordLimitExceeded(RecordError):
    """More records than one request takes."""

    code = "EXCEEDED_ID_LIMIT"
    status = 400

    def __init__(self, most: int) -> None:
        super().__init__(f"record limit reached. A request takes at most {most} records.")


class ChunkLimitExceeded(RecordError):
    """The records of one request change their object too often."""

    code = "EXCEEDED_MAX_TYPES_LIMIT"
    status = 400

    def __init__(self, most: int) -> None:
        super().__init__(f"A request takes at most {most} runs of records of one object; sort them by object.")


class PartLimitExceeded(RecordError):
    """More than a composite request takes."""

    code = "LIMIT_EXCEEDED"
    status = 400


class PartRefused(RecordError):
    """This cannot be part of a composite request."""

    code = "INVALID_INPUT"
    status = 400


class NoReferredValue(RecordError):
    """Invalid reference specified."""

    code = "PROCESSING_HALTED"
    status = 400


class SearchMalformed(RecordError):
    """The search cannot be read."""

    code = "MALFORMED_SEARCH"
    status = 400


class SearchObjectUnknown(RecordError):
    """The object does not exist, or cannot be searched."""

    code = "INVALID_TYPE"
    status = 400


class ConditionMalformed(RecordError):
    """A condition of the request cannot be read."""

    code = "BAD_REQUEST"
    status = 400


class PreconditionFailed(RecordError):
    """The record was changed: it is not the version that If-Match or If-Unmodified-Since names."""

    code = "PRECONDITION_FAILED"
    status = 412


class ReplicationDateRefused(RecordError):
    """Changes of this time cannot be told."""

    code = "INVALID_REPLICATION_DATE"
    status = 400


class NotReplicateable(RecordError):
    """The object is not replicateable: its records do not tell when they change."""

    code = "INVALID_TYPE"
    status = 400


class TooManyChanges(RecordError):
    """More records were changed than one answer holds; ask for a shorter while."""

    code = "EXCEEDED_ID_LIMIT"
    status = 400
