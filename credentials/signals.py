"""What others may want to know of credentials without credentials knowing them."""

from django.dispatch import Signal

__all__ = ["connection_failed"]

connection_failed = Signal()
"""A grant cannot be renewed: somebody must act. Sent once for each new failure, in the transaction that records it.

Arguments: `principal` (a `Principal`), `user` (whose grant it is at a per-user principal, else `None`), `code`,
`reason`.
"""
