"""Pages of a long table: nothing twice, nothing missing, there and back again."""

from datetime import timedelta

import pytest

from isthmus import clock
from isthmus.console.paging import newest_first
from isthmus.jobs.models import Job
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def walk(rows, **kwargs):
    """Return the pages from the newest to the oldest."""
    pages = [newest_first(rows, **kwargs)]
    while pages[-1].older:
        pages.append(newest_first(rows, cursor=pages[-1].older, **kwargs))
    return pages


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 11])
def test_walking_on_shows_each_row_once_newest_first(number, moving_clock):
    for index in range(number):
        samples.make_job()
        if index % 3 == 0:  # Most rows share their moment with another one.
            moving_clock.move(timedelta(microseconds=1))
    pages = walk(Job.objects.all(), moment="created_at", size=5)
    walked = [row.pk for page in pages for row in page.rows]
    assert walked == list(Job.objects.order_by("-created_at", "-pk").values_list("pk", flat=True))
    assert all(len(page) == 5 for page in pages[:-1])


def test_walking_back_shows_the_same_pages(moving_clock):
    for _ in range(12):
        samples.make_job()
        moving_clock.move(timedelta(seconds=1))
    rows = Job.objects.all()
    first, second, third = walk(rows, moment="created_at", size=5)
    back_to_second = newest_first(rows, moment="created_at", cursor=third.newer, size=5)
    back_to_first = newest_first(rows, moment="created_at", cursor=back_to_second.newer, size=5)
    assert back_to_second.rows == second.rows
    assert back_to_first.rows == first.rows
    assert (first.newer, back_to_first.newer, third.older) == ("", "", "")


def test_keys_that_grow_with_time_need_no_moment():
    topic = samples.make_topic()
    for replay_id in range(1, 8):
        samples.make_event(replay_id, topic)
    pages = walk(topic.entries.all(), moment=None, size=3)
    assert [[row.pk for row in page.rows] for page in pages] == [[7, 6, 5], [4, 3, 2], [1]]


def test_one_page_is_one_query(django_assert_num_queries):
    samples.make_job()
    with django_assert_num_queries(1):
        newest_first(Job.objects.all(), moment="created_at")


@pytest.mark.parametrize(
    "cursor",
    ["x", "older", "older.x.y", "sideways.0.x", "older.99999999999999999999999.1", "older.0.not-a-uuid", "..."],
)
def test_a_cursor_somebody_made_up_is_the_start(cursor, moving_clock):
    job = samples.make_job(created_at=clock.now())
    page = newest_first(Job.objects.all(), moment="created_at", cursor=cursor)
    assert page.rows == [job]
    assert page.newer == ""
