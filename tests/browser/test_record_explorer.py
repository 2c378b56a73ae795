"""The Record explorer in a real browser: completion by keyboard and by finger, running, history, without scripts."""

import re

import pytest
from playwright.sync_api import expect

from crm.models import Account, Contact
from isthmus.access.actions import assign, ensure_permission_set
from tests import console_samples as samples

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@pytest.fixture
def reader(transactional_db):
    user = samples.user_with("view", name="rita")
    grants = [
        grant for name in ("Account", "Contact") for grant in [("object", "read", name), ("field", "read", f"{name}.*")]
    ]
    assign(ensure_permission_set("Readers", "Readers", grants), user)
    acme = Account.objects.create(name="Acme", industry="Banking")
    Contact.objects.create(first_name="Ada", last_name="Byron", account=acme)
    return user


@pytest.fixture
def explorer(new_tab, reader):
    tab = new_tab()
    tab.sign_in(reader)
    tab.open("/explorer/")
    return tab


def editor(tab):
    return tab.page.get_by_label("SOQL query")


def options(tab):
    return tab.page.get_by_role("listbox", name="Suggestions").get_by_role("option")


def active_option(tab):
    """Return the suggestion that a screen reader is told of."""
    return tab.page.locator(f"#{editor(tab).get_attribute('aria-activedescendant')}")


def rows(tab):
    return tab.page.locator(".records-table > tbody > tr")


