"""Tells what kind of trouble a database reports, whatever it is called there.

>>> trouble_of(OperationalError("database is locked"))
<Trouble.CONFLICT: 'conflict'>
"""

from enum import Enum

from django.db import Error, InterfaceError, OperationalError

__all__ = ["Trouble", "sqlstate_of", "trouble_of"]

_CONFLICTS = {"40001", "40P01", "55P03"}
"""serialization_failure, deadlock_detected, lock_not_available: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
_UNAVAILABLE = {"53300", "57P01", "57P02", "57P03"}
"""too_many_connections, admin_shutdown, crash_shutdown, cannot_connect_now."""
_CONNECTION_CLASS = "08"


class Trouble(Enum):
    """What is the matter, as far as it has nothing to do with what was asked."""

    CONFLICT = "conflict"
    """Somebody else works on the same rows. Trying again may do."""
    UNAVAILABLE = "unavailable"
    """The database cannot be reached."""


def sqlstate_of(error: BaseException) -> str:
    """Return PostgreSQL's code for what went wrong; "" from another database, and where there is none."""
    return str(getattr(error.__cause__, "sqlstate", None) or "")


def trouble_of(error: BaseException) -> Trouble | None:
    """Return which of these it is; `None` for any other error."""
    if not isinstance(error, Error):
        return None
    code, text = sqlstate_of(error), str(error)
    if code in _CONFLICTS or (isinstance(error, OperationalError) and "is locked" in text):
        return Trouble.CONFLICT
    if code:
        is_unavailable = code in _UNAVAILABLE or code.startswith(_CONNECTION_CLASS)
    elif type(error.__cause__).__module__.startswith("psycopg"):
        # A connection that was never made, or that is gone, has no code.
        is_unavailable = isinstance(error, OperationalError | InterfaceError)
    else:
        is_unavailable = "unable to open database file" in text
    return Trouble.UNAVAILABLE if is_unavailable else None
