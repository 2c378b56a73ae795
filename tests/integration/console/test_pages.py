"""Every page: who sees it, that it escapes what others wrote, and what it costs."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from isthmus.console import timeline
from tests import console_samples as samples

PAGES = sorted(
    (
        "home", "connections", "limits",
        "search", "time-line", "why", "jobs", "job", "schedules", "log", "entry", "queue", "queued", "doubtful",
        "batches", "batch", "services", "service", "operation", "version", "invocations",
        "endpoints", "endpoint", "endpoint-test",
        "invocation", "callbacks", "callback", "events", "event-log", "event", "subscription", "parked",
        "explorer", "bulk-operation", "why-fired", "found", "credentials", "credential",
    )
)  # fmt: skip


@pytest.fixture
def addresses(db):
    return samples.page_addresses(samples.make_everything())


@pytest.mark.parametrize("name", PAGES)
def test_whoever_may_look_sees_the_page_and_nothing_on_it_is_markup_of_others(name, addresses, watcher):
    answer = watcher.get(addresses[name])
    text = answer.content.decode()
    assert answer.status_code == 200
    assert samples.HOSTILE not in text
    assert "alert('x')" not in text
    assert "the-callback-token" not in text
    assert text.count("<h1") == 1
    assert '<main id="content"' in text


@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_scripts_styles_or_handlers_of_its_own(name, addresses, watcher):
    text = watcher.get(addresses[name]).content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


@pytest.mark.parametrize("name", PAGES)
def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(name, addresses, client):
    answer = client.get(addresses[name])
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in/?next=/")


@pytest.mark.parametrize("name", PAGES)
def test_whoever_has_no_grant_is_refused_and_told_what_is_missing(name, addresses, client):
    client.force_login(samples.user_with())
    answer = client.get(addresses[name])
    assert answer.status_code == 403
    assert "console.view" in answer.content.decode()
    assert "correlation-1" not in answer.content.decode()


def test_empty_pages_say_what_they_will_show(watcher):
    for address in (
        "/", "/search/", "/search/?q=nothing", "/access/why/", "/why/", "/timeline/nothing", "/operations/",
        "/operations/schedules/",
        "/integration-log/",
        "/queued-callouts/", "/queued-callouts/batches/", f"/api-endpoints{samples.ENDPOINT}",
        "/external-services/", "/external-services/invocations/", "/external-services/callbacks/", "/events/log/",
        "/explorer/",
    ):  # fmt: skip
        answer = watcher.get(address)
        assert answer.status_code == 200, address
        assert re.search(r'class="(card empty|card pad muted)"', answer.content.decode()), address


def test_the_navigation_marks_where_we_are(watcher):
    text = watcher.get("/operations/schedules/").content.decode()
    current = re.findall(r'<a href="([^"]+)" aria-current="page"><svg', text)
    assert current == ["/operations/"]
    assert reverse("admin:index") not in text


def test_staff_find_the_way_to_the_set_up(client, admin_user):
    client.force_login(admin_user)
    assert 'href="/admin/"' in client.get("/").content.decode()


def test_a_part_that_refreshes_itself_takes_the_whole_page_to_the_sign_in_when_the_session_ended(db):
    answer = Client().get("/operations/", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Refresh"] == "true"
    assert answer.content == b""


def test_errors_have_a_page_with_the_correlation_id(client):
    answer = client.get("/no-such-page", headers={"X-Request-Id": "find-me-17"})
    text = answer.content.decode()
    assert answer.status_code == 404
    assert "The address may be mistyped" in text
    assert "find-me-17" in text


def test_an_error_of_ours_tells_nothing_but_the_correlation_id(admin_user):
    client = Client(raise_request_exception=False)
    client.force_login(admin_user)

    def broken(_limit):
        raise RuntimeError("inner detail")

    with timeline.register_source_temporarily(lambda _asked, _limit: [], recent=broken):
        answer = client.get("/", headers={"X-Request-Id": "find-me-18"})
    text = answer.content.decode()
    assert answer.status_code == 500
    assert "It has been logged" in text
    assert "find-me-18" in text
    assert "inner detail" not in text
