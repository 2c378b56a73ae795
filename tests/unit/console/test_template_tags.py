"""Times, durations, names and states as pages show them."""

from datetime import timedelta

import pytest

from isthmus import clock
from isthmus.console.templatetags import console
from isthmus.console.tones import Status, Tone


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (0.4, "just now"),
        (12, "12 s ago"),
        (-12, "in 12 s"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_399, "23 h ago"),
        (86_400, "1 d ago"),
        (-864_000, "in 10 d"),
    ],
)
def test_an_age_in_words(seconds, words):
    assert console.spoken(timedelta(seconds=seconds)) == words


def test_a_time_has_its_exact_form_beside_the_spoken_one(moving_clock):
    at = clock.now()
    moving_clock.move(timedelta(minutes=3))
    assert console.moment(at) == (
        '<time class="age" datetime="2026-06-01T12:00:00+00:00" title="2026-06-01 12:00:00.000 UTC">3 min ago</time>'
    )
    assert console.moment(None) == "—"
    assert console.moment(None, "never") == "never"


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(None, "—"), (0, "0 ms"), (999, "999 ms"), (1_200, "1.2 s"), (59_940, "59.9 s"), (200_000, "3 min 20 s")],
)
def test_a_duration_in_words(milliseconds, words):
    assert console.duration(milliseconds) == words


def test_a_state_is_an_icon_and_a_word():
    shown = console.chip(Status("<Failed>", Tone.BAD))
    assert 'class="chip tone-bad"' in shown
    assert "icons.svg#cross" in shown
    assert "&lt;Failed&gt;" in shown
    assert "icons.svg#ban" in console.chip(Status("Refused", Tone.NEUTRAL, "ban"))


def test_code_in_a_sentence_is_marked_and_escaped():
    assert console.inline_code("Start `manage.py worker` <now>.") == (
        "Start <code>manage.py worker</code> &lt;now&gt;."
    )
    assert console.inline_code("`<b>`") == "<code>&lt;b&gt;</code>"
    assert console.inline_code("one ` mark") == "one ` mark"


def test_long_names_may_break_at_their_joints_and_are_escaped():
    assert console.breakable("shop.jobs.send_all") == "shop.<wbr>jobs.<wbr>send_<wbr>all"
    assert console.breakable("<b>.x") == "&lt;b&gt;.<wbr>x"


def test_headers_are_listed_by_name():
    assert console.header_lines({"b": 1, "a": "x"}) == [("a", "x"), ("b", "1")]
    assert console.header_lines(None) == []
