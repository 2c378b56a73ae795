"""A time line as a picture: a lane for each kind of thing, a bar for each thing, a curve from each cause to its effect.

Time runs to the right, and not evenly: between two moments lies the logarithm of what passed. So what took milliseconds
is to be seen beside what waited for a day, and the order is always true. The scale says where how much time has passed.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from isthmus.console.timeline import Entry, Lane

__all__ = ["MOST_DRAWN", "Bar", "Curve", "DrawnLane", "Picture", "Tick", "draw", "in_words"]

MOST_DRAWN = 120
"""Entries in one picture: more cannot be told apart. The list below has them all."""

WIDTH = 1160
LEFT, RIGHT, TOP, BOTTOM = 150, 24, 34, 14
ROW, BAR, LANE_ROOM = 30, 20, 14
NARROWEST = 26
"""Of a bar, so that its number stands in it."""
_GAP = 6
_TICK_ROOM = 92
_UNIT_MILLISECONDS = 20.0
"""What passes in less than this is drawn nearly evenly, longer times shorter and shorter."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One entry."""

    number: int
    """Its place in the list, from 1."""
    entry: Entry
    x: float
    y: float
    width: float
    told: str
    """What it is, in words: for screen readers, and for whoever points at it."""
    height: int = BAR

    @property
    def middle(self) -> tuple[float, float]:
        """Where its number stands."""
        return round(self.x + self.width / 2, 1), round(self.y + self.height / 2 + 4, 1)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """From a cause to what came from it."""

    path: str
    told: str


@dataclass(frozen=True, kw_only=True)
class DrawnLane:
    """A lane that has entries."""

    label: str
    y: float
    height: float

    @property
    def label_y(self) -> float:
        """Where its name stands."""
        return self.y + self.height / 2 + 5


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A moment on the scale."""

    x: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What is drawn."""

    lanes: tuple[DrawnLane, ...]
    bars: tuple[Bar, ...]
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...]
    height: float
    summary: str
    is_cut: bool
    """Whether the list has entries that are not drawn."""
    width: int = WIDTH
    left: int = LEFT
    top: int = TOP


@dataclass
class _Placed:
    """An entry whose place along time is known, and not yet its row."""

    number: int
    entry: Entry
    x: float
    width: float
    row: int = 0
    causes: list[int] = field(default_factory=list)

    @property
    def right(self) -> float:
        return self.x + self.width


def draw(entries: Sequence[Entry]) -> Picture | None:
    """Return the picture of these entries, which come in the order of time; `None` where there is nothing to relate."""
    drawn = entries[:MOST_DRAWN]
    if len(drawn) < 2:
        return None
    scale = _Scale(drawn)
    placed = [_place(number, entry, scale) for number, entry in enumerate(drawn, start=1)]
    _link(placed)
    lanes, tops = _lanes(placed)
    bars = {one.number: _bar(one, tops[one.entry.lane], scale.start) for one in placed}
    curves = tuple(_curves(placed, bars))
    return Picture(
        lanes=lanes,
        bars=tuple(bars.values()),
        curves=curves,
        ticks=tuple(scale.ticks()),
        height=lanes[-1].y + lanes[-1].height + BOTTOM,
        summary=_summary(placed, scale),
        is_cut=len(entries) > len(drawn),
    )


