"""How a state looks: never by colour alone, always an icon and a word beside it."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Status", "Tone"]


class Tone(StrEnum):
    """What a state means to somebody who looks at it."""

    GOOD = "good"
    BUSY = "busy"
    WAITING = "waiting"
    WARNING = "warning"
    BAD = "bad"
    NEUTRAL = "neutral"

    @property
    def icon(self) -> str:
        """The icon that stands for this tone."""
        return _ICONS[self]


_ICONS = {
    Tone.GOOD: "check",
    Tone.BUSY: "progress",
    Tone.WAITING: "clock",
    Tone.WARNING: "alert",
    Tone.BAD: "cross",
    Tone.NEUTRAL: "dot",
}


@dataclass(frozen=True)
class Status:
    """A state as a chip shows it."""

    label: str
    tone: Tone
    icon: str = ""
    """Name of an icon of the sprite; "" takes the tone's own."""

    @property
    def symbol(self) -> str:
        """The icon's name."""
        return self.icon or self.tone.icon
