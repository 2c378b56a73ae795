"""Carries to identity providers what credentials ask of them outside of a callout, through the egress gate."""

import requests

from callouts import egress
from callouts.conf import options

__all__ = ["send"]


def send(request: requests.PreparedRequest, *, name: str, allow_internal_addresses: bool) -> requests.Response:
    """Return the answer; redirects are answers. What was said is not logged: it holds codes and tokens."""
    route = egress.Route(
        named_credential=name,
        allow_internal_addresses=allow_internal_addresses,
        max_body_bytes=options.max_body_bytes,
    )
    return egress.sender().send(request, route=route, deadline=egress.Deadline.within(options.timeout_seconds))
