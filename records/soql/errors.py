"""What is wrong with a query, in Salesforce's words and with the place in the text.

QueryError (a RecordError)
├── MalformedQuery        the text is no query, or one that cannot be
├── InvalidField          a field or relationship does not exist, or not for this user, or not in this place
├── InvalidType           an object does not exist, or not for this user
├── InvalidFilter         the operator does not suit the field, or the value is no id
├── OffsetOutOfRange      OFFSET is beyond what is answered
├── QueryTooComplicated   more conditions, sub-queries or levels than are answered
├── TooManyGroups         an aggregate query gives more rows than one answer holds
├── InvalidQueryLocator   the next page of a query that is not known (any more)
└── QueryTimeout          the database took too long
"""

from records.errors import RecordError

__all__ = [
    "InvalidField",
    "InvalidFilter",
    "InvalidQueryLocator",
    "InvalidType",
    "MalformedQuery",
    "OffsetOutOfRange",
    "QueryError",
    "QueryTimeout",
    "QueryTooComplicated",
    "TooManyGroups",
    "no_such_column",
    "no_such_relationship",
    "no_such_type",
]

_SHOWN_BEFORE, _SHOWN_AFTER = 40, 30
_LOOK = "Please reference your WSDL or the describe call for the appropriate names."


class QueryError(RecordError):
    """Something is wrong with the query."""

    code = "MALFORMED_QUERY"
    status = 400

    def __init__(self, message: str = "", *, at: int | None = None) -> None:
        super().__init__(message)
        self.at = at

    def located(self, text: str) -> "QueryError":
        """Return the error with the place in `text` in its message: the line, a mark below, row and column from 1."""
        if self.at is None:
            return self
        at = min(self.at, len(text))
        row = text.count("\n", 0, at) + 1
        begins = text.rfind("\n", 0, at) + 1
        ends = text.find("\n", at)
        line = text[begins : ends if ends >= 0 else len(text)]
        column = at - begins
        start = max(0, column - _SHOWN_BEFORE)
        # Half of a surrogate pair is no character: nothing could carry it in an answer.
        shown = line[start : column + _SHOWN_AFTER].encode(errors="replace").decode()
        mark = " " * (column - start) + "^"
        return type(self)(f"{shown}\n{mark}\nERROR at Row:{row}:Column:{column + 1}\n{self.message}")


class MalformedQuery(QueryError):
    """The query cannot be understood."""


class InvalidField(QueryError):
    """There is no such field."""

    code = "INVALID_FIELD"


class InvalidType(QueryError):
    """There is no such object."""

    code = "INVALID_TYPE"


class InvalidFilter(QueryError):
    """The operator does not suit the field."""

    code = "INVALID_QUERY_FILTER_OPERATOR"


class OffsetOutOfRange(QueryError):
    """Maximum SOQL offset allowed is 2000"""

    code = "NUMBER_OUTSIDE_VALID_RANGE"


class QueryTooComplicated(QueryError):
    """The query is too complicated."""

    code = "QUERY_TOO_COMPLICATED"


class TooManyGroups(QueryError):
    """Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"""

    code = "EXCEEDED_ID_LIMIT"


class InvalidQueryLocator(QueryError):
    """invalid query locator"""

    code = "INVALID_QUERY_LOCATOR"


class QueryTimeout(QueryError):
    """Your query request was running for too long."""

    code = "QUERY_TIMEOUT"


def no_such_column(name: str, entity: str, at: int) -> InvalidField:
    """Return the error for a field that is not there, or not for this user."""
    hint = "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name."
    return InvalidField(f"No such column '{name}' on entity '{entity}'. {hint} {_LOOK}", at=at)


def no_such_relationship(name: str, where: str, at: int) -> InvalidField:
    """Return the error for a relationship that is not there. `where`: `field path`, `FROM part of query call`."""
    hint = (
        "If you are attempting to use a custom relationship, be sure to append the '__r' after the custom "
        "relationship name."
    )
    return InvalidField(f"Didn't understand relationship '{name}' in {where}. {hint} {_LOOK}", at=at)


def no_such_type(name: str, at: int) -> InvalidType:
    """Return the error for an object that is not there, or not for this user."""
    hint = "If you are attempting to use a custom object, be sure to append the '__c' after the entity name."
    return InvalidType(f"sObject type '{name}' is not supported. {hint} {_LOOK}", at=at)
