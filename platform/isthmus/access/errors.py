"""What goes wrong with permissions.

AccessError
├── PermissionRefused      the caller's permission sets do not cover it
├── RunAsUserRefused       this user cannot be one that a program acts as
├── ApiLimitReached        more requests in 24 hours than are allowed
├── SystemUserTaken        somebody gave the automated process's user a password
└── GrantRefused           the grant itself makes no sense
    ├── UnknownGrantKind
    ├── UnknownGrantAction
    └── UnknownGrantTarget
"""

from isthmus.errors import IsthmusError

__all__ = [
    "AccessError",
    "ApiLimitReached",
    "GrantRefused",
    "PermissionRefused",
    "RunAsUserRefused",
    "SystemUserTaken",
    "UnknownGrantAction",
    "UnknownGrantKind",
    "UnknownGrantTarget",
]


class AccessError(IsthmusError):
    """Something about access."""


class PermissionRefused(AccessError):
    """Your permission sets do not cover this."""

    code = "INSUFFICIENT_ACCESS"
    status = 403


class ApiLimitReached(AccessError):
    """TotalRequests Limit exceeded."""

    code = "REQUEST_LIMIT_EXCEEDED"
    status = 403


class RunAsUserRefused(AccessError):
    """This user cannot be one that a program acts as."""

    code = "INACTIVE_OWNER_OR_USER"
    status = 400


class SystemUserTaken(AccessError):
    """The user of the automated process has a password; take it away, it must not be able to log in."""


class GrantRefused(AccessError):
    """This cannot be granted."""

    code = "INVALID_GRANT"
    status = 400


class UnknownGrantKind(GrantRefused):
    """No installed app knows this kind of grant."""


class UnknownGrantAction(GrantRefused):
    """This kind of grant has no such action."""


class UnknownGrantTarget(GrantRefused):
    """There is nothing of that name to grant access to."""
