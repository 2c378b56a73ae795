"""What can go wrong with the audit trail.

IsthmusError
└── AuditError
    ├── UnknownAction    an action that nobody registered
    ├── DetailsRefused   details that hold a secret or cannot be written
    └── AppendOnly       entries are never changed and never removed
"""

from isthmus.errors import IsthmusError

__all__ = ["AppendOnly", "AuditError", "DetailsRefused", "UnknownAction"]


class AuditError(IsthmusError):
    """The audit trail refused something."""

    code = "AUDIT_ERROR"


class UnknownAction(AuditError):
    """Nobody registered an audit action of this name."""

    code = "AUDIT_ACTION_UNKNOWN"


class DetailsRefused(AuditError):
    """The details of an audit entry hold a secret, or something that is no JSON."""

    code = "AUDIT_DETAILS_INVALID"


class AppendOnly(AuditError):
    """Entries of the audit trail are never changed and never removed."""

    code = "AUDIT_APPEND_ONLY"
    status = 405
