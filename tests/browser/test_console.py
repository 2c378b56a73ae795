"""The console in a real browser: signing in, walking the pages, theme, menu, live parts, acting."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from isthmus import clock
from isthmus.console.rollups import rolling
from isthmus.jobs.models import Job
from tests import console_samples as samples

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def operating_user(transactional_db):
    return samples.user_with("operate", name="olga")


def background(tab):
    return tab.page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize("width", [1440, 390])
def test_every_page_opens_without_a_complaint_and_fits_the_screen(new_tab, operating_user, width):
    """A violation of the content security policy is a complaint, so hostile content cannot act either."""
    made = samples.make_everything()
    addresses = {**samples.page_addresses(made), **samples.operating_addresses(made)}
    tab = new_tab(width=width)
    dialogs = []
    tab.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    tab.sign_in(operating_user)
    for name, address in addresses.items():
        assert tab.open(address).status == 200, name
        assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert dialogs == []


def test_the_navigation_and_the_search_lead_through_the_console(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab()
    tab.sign_in(operating_user)
    for label in (
        "Background operations",
        "Integration log",
        "Queued callouts",
        "External services",
        "Event monitor",
        "Home",
    ):
        tab.page.get_by_role("navigation", name="Main").get_by_role("link", name=label).click()
        expect(tab.page.get_by_role("heading", level=1)).to_have_text(label)
    tab.page.keyboard.press("/")
    expect(tab.page.get_by_role("searchbox", name="Find by id")).to_be_focused()
    tab.page.keyboard.type("correlation-1")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Time line")
    tab.page.locator(".line").get_by_role("link", name="Submit application").click()
    expect(tab.page.get_by_role("heading", name="Request")).to_be_visible()


def test_the_keyboard_gets_past_the_navigation(new_tab, operating_user):
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to the content")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("main")).to_be_focused()


def test_the_theme_follows_the_system_until_somebody_chooses(new_tab, operating_user):
    tab = new_tab(color_scheme="light")
    tab.sign_in(operating_user)
    light = background(tab)
    tab.page.emulate_media(color_scheme="dark")
    dark = background(tab)
    assert dark != light
    toggle = tab.page.get_by_role("button", name="Theme: as the system")
    toggle.click()
    assert background(tab) == light
    tab.open("/operations/")
    assert background(tab) == light
    tab.page.get_by_role("button", name="Theme: light").click()
    tab.page.emulate_media(color_scheme="light")
    assert background(tab) == dark
    expect(tab.page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_the_menu_of_a_narrow_screen_opens_and_closes(new_tab, operating_user):
    tab = new_tab(width=390)
    tab.sign_in(operating_user)
    navigation = tab.page.get_by_role("navigation", name="Main")
    menu = tab.page.get_by_role("button", name="Menu")
    expect(navigation).to_be_hidden()
    menu.click()
    expect(navigation).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()
    expect(menu).to_be_focused()
    menu.click()
    navigation.get_by_role("link", name="Integration log").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Integration log")


def test_of_tabs_that_do_not_fit_the_current_one_is_in_sight(new_tab, operating_user):
    tab = new_tab(width=390)
    tab.sign_in(operating_user)
    for path in ("/events/", "/events/log/", "/events/parked/"):
        tab.open(path)
        place = tab.page.locator(".tabs [aria-current='page']").bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 390


def test_without_scripts_everything_is_still_reachable(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab(width=390, java_script_enabled=False)
    tab.sign_in(operating_user)
    tab.page.get_by_role("navigation", name="Main").get_by_role("link", name="Integration log").click()
    tab.page.get_by_label("Outcome").select_option("failed")
    tab.page.get_by_role("button", name="Filter").click()
    expect(tab.page.get_by_role("heading", name="Nothing matches these filters")).to_be_visible()


def asked_for(tab, path):
    """Return the list to which each further request for the path is added."""
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url) if path in request.url else None)
    return asked


def test_a_live_page_shows_what_changed_and_rests_when_it_is_told_to(new_tab, operating_user, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    job = samples.make_job(state="Processing", error="", progress_done=1, progress_total=10)
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open(f"/operations/{job.pk}/")
    expect(tab.page.get_by_text("1 of 10")).to_be_visible()
    Job.objects.filter(pk=job.pk).update(progress_done=4)
    expect(tab.page.get_by_text("4 of 10")).to_be_visible(timeout=20_000)

    switch = tab.page.locator("[data-live-switch]")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    asked = asked_for(tab, "/")
    Job.objects.filter(pk=job.pk).update(progress_done=7)
    tab.page.wait_for_timeout(3_000)
    assert asked == []
    expect(tab.page.get_by_text("4 of 10")).to_be_visible()

    Job.objects.filter(pk=job.pk).update(state="Completed", progress_done=10, finished_at=clock.now())
    switch.click()
    expect(tab.page.locator("#live .chip").first).to_have_text("Completed", timeout=20_000)
    expect(tab.page.locator("#live")).not_to_have_attribute("data-live", re.compile("."))
    tab.page.wait_for_timeout(1_500)
    asked.clear()
    tab.page.wait_for_timeout(2_500)
    assert asked == []


def test_a_quiet_page_asks_for_nothing_and_its_ages_go_on(new_tab, operating_user):
    samples.make_job(created_at=clock.now() - timedelta(seconds=5))
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    tab.page.wait_for_timeout(1_500)
    asked = asked_for(tab, "/operations/")
    age = tab.page.locator("#live time.age").first
    before = age.text_content()
    expect(age).not_to_have_text(before, timeout=5_000)
    assert re.fullmatch(r"\d+ s ago", age.text_content())
    tab.page.wait_for_timeout(2_000)
    assert asked == []


def test_a_part_in_use_stands_still_and_catches_up(new_tab, operating_user, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    samples.make_job(function="first")
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    tab.page.wait_for_timeout(1_500)
    link = tab.page.get_by_role("link", name="first")
    link.focus()
    samples.make_job(function="second")
    tab.page.wait_for_timeout(3_500)
    expect(tab.page.get_by_role("link", name="second")).to_have_count(0)
    expect(link).to_be_focused()
    link.evaluate("element => element.blur()")
    expect(tab.page.get_by_role("link", name="second")).to_be_visible(timeout=10_000)


def test_what_an_empty_list_gets_can_be_acted_on(new_tab, operating_user, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    bar = tab.page.get_by_role("form", name="Bulk actions")
    expect(bar).to_be_hidden()
    samples.make_job(function="new")
    expect(tab.page.get_by_role("checkbox", name="Choose new")).to_be_visible(timeout=10_000)
    expect(bar).to_be_visible()


def test_without_a_stream_the_page_asks_from_time_to_time(new_tab, operating_user, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    settings.ISTHMUS_CONSOLE_LIVE_STREAMS = 0
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    samples.make_job(function="later")
    expect(tab.page.get_by_role("link", name="later")).to_be_visible(timeout=10_000)
    # The browser complains of each refusal; nothing else is wrong.
    assert all("503" in complaint for complaint in tab.complaints)
    tab.complaints.clear()
    tab.page.locator("[data-live-switch]").click()


def test_a_progress_bar_moves_to_where_it_is(new_tab, operating_user, settings):
    """The element keeps its old value for a moment after the swap, so that the style sheet can move it."""
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    job = samples.make_job(state="Processing", error="", progress_done=1, progress_total=10)
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open(f"/operations/{job.pk}/")
    tab.page.evaluate(
        """() => {
            const see = () => window.seen.push(document.querySelector("progress").value);
            window.seen = [];
            document.addEventListener("htmx:afterSwap", see);
            document.addEventListener("htmx:afterSettle", see);
        }"""
    )
    tab.page.wait_for_timeout(1_500)
    tab.page.evaluate("() => { window.seen = [] }")
    Job.objects.filter(pk=job.pk).update(progress_done=8)
    tab.page.wait_for_function("() => window.seen.includes(8)")
    assert tab.page.evaluate("() => window.seen.slice(0, 2)") == [1, 8]


def test_a_session_that_ended_takes_the_live_page_to_the_sign_in(new_tab, operating_user, settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    tab.page.wait_for_timeout(1_000)
    Session.objects.all().delete()
    samples.make_job()
    tab.page.wait_for_url("**/sign-in/?next=**", timeout=40_000)
    expect(tab.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert tab.page.url == f"{tab.address}/sign-in/?next=/operations/"
    # The stream was refused, which the browser tells.
    tab.complaints.clear()


def test_a_list_is_exported_with_its_filters(new_tab, operating_user):
    samples.make_job(function="wanted", state="Failed")
    samples.make_job(function="other", state="Completed")
    tab = new_tab(accept_downloads=True)
    tab.sign_in(operating_user)
    tab.open("/operations/?state=Failed")
    with tab.page.expect_download() as awaited:
        tab.page.get_by_role("link", name="Export as CSV").click()
    assert awaited.value.suggested_filename.startswith("operations-")
    text = Path(awaited.value.path()).read_text()
    assert "wanted" in text
    assert "other" not in text


def test_rows_are_chosen_and_acted_on_by_keyboard(new_tab, operating_user, settings, jobs):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    first, second, third = (samples.make_job(function=f"gone.{name}") for name in ("first", "second", "third"))
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/operations/")
    box = tab.page.get_by_role("checkbox", name="Choose gone.second")
    box.focus()
    tab.page.keyboard.press("Space")
    count = tab.page.locator("[data-pick-count]")
    expect(count).to_have_text("1")
    # A chosen row stays chosen when the part is read again.
    box.evaluate("element => element.blur()")
    fourth = samples.make_job(function="gone.fourth")
    expect(tab.page.get_by_role("checkbox", name="Choose gone.fourth")).to_be_visible(timeout=10_000)
    expect(tab.page.get_by_role("checkbox", name="Choose gone.second")).to_be_checked()
    whole = tab.page.get_by_role("checkbox", name="Choose every row of this page")
    whole.focus()
    tab.page.keyboard.press("Space")
    expect(count).to_have_text("4")
    tab.page.get_by_role("checkbox", name="Choose gone.third").focus()
    tab.page.keyboard.press("Space")
    expect(count).to_have_text("3")
    retry = tab.page.get_by_role("button", name="Retry…")
    retry.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Retry: 3 rows?")
    tab.page.get_by_role("button", name="Retry 3 rows").press("Enter")
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Retry: 3 rows")
    jobs.run_all()
    expect(tab.page.locator("#live .chip").first).to_have_text("Done", timeout=20_000)
    assert {job.attempts for job in Job.objects.filter(pk__in=[first.pk, second.pk, fourth.pk])} == {2}
    third.refresh_from_db()
    assert third.attempts == 1


def test_bulk_actions_work_without_scripts(new_tab, operating_user):
    samples.make_job(function="gone.first")
    samples.make_job(function="gone.second", state="Completed", error="")
    tab = new_tab(width=390, java_script_enabled=False)
    tab.sign_in(operating_user)
    tab.open("/operations/")
    tab.page.get_by_label("All rows").check(force=True)
    tab.page.get_by_role("button", name="Retry…").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Retry: 1 row?")
    tab.page.get_by_role("link", name="Back to the list").click()
    tab.page.get_by_role("checkbox", name="Choose gone.first").check()
    tab.page.get_by_role("button", name="Retry…").click()
    tab.page.get_by_role("button", name="Retry 1 row").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Retry: 1 row")
    assert Job.objects.filter(kind="Bulk").count() == 1


def test_choosing_a_filter_applies_it_and_leaves_the_others_out_of_the_address(new_tab, operating_user):
    samples.make_log_entry()
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/integration-log/")
    tab.page.get_by_label("Outcome").select_option("failed")
    tab.page.wait_for_url("**/integration-log/?outcome=failed")
    tab.page.get_by_role("link", name="Clear the filters").click()
    expect(tab.page.get_by_role("link", name="Submit application")).to_be_visible()


def test_an_operator_retries_and_aborts(new_tab, operating_user):
    job = samples.make_job()
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open(f"/operations/{job.pk}/")
    tab.page.get_by_role("button", name="Retry").click()
    expect(tab.page.get_by_text("The operation will be tried again.")).to_be_visible()

    tab.page.once("dialog", lambda dialog: dialog.dismiss())
    tab.page.get_by_role("button", name="Abort").click()
    job.refresh_from_db()
    assert job.state == "Queued"
    tab.page.once("dialog", lambda dialog: dialog.accept())
    tab.page.get_by_role("button", name="Abort").click()
    expect(tab.page.get_by_text("The operation is aborted")).to_be_visible()
    job.refresh_from_db()
    assert job.state == "Aborted"


def test_a_request_is_copied_as_curl(new_tab, operating_user):
    entry = samples.make_log_entry(request_headers={"Authorization": "********"}, request_body="")
    tab = new_tab()
    tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.sign_in(operating_user)
    tab.open(f"/integration-log/{entry.pk}/")
    tab.page.get_by_role("button", name="Copy as curl").click()
    expect(tab.page.get_by_role("button", name="Copied")).to_be_visible()
    copied = tab.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl --request POST 'https://bank.example.org/v1/applications?note=")
    assert '"${AUTHORIZATION}"' in copied


def test_an_operator_decides_about_a_callout_in_doubt(new_tab, operating_user):
    doubtful = samples.make_queued(state="in_doubt", operation="Charge the deposit")
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/queued-callouts/?state=dead")
    tab.page.get_by_role("link", name="Charge the deposit").click()
    tab.page.get_by_label("What you found out").fill("their order 7")
    tab.page.get_by_role("button", name="It acted").click()
    expect(tab.page.get_by_text("It counts as succeeded: the other side acted.")).to_be_visible()
    doubtful.refresh_from_db()
    assert (doubtful.state, doubtful.reason) == ("succeeded", "The other side acted by olga: their order 7")


def test_the_set_up_pages_work_under_their_policy_and_share_the_theme(new_tab, operating_user):
    operating_user.is_staff = operating_user.is_superuser = True
    operating_user.save()
    tab = new_tab(color_scheme="light")
    tab.sign_in(operating_user)
    tab.page.get_by_role("button", name="Theme: as the system").click()
    tab.page.get_by_role("button", name="Theme: light").click()
    for address in ("/admin/", "/admin/auth/user/", "/admin/auth/user/add/"):
        assert tab.open(address).status == 200
        expect(tab.page.locator("html")).to_have_class(re.compile("dark"))
    tab.page.get_by_role("link", name="Back to the console").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("Home")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_a_time_line_is_walked_by_keyboard(new_tab, operating_user, scheme):
    samples.make_everything()
    tab = new_tab(color_scheme=scheme)
    tab.sign_in(operating_user)
    tab.open("/timeline/correlation-1")
    picture = tab.page.get_by_role("region", name="The time line as a picture")
    picture.focus()
    tab.page.keyboard.press("Tab")
    first = picture.get_by_role("link").first
    expect(first).to_be_focused()
    expect(first).to_have_attribute("aria-label", re.compile(r"^1\. .*after 0 ms"))
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#entry-1")).to_be_in_viewport()
    assert tab.page.url.endswith("#entry-1")
    assert picture.get_by_role("link").count() == tab.page.locator(".line-row").count()


def test_the_picture_scrolls_by_itself_on_a_narrow_screen_and_needs_no_script(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab(width=390, java_script_enabled=False)
    tab.sign_in(operating_user)
    tab.open("/timeline/correlation-1")
    picture = tab.page.locator(".picture-scroll")
    assert picture.bounding_box()["width"] <= 390
    assert tab.page.locator(".picture svg").bounding_box()["width"] >= 880
    picture.get_by_role("link").nth(2).click()
    assert tab.page.url.endswith("#entry-3")


def test_a_bundle_is_downloaded(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.open("/timeline/correlation-1")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Bundle").click()
    assert download.value.suggested_filename == "time-line-correlation-1.zip"


def test_why_is_asked_and_answered(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.page.get_by_role("navigation", name="Main").get_by_role("link", name="Why?").click()
    tab.page.get_by_label("or replay id").fill("1")
    tab.page.get_by_role("button", name="Ask").click()
    expect(tab.page.get_by_text("0 of 1 subscription handled it.")).to_be_visible()
    tab.page.get_by_role("navigation", name="Questions").get_by_role("link", name="May they").click()
    expect(tab.page.get_by_role("heading", level=1)).to_have_text("May they, and why not?")


def test_the_set_up_is_found_quickly_by_keyboard(new_tab, operating_user):
    operating_user.is_staff = operating_user.is_superuser = True
    operating_user.save()
    tab = new_tab(color_scheme="dark")
    tab.sign_in(operating_user)
    tab.open("/admin/")
    sidebar = tab.page.locator("#nav-sidebar-apps")
    quick_find = tab.page.get_by_role("searchbox", name="Quick find")
    everything = sidebar.get_by_role("link").count()
    tab.page.keyboard.press("/")
    expect(quick_find).to_be_focused()
    tab.page.keyboard.type("cred")
    expect(sidebar.get_by_role("link", name="Users")).to_be_hidden()
    expect(sidebar.get_by_role("link", name="External credentials")).to_be_visible()
    # The name of a group brings what is in it.
    expect(sidebar.get_by_role("link", name="Principals")).to_be_visible()
    tab.page.keyboard.press("ArrowDown")
    expect(sidebar.get_by_role("link", name="Named credentials")).to_be_focused()
    tab.page.keyboard.press("ArrowDown")
    expect(sidebar.get_by_role("link", name="External credentials")).to_be_focused()
    tab.page.keyboard.press("Escape")
    expect(quick_find).to_be_focused()
    assert sidebar.get_by_role("link").count() == everything
    tab.page.keyboard.type("no such page")
    expect(tab.page.get_by_text("Nothing is called so.")).to_be_visible()
    quick_find.fill("permission sets")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/admin/access/permissionset/")


def test_signing_out_ends_the_session(new_tab, operating_user):
    tab = new_tab()
    tab.sign_in(operating_user)
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()
    tab.open("/operations/")
    expect(tab.page.get_by_role("heading", name="Sign in")).to_be_visible()


class TestCharts:
    @pytest.fixture
    def tab(self, new_tab, operating_user):
        now = clock.now()
        for minutes in (1, 2, 30, 90):
            samples.make_job(state="Completed", error="", started_at=now, finished_at=now - timedelta(minutes=minutes))
        for _ in rolling.roll_up_everything():
            pass
        tab = new_tab()
        tab.sign_in(operating_user)
        tab.open("/operations/?span=1h")
        return tab

    def first(self, tab):
        return tab.page.get_by_role("group", name="Operations ended")

    def test_a_chart_is_drawn_and_read_with_the_keyboard(self, tab):
        chart = self.first(tab)
        expect(chart.locator("canvas")).to_be_visible()
        readout = tab.page.locator("#chart-throughput [data-chart-readout]")
        chart.focus()
        tab.page.keyboard.press("End")
        newest = readout.text_content()
        tab.page.keyboard.press("Home")
        assert readout.text_content() != newest
        texts = set()
        for _ in range(12):
            tab.page.keyboard.press("ArrowRight")
            texts.add(readout.text_content())
        assert any("completed" in text for text in texts)
        expect(readout).to_have_attribute("role", "status")

    def test_the_drawing_stays_when_the_live_part_is_read_again(self, tab):
        """The same canvas moves into the new part, with new numbers; an opened table stays open."""
        tab.page.locator("#chart-throughput canvas").evaluate("canvas => { window.drawing = canvas; }")
        tab.page.locator("#chart-throughput summary").click()
        samples.make_job(state="Completed", error="", started_at=clock.now(), finished_at=clock.now())
        tab.page.locator("h1").click()
        tab.page.evaluate("document.activeElement.blur()")
        expect(tab.page.locator("#chart-throughput-summary")).to_contain_text("4 completed")
        assert tab.page.evaluate("window.drawing === document.querySelector('#chart-throughput canvas')")
        expect(tab.page.locator("#chart-throughput table")).to_be_visible()

    def test_colours_follow_the_theme(self, tab):
        def pixels():
            return self.first(tab).locator("canvas").evaluate("canvas => canvas.toDataURL()")

        before = pixels()
        tab.page.emulate_media(color_scheme="dark")
        tab.page.wait_for_timeout(200)
        assert pixels() != before

    def test_a_span_is_an_address(self, tab):
        tab.page.get_by_role("link", name="7d").click()
        expect(tab.page).to_have_url(re.compile(r"span=7d"))
        expect(tab.page.locator("#chart-throughput-summary")).to_contain_text("the last 7 days: 4 completed")

    def test_a_finger_points_at_a_bar(self, new_tab, operating_user, tab):
        narrow = new_tab(width=390, has_touch=True)
        narrow.sign_in(operating_user)
        narrow.open("/operations/?span=1h")
        narrow.page.locator("#chart-throughput .u-over").tap(position={"x": 5, "y": 20})
        pointed = narrow.page.locator("#chart-throughput [data-chart-readout]").text_content()
        narrow.page.locator("#chart-throughput .u-over").tap(position={"x": 200, "y": 20})
        assert narrow.page.locator("#chart-throughput [data-chart-readout]").text_content() != pointed

    def test_without_scripts_the_table_has_the_numbers(self, new_tab, operating_user, tab):
        cookies = tab.page.context.cookies()
        plain = new_tab(java_script_enabled=False)
        plain.page.context.add_cookies(cookies)
        plain.open("/operations/?span=1h")
        assert plain.page.locator("[data-chart]").first.is_hidden()
        plain.page.locator("#chart-throughput summary").click()
        assert "completed" in plain.page.locator("#chart-throughput thead").inner_text()
        assert plain.page.locator("#chart-throughput tbody tr").count() >= 2
