"""How far back a chart looks: chosen in the address, so that a chart can be linked to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from isthmus import clock
from isthmus.console.rollups.models import Width
from isthmus.console.rollups.periods import beginning

__all__ = ["DAY", "SPANS", "Span", "chosen"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of time up to now, in slots."""

    key: str
    label: str
    """As it goes on in a sentence: "the last hour"."""
    slot: timedelta
    slots: int
    width: Width
    """Which periods the slots are made of."""

    @property
    def begin(self) -> datetime:
        """The beginning of the first slot; the last one is not over yet."""
        return beginning(clock.now(), self.slot) - self.slot * (self.slots - 1)

    @property
    def moments(self) -> list[datetime]:
        """The beginnings of the slots."""
        return [self.begin + self.slot * number for number in range(self.slots)]


SPANS = (
    Span(key="1h", label="the last hour", slot=timedelta(minutes=5), slots=12, width=Width.FINE),
    Span(key="24h", label="the last 24 hours", slot=timedelta(minutes=15), slots=96, width=Width.FINE),
    Span(key="7d", label="the last 7 days", slot=timedelta(hours=1), slots=168, width=Width.HOUR),
)
DAY = SPANS[1]


def chosen(query: Mapping[str, object]) -> Span:
    """Return the span that the address asks for with `span=`; 24 hours when it asks for none that there is."""
    wanted = query.get("span")
    return next((span for span in SPANS if span.key == wanted), DAY)
