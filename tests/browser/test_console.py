"""The console in a real browser: signing in, walking the pages, theme, menu, live parts, acting."""

import re

import pytest
from playwright.sync_api import expect

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


def test_without_scripts_everything_is_still_reachable(new_tab, operating_user):
    samples.make_everything()
    tab = new_tab(width=390, java_script_enabled=False)
    tab.sign_in(operating_user)
    tab.page.get_by_role("navigation", name="Main").get_by_role("link", name="Integration log").click()
    tab.page.get_by_label("Outcome").select_option("failed")
    tab.page.get_by_role("button", name="Filter").click()
    expect(tab.page.get_by_role("heading", name="Nothing matches these filters")).to_be_visible()


def test_a_live_page_shows_what_changed_and_rests_when_it_is_told_to(new_tab, operating_user):
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
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.evaluate(
        "() => { window.ticks = 0; document.addEventListener('htmx:beforeRequest', () => window.ticks++) }"
    )
    tab.page.wait_for_function("() => window.ticks >= 2")
    assert asked == []

    Job.objects.filter(pk=job.pk).update(state="Completed", progress_done=10)
    switch.click()
    expect(tab.page.locator("#live .chip").first).to_have_text("Completed", timeout=20_000)
    expect(tab.page.locator("#live")).not_to_have_attribute("hx-trigger", re.compile("."))


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
