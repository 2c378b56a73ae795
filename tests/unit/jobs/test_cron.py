"""Cron expressions where clocks are put forward and back, against a model that looks at every minute."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.jobs.cron import is_cron, is_time_zone, names_a_time, next_after, times_after

MINUTE = timedelta(minutes=1)
SPAN = timedelta(hours=32)

CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("America/Santiago", datetime(2026, 9, 6, 4, tzinfo=UTC)),  # at midnight: 00:00 does not exist
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2026, 2, 15, 2, tzinfo=UTC)),  # no change, an odd offset
    ("UTC", datetime(2026, 2, 15, 2, tzinfo=UTC)),
]


@st.composite
def fields(draw, low, high, *, may_be_any=True):
    """One field of an expression, as text and as the numbers that it names."""
    kind = draw(st.sampled_from(["any", "step", "list", "range"] if may_be_any else ["list", "range"]))
    everything = range(low, high + 1)
    if kind == "any":
        return "*", set(everything)
    if kind == "step":
        step = draw(st.integers(2, 30))
        return f"*/{step}", set(everything[::step])
    if kind == "list":
        chosen = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
        return ",".join(map(str, sorted(chosen))), chosen
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    return f"{first}-{last}", set(range(first, last + 1))


def fits(local, minutes, hours):
    return local.minute in minutes and local.hour in hours


def model(zone, begin, minutes, hours, *, is_any_hour):
    """Every run from `begin` on, found by looking at each minute of real time, or each local one."""
    real = [begin + number * MINUTE for number in range(SPAN // MINUTE)]
    shown = [moment.astimezone(zone).replace(tzinfo=None) for moment in real]
    if is_any_hour:
        return [moment for moment, local in zip(real, shown, strict=True) if fits(local, minutes, hours)]
    first_shown = {}
    for moment, local in zip(real, shown, strict=True):
        first_shown.setdefault(local, moment)
    found = set()
    local, latest = shown[0], max(shown)
    following = sorted(first_shown)
    while local <= latest:
        if fits(local, minutes, hours):
            # A time that no clock shows: the first moment at which clocks show a later one.
            found.add(first_shown[following[bisect_left(following, local)]])
        local += MINUTE
    return sorted(found)


@settings(max_examples=60)
@given(
    change=st.sampled_from(CHANGES),
    minute=fields(0, 59),
    hour=fields(0, 23),
    offset=st.integers(-26 * 60, -2 * 60),
)
def test_every_minute_around_a_change_is_as_the_model_has_it(change, minute, hour, offset):
    name, at = change
    zone = ZoneInfo(name)
    # The model begins hours before, so that no local time of its first day is shown before it looks.
    begin = at + offset * MINUTE
    expected = model(zone, begin, minute[1], hour[1], is_any_hour=hour[0].startswith("*"))
    expression = f"{minute[0]} {hour[0]} * * *"
    found = takewhile(lambda moment: moment < begin + SPAN, times_after(expression, begin - MINUTE, name))
    assert list(found) == expected


@settings(max_examples=50)
@given(
    change=st.sampled_from(CHANGES),
    expression=st.sampled_from(["*/20 * * * *", "30 2 * * *", "*/7 1-3 * * *", "0 * * * *", "0 0 * * *"]),
    seconds=st.integers(-100_000, 100_000),
)
def test_the_next_time_is_later_and_nothing_lies_between(change, expression, seconds):
    name, at = change
    moment = at + timedelta(seconds=seconds)
    found = next_after(expression, moment, name)
    assert found > moment
    assert next_after(expression, found - timedelta(seconds=1), name) == found
    assert next_after(expression, moment + (found - moment) / 2, name) == found


@pytest.mark.parametrize("expression", ["0 5-5 * * *", "0-0 5 * * *", "0-0/7 5-5/2 * * *"])
def test_a_range_of_one_is_that_one(expression):
    assert next_after(expression, datetime(2026, 6, 1, tzinfo=UTC)) == datetime(2026, 6, 1, 5, tzinfo=UTC)


def test_days_are_local_days():
    moment = datetime(2026, 6, 30, 12, tzinfo=UTC)
    assert next_after("0 1 1 * *", moment, "Asia/Tokyo") == datetime(2026, 6, 30, 16, tzinfo=UTC)


def test_a_far_time_is_found_past_several_changes():
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert next_after("15 * 29 2 *", moment, "Europe/Berlin") == datetime(2028, 2, 28, 23, 15, tzinfo=UTC)
    assert next_after("15 2 29 2 *", moment, "Europe/Berlin") == datetime(2028, 2, 29, 1, 15, tzinfo=UTC)


def test_a_day_that_was_left_out_runs_after_it():
    """Samoa went over the date line: there was no 30 December 2011."""
    assert next_after("0 12 30 12 *", datetime(2011, 12, 29, tzinfo=UTC), "Pacific/Apia") == datetime(
        2011, 12, 30, 10, tzinfo=UTC
    )


@pytest.mark.parametrize(("name", "known"), [("UTC", True), ("Europe/Berlin", True), ("Berlin", False), ("", False)])
def test_time_zones_have_iana_names(name, known):
    assert is_time_zone(name) is known


def test_an_expression_that_names_no_time_is_told():
    assert is_cron("0 0 31 2 *")
    assert not names_a_time("0 0 31 2 *")
    assert names_a_time("0 0 29 2 *")
