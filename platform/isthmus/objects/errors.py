"""What goes wrong with objects and records.

ObjectsError
├── InvalidExposure      an app's `objects.py` exposes a model in a way that cannot work
├── UnknownObject        no such sObject
├── UnknownField         the sObject has no such field
├── NoExternalId         the field is none by which outside systems know records
├── MalformedId          a text that is no record id
├── NoRecordId           a model instance that has none: not saved, or its model is not exposed
└── UndeleteRefused      the record cannot come back as things are
"""

from isthmus.errors import IsthmusError

__all__ = [
    "InvalidExposure",
    "MalformedId",
    "NoExternalId",
    "NoRecordId",
    "ObjectsError",
    "UndeleteRefused",
    "UnknownField",
    "UnknownObject",
]


class ObjectsError(IsthmusError):
    """Something about objects or records."""


class InvalidExposure(ObjectsError):
    """A model cannot be exposed like this."""


class UnknownObject(ObjectsError):
    """There is no sObject of this name."""

    code = "INVALID_TYPE"
    status = 404


class UnknownField(ObjectsError):
    """The sObject has no field of this name."""

    code = "INVALID_FIELD"
    status = 400


class NoExternalId(ObjectsError):
    """The field is not an external id."""

    code = "NOT_FOUND"
    status = 404


class MalformedId(ObjectsError):
    """This is not a record id."""

    code = "MALFORMED_ID"
    status = 400


class NoRecordId(ObjectsError):
    """Only saved instances of exposed models have a record id."""


class UndeleteRefused(ObjectsError):
    """The record cannot be undeleted."""

    code = "UNDELETE_FAILED"
    status = 400
