"""Outbound HTTP, the integration log, external services and their callbacks.

`callouts.limits()` tells how many callouts the running transaction has left.
"""

from callouts.head_room import Limits

__all__ = ["limits"]

limits = Limits()
