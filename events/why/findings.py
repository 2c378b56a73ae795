"""What is found: a verdict, its reason in words, where to look, and what would change it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from django.urls import reverse

from isthmus.console.tones import Status, Tone

__all__ = ["Finding", "Group", "Verdict", "Way"]


class Verdict(Enum):
    """What one step did with it, from harmless to final."""

    NOTE = Status("To know", Tone.NEUTRAL)
    PASSED = Status("Passed", Tone.GOOD)
    UNKNOWN = Status("Not known", Tone.WARNING, "question")
    HELD = Status("Waits", Tone.WARNING, "clock")
    STOPPED = Status("Stopped here", Tone.BAD, "ban")


_ORDER = list(Verdict)


@dataclass(frozen=True)
class Way:
    """A link."""

    url: str
    label: str

    @property
    def is_open(self) -> bool:
        """Whether it leads to a page of the console, not of the set-up, which fewer may open."""
        return not self.url.startswith(reverse("admin:index"))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was considered."""

    verdict: Verdict
    subject: str
    """What was asked, such as "Is the object captured?"."""
    reason: str
    where: Way | None = None
    """Where to look."""
    cure: str = ""
    """What would change the answer; "" where nothing has to."""
    values: tuple[tuple[str, str], ...] = ()
    """Names and values that decided."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """What belongs together: a step on the way, or one subscription."""

    title: str
    findings: tuple[Finding, ...]
    url: str = ""
    decides: bool = True
    """Whether its findings are a chain, of which the gravest decides; several ways beside each other are none."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of its findings: that one decided."""
        return gravest(self.findings)


def gravest(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict that decides among several."""
    return max((finding.verdict for finding in findings), key=_ORDER.index, default=Verdict.NOTE)