class _Scale:
    """Where a moment lies."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        ends = (entry.ended_at for entry in entries if entry.ended_at is not None)
        self._moments = sorted({*(entry.at for entry in entries), *ends})
        self.start, self.end = self._moments[0], self._moments[-1]
        places, place = [0.0], 0.0
        for before, after in zip(self._moments, self._moments[1:], strict=False):
            milliseconds = (after - before) / timedelta(milliseconds=1)
            place += math.log2(1 + milliseconds / _UNIT_MILLISECONDS)
            places.append(place)
        room = WIDTH - LEFT - RIGHT - NARROWEST
        self._x = {
            moment: LEFT + _GAP + (room - _GAP) * found / (place or 1)
            for moment, found in zip(self._moments, places, strict=True)
        }

    def x(self, moment: datetime) -> float:
        """Return how far to the right a moment lies that begins or ends an entry."""
        return round(self._x[moment], 1)

    def ticks(self) -> Iterator[Tick]:
        """Yield moments that are far enough from each other to be told."""
        last = -math.inf
        for moment in self._moments:
            if self._x[moment] - last >= _TICK_ROOM:
                last = self._x[moment]
                label = moment.strftime("%H:%M:%S") if moment == self.start else f"+{in_words(moment - self.start)}"
                yield Tick(x=round(last, 1), label=label)


def in_words(span: timedelta) -> str:
    """Return a span of time in two units at most: "340 ms", "1.25 s", "3 min 20 s", "2 h 5 min", "1 d 3 h"."""
    milliseconds = span / timedelta(milliseconds=1)
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    seconds = int(milliseconds // 1_000)
    if seconds < 60:
        return f"{milliseconds / 1_000:.{2 if seconds < 10 else 1}f} s"
    minute, hour, day = 60, 3_600, 86_400
    large, small, size, part = (
        ("min", "s", minute, 1)
        if seconds < hour
        else ("h", "min", hour, minute)
        if seconds < day
        else ("d", "h", day, hour)
    )
    whole, rest = seconds // size, seconds % size // part
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def _place(number: int, entry: Entry, scale: _Scale) -> _Placed:
    x = scale.x(entry.at)
    end = scale.x(entry.ended_at) if entry.ended_at is not None and entry.ended_at > entry.at else x
    return _Placed(number, entry, x, max(NARROWEST, round(end - x, 1)))


def _link(placed: Sequence[_Placed]) -> None:
    """Find the causes among what is drawn."""
    numbers = {one.entry.id: one.number for one in placed if one.entry.id}
    for one in placed:
        for cause in one.entry.causes:
            one.causes += [found for found in _named(cause, numbers) if found != one.number]


def _named(cause: str, numbers: Mapping[str, int]) -> list[int]:
    if cause in numbers:
        return [numbers[cause]]
    kind, _, ids = cause.partition(":")
    first, dash, last = ids.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        return []
    among = ((name.partition(":"), number) for name, number in numbers.items())
    return [
        number
        for (found, _, name), number in among
        if found == kind and name.isdecimal() and int(first) <= int(name) <= int(last)
    ]


def _lanes(placed: Sequence[_Placed]) -> tuple[tuple[DrawnLane, ...], dict[Lane, float]]:
    """Give every entry a row of its lane in which it overlaps with nothing, and every lane its place."""
    lanes, tops, y = [], {}, float(TOP)
    for lane in Lane:
        rights: list[float] = []
        for one in placed:
            if one.entry.lane is lane:
                free = next((row for row, right in enumerate(rights) if right + _GAP <= one.x), len(rights))
                rights[free : free + 1] = [one.right]
                one.row = free
        if rights:
            height = len(rights) * ROW + LANE_ROOM
            lanes.append(DrawnLane(label=lane.value, y=y, height=height))
            tops[lane] = y
            y += height
    return tuple(lanes), tops


def _bar(one: _Placed, top: float, start: datetime) -> Bar:
    entry = one.entry
    took = f", took {in_words(entry.ended_at - entry.at)}" if entry.ended_at and entry.ended_at > entry.at else ""
    after = f", from {' and '.join(map(str, one.causes))}" if one.causes else ""
    when = f"after {in_words(entry.at - start)}"
    told = f"{one.number}. {entry.kind}: {entry.title}. {entry.status.label}, {when}{took}{after}"
    y = top + LANE_ROOM / 2 + one.row * ROW + (ROW - BAR) / 2
    return Bar(number=one.number, entry=entry, x=one.x, y=y, width=one.width, told=told)


def _curves(placed: Sequence[_Placed], bars: Mapping[int, Bar]) -> Iterator[Curve]:
    for one in placed:
        for number in dict.fromkeys(one.causes):
            yield Curve(path=_path(bars[number], bars[one.number]), told=f"{number} → {one.number}")


def _path(cause: Bar, effect: Bar) -> str:
    """Return a curve from where the cause was when the effect began; from its end, where it was over by then."""
    to_x, to_y = effect.x, effect.y + effect.height / 2
    if cause.x + cause.width <= to_x:
        from_x, from_y = cause.x + cause.width, cause.y + cause.height / 2
        bend = max(18.0, (to_x - from_x) / 2)
        return _curve((from_x, from_y), (from_x + bend, from_y), (to_x - bend, to_y), (to_x, to_y))
    goes_down = effect.y >= cause.y
    from_x = min(max(to_x - 8, cause.x + 8), cause.x + cause.width - 4)
    from_y = cause.y + cause.height if goes_down else cause.y
    if effect.y == cause.y:
        return f"M{from_x:.1f} {from_y:.1f}q8 14 {to_x - from_x + 6:.1f} 0"
    to_x, to_y = effect.x + 8, effect.y if goes_down else effect.y + effect.height
    half = (to_y - from_y) / 2
    return _curve((from_x, from_y), (from_x, from_y + half), (to_x, to_y - half), (to_x, to_y))


def _curve(*points: tuple[float, float]) -> str:
    first, *others = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{first}C{' '.join(others)}"


def _summary(placed: Sequence[_Placed], scale: _Scale) -> str:
    counts: dict[Lane, int] = {}
    for one in placed:
        counts[one.entry.lane] = counts.get(one.entry.lane, 0) + 1
    told = ", ".join(f"{lane.value.lower()}: {counts[lane]}" for lane in Lane if lane in counts)
    links = sum(len(set(one.causes)) for one in placed)
    known = f"{links} known link{'' if links == 1 else 's'}" if links else "no known links"
    return f"{len(placed)} things within {in_words(scale.end - scale.start)}, {known}. {told[:1].upper()}{told[1:]}."
