"""Raw rows become figures of periods: each counted once, whenever it came, however often the roll-up was killed."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection

from isthmus.console.conf import options
from isthmus.console.rollups import counting, reading, rolling, spans
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress, Width
from isthmus.console.rollups.periods import FINE, HOUR, beginning
from isthmus.console.rollups.series import (
    MOST_KINDS,
    OTHER_KIND,
    Kind,
    Sample,
    Series,
    find_series,
    register_series,
    register_series_temporarily,
)

HOURLY, SPAN_1H, SPAN_24H, SPAN_7D = timedelta(hours=1), *spans.SPANS
KINDS = (Kind(name="good", label="good", tone="good"), Kind(name="bad", label="bad", tone="bad"))


class Rows:
    """Raw rows in memory, read as an app reads its table."""

    def __init__(self):
        self.samples = []
        self.windows = []

    def add(self, at, kind="good", scope="", milliseconds=None):
        self.samples.append(Sample(at=at, kind=kind, scope=scope, milliseconds=milliseconds))

    def between(self, begin, end):
        self.windows.append((begin, end))
        return [sample for sample in self.samples if begin <= sample.at < end]

    def first_since(self, moment):
        return min((sample.at for sample in self.samples if sample.at >= moment), default=None)

    def counted(self, width, scope="", until=None):
        return Counter(
            (beginning(sample.at, width), sample.kind)
            for sample in self.samples
            if (not scope or sample.scope == scope) and (until is None or sample.at < until)
        )


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def series(rows, db):
    made = Series(name="sample", subject="Samples", kinds=KINDS, measure=rows.between, first_since=rows.first_since)
    with register_series_temporarily(made):
        yield made


def stored(width, scope=""):
    found = SeriesPeriod.objects.filter(series="sample", width_seconds=width, scope=scope)
    return Counter({(row.starts_at, row.kind): row.number for row in found})


def roll(series):
    return sum(1 for _ in rolling.roll_up(series))


def scatter(rows, now, number, *, hours, seed=7):
    chance = random.Random(seed)
    for _ in range(number):
        rows.add(
            now - timedelta(seconds=chance.uniform(0, hours * 3_600)),
            chance.choice(["good", "bad"]),
            chance.choice(["", "a", "b"]),
            chance.choice([None, chance.uniform(0, 5_000)]),
        )


def test_periods_and_hours_hold_what_the_rows_say(rows, series, moving_clock):
    scatter(rows, moving_clock.now(), 800, hours=30)
    roll(series)
    for scope in ("", "a", "b"):
        assert stored(Width.FINE, scope) == rows.counted(FINE, scope)
        assert stored(Width.HOUR, scope) == rows.counted(HOUR, scope)
    durations = sum(1 for sample in rows.samples if sample.milliseconds is not None)
    kept = SeriesPeriod.objects.filter(series="sample", width_seconds=Width.HOUR, scope="")
    assert sum(sum(row.buckets.values()) for row in kept) == durations


def test_rolling_up_again_changes_nothing(rows, series, moving_clock):
    scatter(rows, moving_clock.now(), 300, hours=5)
    roll(series)
    before = stored(Width.FINE), stored(Width.HOUR)
    assert roll(series) == 0
    SeriesProgress.objects.update(rolled_until=moving_clock.now() - timedelta(hours=4))
    assert roll(series) == 4
    assert (stored(Width.FINE), stored(Width.HOUR)) == before


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal."""


class Executioner:
    """Ends the process, as far as the database can tell, before or after a statement chosen by lot."""

    def __init__(self, chance):
        self._chance = chance
        self._left = chance.randrange(1, 25)

    def __call__(self, execute, sql, params, many, context):
        if sql.startswith("BEGIN"):
            # A process that dies here has done nothing; its connection would have to be closed.
            return execute(sql, params, many, context)
        self._left -= 1
        if self._left == 0 and self._chance.random() < 0.5:
            raise Killed
        done = execute(sql, params, many, context)
        if self._left == 0:
            raise Killed
        return done


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("past", [9, 24 * 40], ids=["of a day", "with long gaps"])
def test_after_any_number_of_kills_every_row_is_counted_once(rows, series, moving_clock, past, seed):
    """Rows come up to twelve minutes late while the roll-up is killed again and again."""
    chance = random.Random(seed)
    kills = 0
    for _ in range(12):
        scatter(rows, moving_clock.now(), 25, hours=0.2 if rows.samples else past, seed=chance.random())
        for _ in range(chance.randrange(1, 6)):
            try:
                with connection.execute_wrapper(Executioner(chance)):
                    roll(series)
            except Killed:
                kills += 1
        moving_clock.move(timedelta(minutes=chance.randrange(1, 20)))
    moving_clock.move(timedelta(hours=3))
    roll(series)
    assert kills > 5
    assert stored(Width.FINE) == rows.counted(FINE)
    assert stored(Width.HOUR) == rows.counted(HOUR)


