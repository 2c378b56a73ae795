"""What holds as long as one database transaction, such as the key of everything that it writes.

Such a mark has to go when the transaction ends, and Django tells only of commits (`transaction.on_commit`): there is no
hook for a rollback, and the hooks of a savepoint that is rolled back vanish. But that is exactly the sign we need. A
mark registers itself as a commit hook, and it is in force as long as it is still in the connection's list of hooks, for
Django

- takes all hooks off the list before it runs them after a commit,
- empties the list at a rollback,
- takes the hooks of a savepoint, and of those inside it, off the list when that savepoint is rolled back.

The last case ends a mark in the middle of a transaction, and that is right too: it was made inside that savepoint, so
every row that carries it was written inside it and is gone. A mark made before the savepoint stays.
"""

import uuid
from typing import Generic, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from isthmus import ids

__all__ = ["TransactionMark", "transaction_key"]

T = TypeVar("T")

_ATTRIBUTE = "isthmus_transaction_key"


class TransactionMark(Generic[T]):
    """Remembers `value` until the open transaction ends, or the savepoint in which it was made is rolled back."""

    def __init__(self, connection: BaseDatabaseWrapper, value: T) -> None:
        self._connection = connection
        self.value = value
        transaction.on_commit(self, using=connection.alias)

    def is_in_force(self) -> bool:
        """Return whether the transaction in which it was made goes on."""
        return any(hook is self for _, hook, *_ in self._connection.run_on_commit)

    def __call__(self) -> None:
        """Do nothing: being on the list of commit hooks is what counts."""


def transaction_key(connection: BaseDatabaseWrapper) -> uuid.UUID:
    """Return the key of the running transaction; outside `atomic()` a new one, for the one statement that runs.

    For SQLite, which does not name its transactions (PostgreSQL does: `isthmus_transaction_key()` there).
    """
    if not connection.in_atomic_block:
        return ids.new_uuid()
    known: TransactionMark[uuid.UUID] | None = getattr(connection, _ATTRIBUTE, None)
    if known is None or not known.is_in_force():
        known = TransactionMark(connection, ids.new_uuid())
        setattr(connection, _ATTRIBUTE, known)
    return known.value
