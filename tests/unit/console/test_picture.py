"""The picture of a time line: where things stand, what leads where, what it says in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.console import picture
from isthmus.console.picture import draw, in_words
from isthmus.console.timeline import Entry, Lane
from isthmus.console.tones import Status, Tone

START = datetime(2026, 6, 1, 12, tzinfo=UTC)


def entry(at_ms=0, took_ms=None, **values):
    at = START + timedelta(milliseconds=at_ms)
    chosen = {
        "at": at, "ended_at": None if took_ms is None else at + timedelta(milliseconds=took_ms), "kind": "Callout",
        "icon": "dot", "title": "Tell", "status": Status("Done", Tone.GOOD), "url": "", "lane": Lane.CALLOUTS,
    }  # fmt: skip
    return Entry(**{**chosen, **values})


def test_lanes_stand_in_their_order_and_empty_ones_are_left_out():
    drawn = draw([entry(), entry(5, lane=Lane.CHANGES), entry(9, lane=Lane.OPERATIONS)])
    assert [lane.label for lane in drawn.lanes] == ["Changes", "Operations", "Callouts"]
    assert [lane.y for lane in drawn.lanes] == sorted(lane.y for lane in drawn.lanes)


def test_nothing_and_one_thing_have_no_picture():
    assert draw([]) is None
    assert draw([entry()]) is None


def test_causes_are_drawn_and_unknown_ones_are_not():
    drawn = draw([
        entry(lane=Lane.EVENTS, id="event:17"),
        entry(1, lane=Lane.EVENTS, id="event:18"),
        entry(2, lane=Lane.EVENTS, id="event:30"),
        entry(5, lane=Lane.OPERATIONS, id="operation:a", causes=("event:17-29",)),
        entry(9, causes=("operation:a", "operation:gone")),
    ])  # fmt: skip
    assert [curve.told for curve in drawn.curves] == ["1 → 4", "2 → 4", "4 → 5"]
    assert drawn.bars[4].told.endswith("after 9 ms, from 4")
    assert "3 known links" in drawn.summary


def test_a_thing_is_not_its_own_cause():
    assert draw([entry(id="event:1", causes=("event:1-3",)), entry(1)]).curves == ()


def test_durations_are_bars_and_words():
    short, long = draw([entry(took_ms=2), entry(1, took_ms=5_000)]).bars
    assert long.width > short.width
    assert "took 5.00 s" in long.told
    assert "took" not in draw([entry(), entry(1)]).bars[0].told


def test_what_is_too_much_is_left_to_the_list_and_said():
    drawn = draw([entry(number) for number in range(picture.MOST_DRAWN + 1)])
    assert drawn.is_cut
    assert len(drawn.bars) == picture.MOST_DRAWN
    assert not draw([entry(number) for number in range(picture.MOST_DRAWN)]).is_cut


def test_the_scale_says_how_much_time_passed_and_says_nothing_twice():
    drawn = draw([entry(), entry(40), entry(90_000), entry(7_200_000)])
    labels = [tick.label for tick in drawn.ticks]
    assert labels[0] == "12:00:00"
    assert labels[-1] == "+2 h"
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"), (999, "999 ms"), (1_250, "1.25 s"), (59_900, "59.9 s"), (200_000, "3 min 20 s"), (60_000, "1 min"),
        (7_500_000, "2 h 5 min"), (97_200_000, "1 d 3 h"), (86_400_000 * 90, "90 d"), (3_599_000, "59 min 59 s"),
    ],
)  # fmt: skip
def test_spans_in_words(milliseconds, words):
    assert in_words(timedelta(milliseconds=milliseconds)) == words


moments = st.integers(0, 90_000_000)


@settings(max_examples=80)
@given(st.lists(st.tuples(moments, st.none() | moments, st.sampled_from(list(Lane))), min_size=2, max_size=40))
def test_whatever_happens_nothing_overlaps_and_time_runs_to_the_right(things):
    entries = sorted((entry(at, took, lane=lane) for at, took, lane in things), key=lambda one: one.at)
    drawn = draw(entries)
    places = [bar.x for bar in drawn.bars]
    assert places == sorted(places)
    for bar in drawn.bars:
        assert drawn.left <= bar.x
        assert bar.x + bar.width <= drawn.width
        assert 0 < bar.y < drawn.height
    for index, one in enumerate(drawn.bars):
        for other in drawn.bars[index + 1 :]:
            assert one.y != other.y or one.x + one.width < other.x or other.x + other.width < one.x