def test_a_row_that_comes_late_is_counted(rows, series, moving_clock):
    start = moving_clock.now()
    rows.add(start - timedelta(hours=2))
    roll(series)
    rows.add(start - timedelta(minutes=8))
    moving_clock.move(timedelta(minutes=5))
    roll(series)
    assert stored(Width.FINE) == rows.counted(FINE)


@pytest.mark.parametrize("age", [timedelta(minutes=100), timedelta(hours=24)])
def test_a_row_that_comes_much_later_is_found_when_its_hour_is_looked_at_again(rows, series, moving_clock, age):
    rows.add(moving_clock.now() - timedelta(hours=2))
    roll(series)
    happened = moving_clock.now() + timedelta(minutes=20)
    moving_clock.move(timedelta(minutes=50))
    roll(series)
    moving_clock.move(age - timedelta(minutes=40))
    roll(series)
    rows.add(happened)
    assert stored(Width.HOUR) != rows.counted(HOUR)
    for _ in range(3):
        moving_clock.move(timedelta(minutes=30))
        roll(series)
    assert stored(Width.FINE) == rows.counted(FINE)
    assert stored(Width.HOUR) == rows.counted(HOUR)


def test_a_row_that_ends_otherwise_moves_to_its_new_kind(rows, series, moving_clock):
    rows.add(moving_clock.now() - timedelta(minutes=7), "bad")
    roll(series)
    [sample] = rows.samples
    rows.samples = [Sample(at=sample.at, kind="good")]
    moving_clock.move(timedelta(minutes=5))
    roll(series)
    assert {kind for _, kind in stored(Width.FINE)} == {"good"}
    assert stored(Width.HOUR) == rows.counted(HOUR)


def test_what_retention_removed_stays_counted(rows, series, moving_clock):
    scatter(rows, moving_clock.now(), 200, hours=1)
    roll(series)
    moving_clock.move(timedelta(minutes=30))
    roll(series)
    expected = rows.counted(HOUR)
    rows.samples = []
    for _ in range(60):
        moving_clock.move(timedelta(minutes=30))
        roll(series)
    assert stored(Width.HOUR) == expected


def test_the_past_is_caught_up_in_bounded_steps(rows, series, moving_clock):
    scatter(rows, moving_clock.now(), 300, hours=72)
    first = beginning(min(sample.at for sample in rows.samples), HOUR)
    assert sum(1 for _ in rolling.roll_up(series, most_steps=10)) == 10
    assert SeriesProgress.objects.get(series="sample").rolled_until == first + 10 * HOUR
    roll(series)
    assert stored(Width.FINE) == rows.counted(FINE)
    assert max(end - begin for begin, end in rows.windows) <= timedelta(hours=1) + series.settles_after


def test_a_long_past_in_which_nothing_happened_is_one_step(rows, series, moving_clock):
    now = moving_clock.now()
    rows.add(now - timedelta(days=80))
    rows.add(now - timedelta(days=40))
    rows.add(now - timedelta(minutes=30))
    assert roll(series) < 40
    assert stored(Width.HOUR) == rows.counted(HOUR)
    moving_clock.move(timedelta(days=60))
    assert roll(series) < 40
    assert stored(Width.HOUR) == rows.counted(HOUR)


def test_a_row_that_came_late_before_everything_stood_still_is_counted(rows, series, moving_clock):
    rows.add(moving_clock.now() - timedelta(minutes=30))
    roll(series)
    rows.add(moving_clock.now() - timedelta(minutes=8))
    moving_clock.move(timedelta(days=30))
    roll(series)
    assert stored(Width.FINE) == rows.counted(FINE)
    assert stored(Width.HOUR) == rows.counted(HOUR)


def test_what_is_counted_as_it_happens_has_gaps_too(db, moving_clock):
    made = Series(name="sample", subject="Things", kinds=KINDS, measure=None)
    with register_series_temporarily(made):
        counting.add(made, scope="a", kind="good", durations=[10])
        moving_clock.move(timedelta(days=80))
        counting.add(made, scope="a", kind="good", durations=[10])
        moving_clock.move(timedelta(minutes=20))
        assert roll(made) < 40
    assert sum(stored(Width.HOUR, "a").values()) == 2


def test_whoever_is_overtaken_writes_nothing(rows, series, moving_clock):
    rows.add(moving_clock.now() - timedelta(minutes=30))

    def overtaken(begin, end):
        SeriesProgress.objects.filter(series="sample").update(rolled_until=moving_clock.now())
        return rows.between(begin, end)

    slow = Series(name="sample", subject="Samples", measure=overtaken, first_since=rows.first_since)
    assert rolling.step(slow) is False
    assert not SeriesPeriod.objects.filter(series="sample").exists()