def test_a_query_is_written_with_suggestions_and_run_by_the_keyboard_alone(explorer):
    page = explorer.page
    editor(explorer).focus()
    page.keyboard.type("sel")
    expect(options(explorer)).to_have_text(["SELECTkeyword"])
    page.keyboard.press("Enter")
    expect(editor(explorer)).to_have_value("SELECT ")
    page.keyboard.type("Id FROM con")
    expect(options(explorer)).to_have_text(["ContactContact"])
    page.keyboard.press("Tab")
    expect(editor(explorer)).to_have_value("SELECT Id FROM Contact")
    expect(options(explorer)).to_have_count(0)

    # Fields of the object, and of its parent by way of the relationship.
    for _ in range(len(" FROM Contact")):
        page.keyboard.press("ArrowLeft")
    page.keyboard.type(", Acc")
    expect(options(explorer).first).to_contain_text("AccountId")
    expect(active_option(explorer)).to_contain_text("AccountId")
    page.keyboard.press("ArrowDown")
    expect(active_option(explorer)).to_contain_text("Account.")
    page.keyboard.press("Enter")
    expect(options(explorer).first).to_contain_text("Account ID")
    page.keyboard.type("Indu")
    expect(options(explorer)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(editor(explorer)).to_have_value("SELECT Id, Account.Industry FROM Contact")

    page.keyboard.press("Control+End")
    page.keyboard.type(" WHERE CreatedDate = TOD")
    expect(options(explorer).first).to_contain_text("TODAY")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/explorer/?q=SELECT+Id%2C+Account.Industry+FROM+Contact+WHERE+CreatedDate+%3D+TODAY")
    expect(page.get_by_role("heading", name="1 record")).to_be_visible()
    expect(rows(explorer).first).to_contain_text("Banking")

    # The id leads to the record, the record to what refers to it.
    rows(explorer).first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Byron")
    page.get_by_role("row", name="Account AccountId").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme")
    page.get_by_role("link", name="Contacts Contact.AccountId 1").click()
    expect(rows(explorer).first).to_contain_text("Ada Byron")


def test_escape_closes_the_suggestions_and_tab_leaves_the_editor(explorer):
    page = explorer.page
    editor(explorer).focus()
    page.keyboard.type("SELECT I")
    expect(options(explorer)).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(options(explorer)).to_have_count(0)
    assert editor(explorer).get_attribute("aria-activedescendant") is None
    page.keyboard.press("Enter")
    expect(editor(explorer)).to_have_value("SELECT I\n")
    page.keyboard.press("Tab")
    expect(editor(explorer)).not_to_be_focused()
    editor(explorer).focus()
    page.keyboard.press("Control+Space")
    expect(options(explorer)).not_to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    expect(editor(explorer)).to_have_value("SELECT I")


def test_a_finger_chooses_objects_fields_and_suggestions(new_tab, reader):
    tab = new_tab(width=390, has_touch=True)
    tab.sign_in(reader)
    tab.open("/explorer/")
    page = tab.page
    page.get_by_role("region", name="Objects").get_by_role("link", name="Contact").tap()
    part = page.get_by_role("region", name="About Contact")
    part.locator("[data-field='Email']").tap()
    expect(editor(tab)).to_have_value("SELECT Id, Email FROM Contact")
    part.locator("[data-field='LastName']").tap()
    expect(editor(tab)).to_have_value("SELECT Id, Email, LastName FROM Contact")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    editor(tab).evaluate("editor => editor.setSelectionRange(editor.value.length, editor.value.length)")
    editor(tab).press_sequentially(" ")
    page.get_by_role("button", name="Suggest").tap()
    options(tab).filter(has_text="ORDER BY").tap()
    expect(editor(tab)).to_have_value("SELECT Id, Email, LastName FROM Contact ORDER BY ")
    options(tab).filter(has_text="LastName").tap()
    page.get_by_role("button", name="Run").tap()
    expect(rows(tab).first).to_contain_text("Byron")


def test_what_was_asked_is_remembered_for_this_user_until_it_is_forgotten(explorer):
    page = explorer.page
    for text in ("SELECT Id FROM Account", "SELECT Name FROM Account", "SELECT Id FROM Account"):
        editor(explorer).fill(text)
        page.get_by_role("button", name="Run").click()
        page.wait_for_url(re.compile(r"\?q=SELECT\+" + text.split()[1]))
    page.get_by_text("Your last queries").click()
    entries = page.locator("[data-history-list] a")
    expect(entries).to_have_text(["SELECT Id FROM Account", "SELECT Name FROM Account"])
    entries.nth(1).click()
    expect(editor(explorer)).to_have_value("SELECT Name FROM Account")
    page.get_by_text("Your last queries").click()
    page.get_by_role("button", name="Forget them").click()
    explorer.open("/explorer/")
    expect(page.get_by_text("Your last queries")).to_be_hidden()


def test_a_mistake_is_found_in_the_editor(explorer):
    page = explorer.page
    editor(explorer).fill("SELECT Id\nFROM Account\nWHERE WHERE Name = 'x'")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 3, column 13")
    page.get_by_role("button", name="Go there").click()
    chosen = editor(explorer).evaluate("editor => [editor.selectionStart, editor.selectionEnd]")
    assert chosen == [35, 39]
    # The browser itself complains of an answer of 400.
    assert [complaint for complaint in explorer.complaints if "400" not in complaint] == []
    explorer.complaints.clear()


def test_the_samples_are_copied(explorer):
    page = explorer.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer.open("/explorer/?q=SELECT+Id+FROM+Account")
    page.get_by_role("button", name="Copy the curl command").click()
    expect(page.get_by_role("button", name="Copied the curl command")).to_be_visible()
    assert "--data-urlencode 'q=SELECT Id FROM Account'" in page.evaluate("navigator.clipboard.readText()")


def test_without_scripts_the_page_is_a_plain_form(new_tab, reader):
    tab = new_tab(java_script_enabled=False)
    tab.sign_in(reader)
    tab.open("/explorer/")
    page = tab.page
    page.get_by_role("region", name="Objects").get_by_role("link", name="Account").click()
    page.locator("[data-field='Name']").click()
    expect(editor(tab)).to_have_value("SELECT Id, Name FROM Account")
    expect(rows(tab).first).to_contain_text("Acme")
    editor(tab).fill("SELECT Industry FROM Account")
    page.get_by_role("button", name="Run").click()
    expect(rows(tab).first).to_contain_text("Banking")
    expect(page.get_by_role("button", name="Suggest")).to_be_hidden()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_every_state_fits_the_screen(new_tab, reader, width, scheme):
    tab = new_tab(width=width, color_scheme=scheme)
    tab.sign_in(reader)
    record_id = Account.objects.get().record_id
    wide = "SELECT+Id,Name,Website,Description,CreatedDate,(SELECT+Id,Name,Email+FROM+Contacts)+FROM+Account"
    for query in ("", "object=Contact", f"q={wide}&explain=on", "q=SELECT+COUNT()+FROM+Account"):
        assert tab.open(f"/explorer/?{query}").status == 200
        assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, query
    assert tab.open(f"/explorer/Account/{record_id}/").status == 200
    assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
