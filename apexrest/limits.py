"""What an endpoint lets in: how large, how often, how many at once, from where, for how long."""

import re
from dataclasses import dataclass, replace

from apexrest.errors import EndpointMisdeclared
from isthmus.access.client_address import ip_networks

__all__ = ["Limits", "Rate"]

_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,5})?(second|minute|hour|day|s|m|h|d)s?")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Return what `100/minute` or `5/10s` says. Raises `ValueError`."""
        found = _RATE.fullmatch(text.replace(" ", "").lower())
        if found is None:
            raise ValueError(f"{text!r} is no rate; write one like 100/minute or 5/10s.")
        return cls(int(found[1]), int(found[2] or 1) * _SECONDS[found[3][0]])


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one resource; `None` leaves each to the settings, or to nobody where those have none."""

    max_body_bytes: int | None = None
    rate: str | None = None
    """Such as `100/minute`, for each client."""
    concurrency: int | None = None
    """Requests that run at the same moment, over all processes."""
    ip_ranges: tuple[str, ...] | None = None
    """Networks (`10.0.0.0/8`) from which callers may come."""
    max_seconds: float | None = None
    """How long the method may take; one that took longer is undone."""

    def __post_init__(self) -> None:
        for name in ("max_body_bytes", "concurrency", "max_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise EndpointMisdeclared(f"The limit {name} is {value}; it must be more than nothing.")
        try:
            if self.rate is not None:
                Rate.parse(self.rate)
            ip_networks(self.ip_ranges or ())
        except ValueError as error:
            raise EndpointMisdeclared(str(error)) from error

    def overridden_by(self, other: "Limits") -> "Limits":
        """Return these limits with those of `other` that are set in their place."""
        given = {name: value for name, value in vars(other).items() if value is not None}
        return replace(self, **given)
