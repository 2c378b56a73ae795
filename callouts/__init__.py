"""Outbound HTTP, the integration log, external services and their callbacks.

`callouts.http` sends, `callouts.enqueue(...)` sends after commit, `callouts.limits()` tells what is left.
"""

from callouts.head_room import Limits

__all__ = ["limits"]

limits = Limits()
