"""One key for everything that one database transaction writes, where the database does not name its transactions."""

import uuid

from django.db.backends.base.base import BaseDatabaseWrapper

from isthmus import ids
from isthmus.transaction_marks import TransactionMark

__all__ = ["transaction_key"]

_ATTRIBUTE = "isthmus_transaction_key"


def transaction_key(connection: BaseDatabaseWrapper) -> uuid.UUID:
    """Return the key of the running transaction; outside `atomic()` a new one, for the one statement that runs.

    For SQLite: PostgreSQL has a function `isthmus_transaction_key()`.
    """
    if not connection.in_atomic_block:
        return ids.new_uuid()
    known: TransactionMark[uuid.UUID] | None = getattr(connection, _ATTRIBUTE, None)
    if known is None or not known.is_in_force():
        known = TransactionMark(connection, ids.new_uuid())
        setattr(connection, _ATTRIBUTE, known)
    return known.value
