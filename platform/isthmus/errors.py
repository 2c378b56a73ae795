"""The root of every error that Isthmus raises on purpose.

Each app has one tree below it (`credentials.errors`, `callouts.errors`, …), split by who is at fault and whether trying
again can help. The docstring of a class is its default message.
"""

from collections.abc import Sequence
from typing import ClassVar

__all__ = ["IsthmusError"]


class IsthmusError(Exception):
    """Something the platform refuses or could not do."""

    code: ClassVar[str] = "UNKNOWN_EXCEPTION"
    """Stable name on which clients branch; Salesforce's own where it has one."""
    status: ClassVar[int] = 500
    """The HTTP status when the error ends a request."""
    retryable: ClassVar[bool] = False
    """Whether the same attempt may succeed later without anybody changing anything."""

    def __init__(self, message: str = "", *, fields: Sequence[str] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip().split("\n", 1)[0]
        self.fields = tuple(fields)
        super().__init__(self.message)

    def as_body(self) -> dict[str, object]:
        """Return the error as one element of the list that Salesforce clients read."""
        body: dict[str, object] = {"message": self.message, "errorCode": self.code}
        if self.fields:
            body["fields"] = list(self.fields)
        return body
