"""Pages of a long table: nothing twice, nothing missing, there and back again."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from callouts.models import IntegrationLogEntry
from callouts.views import LogFilters
from isthmus import clock
from isthmus.console.paging import SEARCH_STRETCH, newest_first
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


def named(text):
    return lambda rows: rows.filter(function__icontains=text)


def make_jobs_of_two_kinds(number, every, moving_clock):
    for index in range(number):
        samples.make_job(function="wanted.one" if index % every == 0 else "another.one")
        if index % 3 == 0:  # Most rows share their moment with another one.
            moving_clock.move(timedelta(microseconds=1))


@pytest.mark.parametrize("stretch", [1, 3, 7, 30, 31, 1_000])
def test_a_search_goes_on_where_its_stretch_ended_and_finds_each_row_once(stretch, moving_clock):
    make_jobs_of_two_kinds(30, 4, moving_clock)
    pages = walk(Job.objects.all(), moment="created_at", size=3, matching=named("wanted"), stretch=stretch)
    walked = [row.pk for page in pages for row in page.rows]
    wanted = Job.objects.filter(function="wanted.one").order_by("-created_at", "-pk")
    assert walked == list(wanted.values_list("pk", flat=True))
    for page in pages:
        assert page.searched in {0, stretch}
        assert (page.searched_to is not None) == bool(page.searched)
    assert pages[-1].searched == 0


def test_a_search_goes_back_over_the_same_rows(moving_clock):
    make_jobs_of_two_kinds(30, 4, moving_clock)
    given = {"moment": "created_at", "size": 3, "matching": named("wanted"), "stretch": 7}
    pages = walk(Job.objects.all(), **given)
    back = [newest_first(Job.objects.all(), cursor=pages[-1].newer, **given)]
    while back[-1].newer:
        back.append(newest_first(Job.objects.all(), cursor=back[-1].newer, **given))
    forth = [row.pk for page in pages[:-1] for row in page.rows]
    assert [row.pk for page in reversed(back) for row in page.rows] == forth


def test_a_page_without_a_match_says_how_far_it_has_looked_and_leads_on(watcher, moving_clock):
    samples.make_log_entry(operation="The one that is wanted", started_at=clock.now() - timedelta(days=1))
    IntegrationLogEntry.objects.bulk_create(
        [IntegrationLogEntry(method="GET", url="https://x", started_at=clock.now()) for _ in range(SEARCH_STRETCH)],
        batch_size=2_000,
    )
    text = watcher.get("/integration-log/?q=wanted").content.decode()
    assert "Nothing so far" in text
    assert "Looked through 10,000 rows, back to" in text
    further = re.search(r'href="\?([^"]+)" rel="next">Look further back', text)[1].replace("&amp;", "&")
    text = watcher.get(f"/integration-log/?{further}").content.decode()
    assert "The one that is wanted" in text
    assert "Looked through" not in text


def test_an_id_is_found_however_old(watcher, moving_clock):
    entry = samples.make_log_entry(correlation_id="find-me", started_at=clock.now() - timedelta(days=900))
    with CaptureQueriesContext(connection) as captured:
        page = LogFilters(QueryDict("q=find-me")).page(IntegrationLogEntry.objects.all(), moment="started_at")
    assert page.rows == [entry]
    assert not [query for query in captured if "LIKE" in query["sql"].upper()]