def test_old_periods_are_removed_and_hours_stay_whole(rows, series, moving_clock, settings):
    settings.ISTHMUS_CONSOLE_HOURS_DAYS = 8
    now = moving_clock.now()
    scatter(rows, now, 400, hours=7 * 24)
    roll(series)
    hours = stored(Width.HOUR)
    rolling.remove_old()
    assert stored(Width.HOUR) == hours
    oldest = SeriesPeriod.objects.filter(width_seconds=Width.FINE).order_by("starts_at").first().starts_at
    assert now - timedelta(days=options.fine_days) <= oldest
    moving_clock.move(timedelta(minutes=5))
    roll(series)
    assert stored(Width.HOUR) == hours
    moving_clock.move(timedelta(days=9))
    roll(series)
    rolling.remove_old()
    assert not stored(Width.FINE)
    assert not stored(Width.HOUR)


def test_nothing_is_rolled_up_from_before_what_is_kept(rows, series, moving_clock):
    rows.add(moving_clock.now() - timedelta(days=400))
    roll(series)
    assert not stored(Width.HOUR)
    assert len(rows.windows) < 24 * (options.hours_days + 2)


def test_rare_kinds_are_counted_together(rows, series, moving_clock):
    at = moving_clock.now() - timedelta(minutes=10)
    for number in range(MOST_KINDS + 20):
        for _ in range(1 if number >= 5 else 3):
            rows.add(at, f"cause {number:02}")
    roll(series)
    found = {kind: number for (_, kind), number in stored(Width.FINE).items()}
    assert len(found) == MOST_KINDS
    assert found["cause 00"] == 3
    assert found[OTHER_KIND] == 21
    assert sum(found.values()) == len(rows.samples)


class TestReading:
    def test_the_newest_minutes_are_read_from_the_rows(self, rows, series, moving_clock):
        now = moving_clock.now()
        rows.add(now - timedelta(minutes=40), "bad")
        roll(series)
        moving_clock.move(timedelta(minutes=4))
        rows.add(moving_clock.now() - timedelta(seconds=3), milliseconds=120)
        for span in spans.SPANS:
            found = reading.read("sample", span)
            assert (found.total("good"), found.total("bad"), found.note) == (1, 1, "")
        newest = reading.read("sample", SPAN_24H).slots[beginning(moving_clock.now(), timedelta(minutes=15))]
        assert newest["good"].durations.percentile(50) == pytest.approx(120, rel=0.02)

    def test_before_anything_was_rolled_up_the_last_quarter_of_an_hour_is_there(self, rows, series, moving_clock):
        rows.add(moving_clock.now() - timedelta(minutes=14))
        rows.add(moving_clock.now() - timedelta(minutes=16))
        assert reading.read("sample", SPAN_1H).total() == 1

    def test_no_read_goes_over_more_than_a_quarter_of_an_hour_of_rows(self, rows, series, moving_clock):
        scatter(rows, moving_clock.now(), 100, hours=24)
        roll(series)
        moving_clock.move(timedelta(days=2))
        rows.windows.clear()
        found = reading.read("sample", SPAN_7D)
        assert found.total() == 100
        assert "rolled up until 2026-06-01 12:00 UTC" in found.note
        assert all(end - begin <= timedelta(minutes=15) for begin, end in rows.windows)

    def test_too_many_new_rows_are_left_to_the_roll_up_and_said_so(self, rows, series, moving_clock):
        at = moving_clock.now() - timedelta(minutes=1)
        rows.samples = [Sample(at=at, kind="good")] * (reading.MOST_FRESH_ROWS + 1)
        found = reading.read("sample", SPAN_1H)
        assert (found.total(), "so many rows" in found.note) == (0, True)

    def test_a_scope_is_read_alone(self, rows, series, moving_clock):
        scatter(rows, moving_clock.now(), 200, hours=20)
        roll(series)
        wanted = sum(1 for sample in rows.samples if sample.scope == "a")
        assert reading.read("sample", SPAN_24H, scope="a").total() == wanted
        lately = reading.of_scopes("sample")
        assert set(lately) == {"a", "b"}
        assert lately["a"].number == wanted
        assert set(reading.of_scopes("sample", scopes=["a", "c"])) == {"a"}

    def test_scopes_have_the_newest_minutes_and_count_nothing_twice(self, rows, series, moving_clock):
        for _ in range(9):
            rows.add(moving_clock.now() - timedelta(seconds=1), "good", "a", 10)
            if moving_clock.now().minute % 2:
                roll(series)
            found = reading.of_scopes("sample")["a"]
            assert (found.numbers, found.durations.total) == ({"good": len(rows.samples)}, len(rows.samples))
            moving_clock.move(timedelta(minutes=7))

    def test_scopes_that_were_rolled_up_by_another_process_meanwhile_count_once(self, rows, series, moving_clock):
        rows.add(moving_clock.now() - timedelta(minutes=50), "good", "a")
        roll(series)
        moving_clock.move(timedelta(minutes=10))
        rows.add(moving_clock.now() - timedelta(minutes=8), "good", "a")
        asked = []

        def meanwhile(execute, sql, params, many, context):
            done = execute(sql, params, many, context)
            if not asked and "console_seriesperiod" in sql:
                asked.append(sql)
                roll(series)
            return done

        with connection.execute_wrapper(meanwhile):
            assert reading.of_scopes("sample")["a"].number == 2
        assert asked

    def test_when_something_last_happened(self, rows, series, moving_clock):
        now = moving_clock.now()
        rows.add(now - timedelta(minutes=33), "good", "a")
        rows.add(now - timedelta(hours=3), "good", "a")
        rows.add(now - timedelta(days=8), "bad", "a")
        roll(series)
        assert reading.last_of_scopes("sample") == {("a", "good"): now - timedelta(minutes=35)}

    def test_today_beside_yesterday_at_the_same_time(self, rows, series, moving_clock):
        now = moving_clock.now()
        for age in (1, 60, 700, 1_430, 1_450, 2_100, 2_900):
            rows.add(now - timedelta(minutes=age))
        rows.add(now - timedelta(minutes=10), "bad")
        roll(series)
        moving_clock.move(timedelta(minutes=2))
        rows.add(moving_clock.now() - timedelta(seconds=30))
        found = reading.day_against_day(["sample"])
        # At noon: today began 720 minutes ago, yesterday at this time was 1,440 minutes ago.
        assert found == {
            ("sample", "good", "today"): 4,
            ("sample", "bad", "today"): 1,
            ("sample", "good", "yesterday"): 2,
        }

    def test_today_is_told_before_anything_was_rolled_up(self, rows, series, moving_clock):
        rows.add(moving_clock.now() - timedelta(minutes=3))
        assert reading.day_against_day(["sample"]) == {("sample", "good", "today"): 1}

    def test_what_was_read_is_remembered_for_a_moment(self, rows, series, moving_clock, settings):
        settings.ISTHMUS_CONSOLE_CHART_SECONDS = 10
        reading.forget()
        assert reading.read("sample", SPAN_1H).total() == 0
        rows.add(moving_clock.now() - timedelta(seconds=1))
        assert reading.read("sample", SPAN_1H).total() == 0
        moving_clock.move(timedelta(seconds=11))
        assert reading.read("sample", SPAN_1H).total() == 1
        reading.forget()


