"""The egress gate: the only part of the platform that opens connections to the outside.

`sender()` gives what carries requests out. It vets every address, keeps one deadline for the whole of a callout, caps
what it reads, verifies TLS, keeps no cookies, follows no redirect, and takes a proxy or credential
from the platform's own settings only.
"""

from callouts.egress.gate import EgressGate, Route, Sender, sender, use
from callouts.egress.passage import Deadline, Timing
from callouts.egress.resolver import Resolver, SystemResolver
from callouts.egress.streams import StreamedAnswer

__all__ = [
    "Deadline",
    "EgressGate",
    "Resolver",
    "Route",
    "Sender",
    "StreamedAnswer",
    "SystemResolver",
    "Timing",
    "sender",
    "use",
]
