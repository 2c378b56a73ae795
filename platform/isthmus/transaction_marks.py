"""What holds as long as one database transaction, without asking the database.

A mark has to go when the transaction ends, and Django tells only of commits (`transaction.on_commit`): there is no hook
for a rollback, and the hooks of a savepoint that is rolled back vanish. But that is exactly the sign we need. A mark
registers itself as a commit hook, and it is in force as long as it is still in the connection's list of hooks, for
Django

- takes all hooks off the list before it runs them after a commit,
- empties the list at a rollback,
- takes the hooks of a savepoint, and of those inside it, off the list when that savepoint is rolled back.

The last case ends a mark in the middle of a transaction, and that is right too: it was made inside that savepoint, so
everything that was written under it since is gone. A mark made before the savepoint stays.
"""

from typing import Generic, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["TransactionMark"]

T = TypeVar("T")


class TransactionMark(Generic[T]):
    """Remembers `value` until the open transaction ends, or the savepoint in which it was made is rolled back."""

    def __init__(self, connection: BaseDatabaseWrapper, value: T) -> None:
        self._connection = connection
        self.value = value
        self.has_committed = False
        """Whether what was written under it is there to stay."""
        self._place = len(connection.run_on_commit)
        transaction.on_commit(self, using=connection.alias, robust=True)

    def is_in_force(self) -> bool:
        """Return whether the transaction in which it was made goes on."""
        waiting = self._connection.run_on_commit
        # Rollbacks of savepoints only move the hook to the front.
        last = min(self._place, len(waiting) - 1)
        self._place = next((at for at in range(last, -1, -1) if waiting[at][1] is self), -1)
        return self._place >= 0

    def __call__(self) -> None:
        """Note the commit."""
        self.has_committed = True