class TestCountingAsThingsHappen:
    @pytest.fixture
    def counted(self, db):
        made = Series(name="counted", subject="Things", kinds=KINDS, measure=None)
        with register_series_temporarily(made):
            yield made

    def test_what_is_added_is_seen_at_once_and_added_up_once(self, counted, moving_clock):
        for _ in range(30):
            counting.add(counted, scope="a", kind="good", durations=[10, 20])
            counting.add(counted, scope="b", kind="bad", durations=[None])
            for span in spans.SPANS[1:]:
                found = reading.read("counted", span)
                assert found.total("good") == 2 * found.total("bad")
            moving_clock.move(timedelta(minutes=7))
            if moving_clock.now().minute % 3 == 0:
                roll(counted)
        assert reading.read("counted", SPAN_7D).total() == 90
        assert reading.read("counted", SPAN_24H, scope="a").total() == 60
        assert reading.of_scopes("counted")["a"].numbers == {"good": 60}
        assert reading.of_scopes("counted")["b"].durations.total == 0

    def test_what_was_counted_before_the_first_roll_up_is_added_up_too(self, counted, moving_clock):
        counting.add(counted, scope="a", kind="good", durations=[10])
        moving_clock.move(timedelta(hours=5))
        roll(counted)
        moving_clock.move(timedelta(minutes=5))
        assert reading.read("counted", SPAN_7D).total() == 1

    def test_nothing_is_no_row(self, counted):
        counting.add(counted, scope="a", kind="good", durations=[])
        assert not SeriesPeriod.objects.filter(series="counted").exists()


def test_a_name_is_taken_once(series):
    with pytest.raises(ValueError, match="'sample' is registered already"):
        register_series(series)
    assert find_series("sample") is series


def test_an_address_may_ask_for_any_span():
    assert spans.chosen({"span": "7d"}) is SPAN_7D
    assert spans.chosen({}) is SPAN_24H
    assert spans.chosen({"span": "99y"}) is SPAN_24H
