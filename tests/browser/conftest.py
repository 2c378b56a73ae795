"""A real browser before the pages.

The browser is started for one module and stopped with it. While it runs, this thread has a running event loop, in which
Django refuses the ORM and asyncio refuses `asyncio.run`: neither may leak into other tests, so the session-wide
fixtures of pytest-playwright are not used.
"""

import pytest
from django.db import connections
from playwright.sync_api import sync_playwright

from tests import console_samples as samples
from tests.engines import chromium_path

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium():
    """A browser without any profile."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # The tests' own calls of the ORM are made in this thread and nowhere else.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()
        # Inside the event loop the ORM has a connection of its own, which nobody else would close.
        connections.close_all()


class Tab:
    """A page of the browser that remembers every complaint of the browser."""

    def __init__(self, page, address):
        self.page = page
        self.address = address
        self.complaints = []
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self._heard("error", str(error)))

    def _heard(self, kind, text):
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    def open(self, path):
        """Go to a path and return what the server answered."""
        return self.page.goto(self.address + path)

    def sign_in(self, user):
        """Sign in with the form, as people do."""
        self.open("/sign-in/")
        self.page.get_by_label("User name").fill(user.username)
        self.page.get_by_label("Password").fill(samples.PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(self.address + "/")


@pytest.fixture
def new_tab(chromium, live_server):
    """Return a function that opens a tab with nothing remembered; what the browser complains of fails the test."""
    tabs = []

    def make(*, width=1280, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(30_000)
        tabs.append(Tab(context.new_page(), live_server.url))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.page.context.close()
    assert [complaint for tab in tabs for complaint in tab.complaints] == []
