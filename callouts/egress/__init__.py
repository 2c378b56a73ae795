"""The egress gate: the only part of the platform that opens connections to the outside.

`sender()` gives what carries requests out. It vets every address, keeps one deadline for the whole of a callout, caps
what it reads, verifies TLS, keeps no cookies, follows no redirect, reads no proxy or credential from the environment.
"""

from callouts.egress.gate import EgressGate, Route, Sender, sender, use
from callouts.egress.passage import Deadline
from callouts.egress.resolver import Resolver, SystemResolver

__all__ = ["Deadline", "EgressGate", "Resolver", "Route", "Sender", "SystemResolver", "sender", "use"]
