"""One look of the process serves every open page."""

import threading
from datetime import timedelta

import pytest

from isthmus.console import live
from isthmus.console.errors import LiveStreamsExhausted, UnknownLiveSource
from isthmus.console.live import Board


class Rows:
    """Something that changes, and counts how often it was asked."""

    def __init__(self):
        self.version = 1
        self.asked = 0

    def mark(self):
        self.asked += 1
        return self.version


@pytest.fixture
def rows():
    found = Rows()
    with live.register_live_temporarily("some-rows", found.mark):
        yield found


@pytest.fixture
def ringing_rows():
    found = Rows()
    with live.register_live_temporarily("ringing-rows", found.mark, channels=("some_channel",)):
        yield found


class StillBoard(Board):
    """A board without its thread: the test looks."""

    def _run(self):
        pass


@pytest.fixture
def board():
    return StillBoard()


def test_many_pages_cost_one_look_and_each_that_shows_the_rows_is_woken(board, rows, moving_clock):
    woken = []
    with (
        board.watching(["some-rows"], lambda: woken.append("a")),
        board.watching(["some-rows"], lambda: woken.append("b")),
        board.watching(["health"], lambda: woken.append("other")),
    ):
        board.marks(["some-rows"])
        board.marks(["some-rows"])
        assert rows.asked == 1
        rows.version = 2
        moving_clock.move(timedelta(seconds=2))
        board.look_at_what_is_due(set())
        assert rows.asked == 2
        assert woken == ["a", "b"]


def test_nothing_is_looked_at_more_often_than_the_setting_says(board, rows, moving_clock, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 5
    with board.watching(["some-rows"], lambda: None):
        board.look_at_what_is_due(set())
        for _ in range(4):
            moving_clock.move(timedelta(seconds=1))
            assert board.look_at_what_is_due({"some_channel"}) == set()
        moving_clock.move(timedelta(seconds=1))
        assert board.look_at_what_is_due(set()) == {"some-rows"}
    assert rows.asked == 2


def test_what_rings_is_looked_at_when_it_was_rung_and_seldom_otherwise(board, ringing_rows, moving_clock):
    with board.watching(["ringing-rows"], lambda: None):
        board.look_at_what_is_due(set())
        moving_clock.move(timedelta(seconds=10))
        assert board.look_at_what_is_due(set()) == set()
        assert board.look_at_what_is_due({"some_channel"}) == {"ringing-rows"}
        moving_clock.move(timedelta(seconds=15))
        assert board.look_at_what_is_due(set()) == {"ringing-rows"}


def test_nobody_is_woken_while_nothing_changes(board, rows, moving_clock):
    woken = []
    with board.watching(["some-rows"], lambda: woken.append(1)):
        for _ in range(3):
            board.look_at_what_is_due(set())
            moving_clock.move(timedelta(seconds=2))
    assert rows.asked == 3
    assert woken == []


def test_what_nobody_watches_is_not_looked_at(board, rows, moving_clock):
    with board.watching(["some-rows"], lambda: None):
        pass
    assert board.look_at_what_is_due(set()) == set()
    assert rows.asked == 0


def test_streams_have_a_limit_and_one_that_closes_makes_room(board, settings):
    settings.ISTHMUS_CONSOLE_LIVE_STREAMS = 2
    with board.watching([], lambda: None):
        with board.watching([], lambda: None), pytest.raises(LiveStreamsExhausted):
            board.watching([], lambda: None).__enter__()
        with board.watching([], lambda: None):
            assert board.number_of_watchers == 2
    assert board.number_of_watchers == 0


def test_the_thread_wakes_who_waits_and_ends_with_the_last_page(rows, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    board, woken = Board(), threading.Event()
    with board.watching(["some-rows"], woken.set):
        board.marks(["some-rows"])
        rows.version = 2
        assert woken.wait(10)
        thread = board._thread
    thread.join(10)
    assert not board.is_looking
    with board.watching(["some-rows"], woken.set):
        assert board.is_looking


def test_the_thread_survives_a_look_that_fails(settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    failures = iter([OSError("away"), None])

    def mark():
        if error := next(failures, None):
            raise error
        return object()

    board, woken = Board(), threading.Event()
    with live.register_live_temporarily("fragile", mark), board.watching(["fragile"], woken.set):
        assert woken.wait(20)


def test_marks_are_the_same_in_every_process_as_long_as_the_rows_are(rows):
    first, second = StillBoard().marks(["some-rows"]), StillBoard().marks(["some-rows"])
    assert first == second
    rows.version = 2
    assert StillBoard().marks(["some-rows"]) != first


def test_an_id_tells_the_marks_and_one_that_was_made_up_tells_nothing():
    marks = {"b-rows": "12", "a": "ff"}
    assert live.as_id(marks) == "a:ff,b-rows:12"
    assert live.from_id(live.as_id(marks)) == marks
    assert live.from_id("") == {}
    assert live.from_id("nonsense,,\x00") == {}


def test_names_are_known_or_refused(rows):
    assert live.known_names(["some-rows", "", "some-rows"]) == ("some-rows",)
    assert {"health", "some-rows"} <= set(live.known_names([]))
    with pytest.raises(UnknownLiveSource):
        live.known_names(["some-rows", "weather"])


@pytest.mark.parametrize("name", ["", "a,b", "a:b", "a b"])
def test_a_name_fits_into_an_id(name):
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        live.register_live(name, object)


def test_a_name_is_registered_once(rows):
    with pytest.raises(ValueError, match="'some-rows' is registered already"):
        live.register_live("some-rows", object)
