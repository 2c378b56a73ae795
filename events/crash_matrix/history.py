"""What must hold of a history, however many processes were killed while it was made."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["History", "Told", "violations"]


@dataclass(frozen=True)
class Told:
    """That an item reached a number: as a writer committed it, as the log has it, or as a subscriber handled it."""

    item: int
    sequence: int
    event: str
    """Identity of the event."""


@dataclass(kw_only=True)
class History:
    """Everything that was written down."""

    steps: Sequence[Told]
    """What the writers committed."""
    events: Sequence[Told]
    """The platform events, in the order of the log."""
    changes: Sequence[Told]
    """The change events, in the order of the log."""
    step_effects: Sequence[Told]
    change_effects: Sequence[Told]
    """What subscribers did, in the order in which they did it."""
    items: dict[int, int]
    """The number that each item has reached."""
    accepted_alarms: set[str] = field(default_factory=set)
    """Immediate events of which the publisher learned that they were accepted."""
    tried_alarms: set[str] = field(default_factory=set)
    alarms: Sequence[str] = ()
    """Immediate events in the log."""
    missing: int = 0
    """Events that the log says are missing."""


def violations(history: History) -> list[str]:
    """Return what is wrong, one sentence each; nothing when the bus kept its word."""
    committed = {(step.item, step.sequence): step.event for step in history.steps}
    found = [
        *_of_items(history, committed),
        *_exactly_once("The log", history.events, {step.event for step in history.steps}),
        *_in_order("The log's events", history.events),
        *_exactly_the_steps("The log's changes", history.changes, committed.keys()),
        *_in_order("The log's changes", history.changes),
        *_exactly_once("The subscriber of events", history.step_effects, {step.event for step in history.steps}),
        *_in_order("The subscriber of events", history.step_effects),
        *_exactly_the_steps("The subscriber of changes", history.change_effects, committed.keys()),
        *_in_order("The subscriber of changes", history.change_effects),
        *_of_alarms(history),
    ]
    if not history.steps:
        found.append("Nothing was committed: the run shows nothing.")
    if history.missing:
        found.append(f"The log says that {history.missing} events are missing.")
    return found


def _of_items(history: History, committed: dict[tuple[int, int], str]) -> Iterable[str]:
    """Check the record itself: if it does not hold, nothing that follows means anything."""
    if len(committed) != len(history.steps):
        yield "A step was committed twice."
    for item, last in history.items.items():
        reached = sorted(sequence for known, sequence in committed if known == item)
        if reached != list(range(1, last + 1)):
            yield f"Item {item} has reached {last}, and its committed steps are {_shown(reached)}."


def _exactly_once(who: str, told: Sequence[Told], expected: set[str]) -> Iterable[str]:
    counted = Counter(each.event for each in told)
    if lost := expected - counted.keys():
        yield f"{who} lost {len(lost)} events: {_shown(sorted(lost))}."
    if invented := counted.keys() - expected:
        yield f"{who} has {len(invented)} events that were rolled back: {_shown(sorted(invented))}."
    if doubled := [event for event, number in counted.items() if number > 1]:
        yield f"{who} has {len(doubled)} events more than once: {_shown(sorted(doubled))}."


def _exactly_the_steps(who: str, told: Sequence[Told], expected: Iterable[tuple[int, int]]) -> Iterable[str]:
    counted = Counter((each.item, each.sequence) for each in told)
    wanted = set(expected)
    if lost := wanted - counted.keys():
        yield f"{who}: {len(lost)} steps are lost: {_shown(sorted(lost))}."
    if invented := counted.keys() - wanted:
        yield f"{who}: {len(invented)} steps were rolled back: {_shown(sorted(invented))}."
    if doubled := [step for step, number in counted.items() if number > 1]:
        yield f"{who}: {len(doubled)} steps come more than once: {_shown(sorted(doubled))}."


def _in_order(who: str, told: Sequence[Told]) -> Iterable[str]:
    """Check that each item's steps come in the order in which they were committed."""
    last: dict[int, int] = {}
    for each in told:
        if each.sequence < last.get(each.item, 0):
            yield f"{who}: step {each.sequence} of item {each.item} comes after step {last[each.item]}."
        last[each.item] = each.sequence


def _of_alarms(history: History) -> Iterable[str]:
    counted = Counter(history.alarms)
    if lost := history.accepted_alarms - counted.keys():
        yield f"{len(lost)} immediate events were accepted and lost: {_shown(sorted(lost))}."
    if invented := counted.keys() - history.tried_alarms:
        yield f"{len(invented)} immediate events were never published: {_shown(sorted(invented))}."
    if doubled := [event for event, number in counted.items() if number > 1]:
        yield f"{len(doubled)} immediate events are there more than once: {_shown(sorted(doubled))}."


def _shown(found: Sequence[object], most: int = 5) -> str:
    shown = ", ".join(str(each) for each in found[:most])
    return f"{shown} …" if len(found) > most else shown
