"""Who cannot see the pages, use no mouse, or has set their system up for themselves. New pages join by being in
`console_samples`."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests import console_samples as samples
from tests.browser.axe import GOOD_PRACTICE, WCAG, violations

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def root(transactional_db):
    """Somebody who may everything, and so sees every button."""
    return User.objects.create_superuser("root", password=samples.PASSWORD)


@pytest.fixture
def tab(new_tab, root):
    tab = new_tab(color_scheme="light", reduced_motion="reduce")
    tab.sign_in(root)
    return tab


def full_addresses():
    made = samples.make_everything()
    return {
        **samples.page_addresses(made),
        **samples.operating_addresses(made),
        **samples.further_addresses(made),
    }


def empty_addresses(user):
    client = Client()
    client.force_login(user)
    addresses = samples.addresses_without_rows()
    return {name: address for name, address in addresses.items() if client.get(address).status_code == 200}


def wrong_with(page, name, tags=WCAG + GOOD_PRACTICE):
    """Return a line for each violation on a page that is open, wide and narrow, light and dark."""
    lines = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            lines += [f"{name}, {scheme}, {size['width']}: {line}" for line in violations(page, tags)]
    return lines


def wrong_at(tab, addresses):
    """Return what is wrong on any of the pages, as one text."""
    lines = []
    for name, address in addresses.items():
        tab.open(address)
        lines += wrong_with(tab.page, name)
    return "\n".join(lines)


def test_no_full_page_breaks_a_rule(tab):
    wrong = wrong_at(tab, full_addresses())
    assert not wrong, wrong


def test_no_empty_page_breaks_a_rule(tab, root):
    addresses = empty_addresses(root)
    assert {"home", "jobs", "log", "queue", "batches", "services", "events", "event-log", "credentials"} <= set(
        addresses
    )
    wrong = wrong_at(tab, addresses)
    assert not wrong, wrong


ADMIN_PAGES = (
    "/admin/",
    "/admin/auth/user/",
    "/admin/auth/user/add/",
    "/admin/access/permissionset/",
    "/admin/access/permissionset/add/",
    "/admin/access/apiclient/add/",
    "/admin/credentials/externalcredential/add/",
    "/admin/credentials/namedcredential/",
    "/admin/credentials/namedcredential/add/",
    "/admin/external_services/externalservice/",
    "/admin/events/eventdefinition/add/",
    "/admin/jobs/schedule/add/",
    "/admin/audit/auditentry/",
)
"""What people set up by; the other pages of the admin are of the same kinds."""


def test_signing_in_and_errors_break_no_rule(new_tab, root):
    tab = new_tab(color_scheme="light", reduced_motion="reduce")
    lines = []
    for name, address in {"sign-in": "/sign-in/", "not-found": "/no-such-page"}.items():
        tab.open(address)
        lines += wrong_with(tab.page, name)
    tab.complaints.clear()
    tab.sign_in(samples.user_with())
    lines += wrong_with(tab.page, "refused")
    tab.complaints.clear()
    assert not lines, "\n".join(lines)


def test_the_set_up_pages_break_no_rule_of_wcag(tab):
    """Good practice beyond WCAG is the theme's: it has no `main` landmark."""
    samples.make_everything()
    lines = []
    for address in ADMIN_PAGES:
        assert tab.open(address).status == 200, address
        lines += wrong_with(tab.page, address, WCAG)
    assert not lines, "\n".join(lines)


INTERACTIVE = """() => {
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]");
  const found = [...document.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]"
  )].filter((element) => element.tabIndex >= 0 && !element.disabled && shown(element));
  // Of radio buttons of one name, Tab reaches one; the arrows lead to the others.
  const named = new Set();
  return found.filter((element) => {
    if (element.type !== "radio") return true;
    const isFirst = !named.has(element.name);
    named.add(element.name);
    return isFirst;
  }).map((element, place) => (element.dataset.place = place, element.outerHTML.slice(0, 120)));
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const within = (middle, size) => Math.min(Math.max(middle, 1), size - 1);
  const hit = document.elementFromPoint(
    within(box.x + box.width / 2, innerWidth), within(box.y + box.height / 2, innerHeight)
  );
  return {
    place: element.dataset.place ?? "",
    what: element.outerHTML.slice(0, 120),
    shows: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 || style.boxShadow !== "none",
    covered: !(hit && (element.contains(hit) || hit.contains(element))),
  };
}"""


def keyboard_troubles(page, name):
    """Walk a page by Tab from its beginning to its end, and return what is not reached, not seen or not left."""
    awaited = page.evaluate(INTERACTIVE)
    reached, lines, last = set(), [], ""
    # From the beginning, wherever the page itself has put the focus.
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    # A box that scrolls is a stop, too, and a date has several; so many steps are enough for any page without a trap.
    for _ in range(2 * len(awaited) + 40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused is None or (focused["place"] != last and focused["place"] in reached):
            break
        last = focused["place"]
        if not focused["shows"]:
            lines.append(f"{name}: the focus is not seen on {focused['what']}")
        if focused["covered"]:
            lines.append(f"{name}: something covers the focused {focused['what']}")
        if last:
            reached.add(last)
    else:
        lines.append(f"{name}: Tab does not come to an end")
    return lines + [
        f"{name}: Tab does not reach {what}" for place, what in enumerate(awaited) if str(place) not in reached
    ]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_keyboard_reaches_everything_shows_where_it_is_and_gets_away(tab, size):
    tab.page.set_viewport_size(size)
    # A live part that nobody is in may be read anew at any moment, and with it what was counted.
    tab.page.add_init_script("sessionStorage.setItem('isthmusLive', 'off')")
    lines = []
    for name, address in full_addresses().items():
        tab.open(address)
        lines += keyboard_troubles(tab.page, name)
    assert not lines, "\n".join(lines)


def test_every_page_reflows_at_320_pixels_and_at_twice_the_size(tab):
    """320 wide is a screen of 1280 at 400 %; WCAG asks that nobody scrolls in two directions there."""
    lines = []
    for name, address in full_addresses().items():
        tab.page.set_viewport_size({"width": 320, "height": 640})
        tab.open(address)
        for width in (320, 640):
            tab.page.set_viewport_size({"width": width, "height": 640})
            beyond = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if beyond > 0:
                lines.append(f"{name}: {beyond} pixels beyond a width of {width}")
    assert not lines, "\n".join(lines)


MOVING = """() => {
  const seconds = (text) => Math.max(...text.split(",").map(parseFloat));
  return [...document.querySelectorAll("*")].filter((element) => {
    const style = getComputedStyle(element);
    return seconds(style.transitionDuration) > 0
      || (style.animationName !== "none" && seconds(style.animationDuration) > 0);
  }).map((element) => element.outerHTML.slice(0, 120));
}"""
BORDERLESS = """() => [...document.querySelectorAll(".chip, .card, .button, .figure, .field input, .field select")]
  .filter((element) => element.checkVisibility() && !element.closest("details:not([open])"))
  .filter((element) => getComputedStyle(element).borderTopStyle === "none" && element.type !== "checkbox")
  .map((element) => element.outerHTML.slice(0, 120))"""


def test_nothing_moves_for_whoever_asked_for_that_and_own_colours_leave_every_border(tab):
    lines = []
    tab.page.emulate_media(reduced_motion="reduce", forced_colors="active")
    for name, address in full_addresses().items():
        tab.open(address)
        lines += [f"{name}: moves: {what}" for what in tab.page.evaluate(MOVING)]
        lines += [f"{name}: no border: {what}" for what in tab.page.evaluate(BORDERLESS)]
    assert not lines, "\n".join(lines)
