"""One key for everything that one database transaction writes, without asking the database.

The key hangs on the connection. It has to go when the transaction ends, and Django tells only of commits
(`transaction.on_commit`): there is no hook for a rollback, and the hooks of a savepoint that is rolled back vanish.
But that is exactly the sign we need. The key registers itself as a commit hook, and it is in force as long as it is
still in the connection's list of hooks, for Django

- takes all hooks off the list before it runs them after a commit,
- empties the list at a rollback,
- takes the hooks of a savepoint, and of those inside it, off the list when that savepoint is rolled back.

The last case makes a new key in the middle of a transaction, and that is right too: the key was made inside that
savepoint, so every row that carries it was written inside it and is gone. A key made before the savepoint stays.
"""

import uuid

from django.db import connection, transaction

from isthmus import ids

__all__ = ["TransactionKey", "current_transaction"]

_ATTRIBUTE = "isthmus_events_transaction"


class TransactionKey:
    """The identity of the running transaction, and the numbers of what is written in it."""

    def __init__(self) -> None:
        self.key: uuid.UUID = ids.new_uuid()
        self._last_ordinal = 0

    def take_ordinals(self, count: int) -> range:
        """Return the next `count` places within the transaction. A rolled-back savepoint leaves a gap, no disorder."""
        first = self._last_ordinal + 1
        self._last_ordinal += count
        return range(first, first + count)

    def __call__(self) -> None:
        """Do nothing: being on the list of commit hooks is what counts."""


def current_transaction() -> TransactionKey:
    """Return the key of the running transaction. Raises `TransactionManagementError` outside `atomic()`."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("What is written for the event log needs a transaction.")
    known: TransactionKey | None = getattr(connection, _ATTRIBUTE, None)
    if known is not None and any(hook is known for _, hook, *_ in connection.run_on_commit):
        return known
    made = TransactionKey()
    transaction.on_commit(made)
    setattr(connection, _ATTRIBUTE, made)
    return made
