"""The Record explorer: what each user sees of objects, queries and records, and what bad input comes to."""

import csv
import io
import json
import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from crm.models import Account, Case, Contact
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.objects.models import ObjectSharing
from isthmus.objects.record_ids import record_id_of
from isthmus.objects.sharing import forget_settings
from records.pages import MAX_QUERY_LENGTH, PAGE_SIZE
from tests.console_samples import HOSTILE

LOOKS = ("console", "view", "*")
READS_ACCOUNTS = [("object", "read", "Account"), ("field", "read", "Account.Phone")]


@pytest.fixture
def make_browser(db):
    """Returns a function that makes a user with these grants, and gives a browser signed in as that user."""

    def made(name, *grants):
        user = User.objects.create_user(name)
        assign(ensure_permission_set(name.title(), name.title(), [LOOKS, *grants]), user)
        browser = Client(raise_request_exception=False)
        browser.force_login(user)
        browser.user = user
        return browser

    return made


@pytest.fixture
def browser(make_browser):
    """Somebody who reads everything of accounts, contacts, cases and users."""
    grants = [
        grant
        for name in ("Account", "Contact", "Case", "User")
        for grant in [("object", "read", name), ("field", "read", f"{name}.*")]
    ]
    return make_browser("reader", *grants)


def page(browser, status=200, **query):
    answer = browser.get("/explorer/", query)
    assert answer.status_code == status
    return answer.content.decode()


def shown_rows(text):
    """Return the cells of the result's rows as texts."""
    body = re.search(r'<table class="records-table">.*?<tbody>(.*)</tbody>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body[1] if body else "", re.DOTALL)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


def objects_listed(text):
    return re.findall(r'data-object="(\w+)"', text)


def test_only_what_is_granted_is_listed(make_browser):
    limited = make_browser("limited", *READS_ACCOUNTS)
    text = page(limited, object="account")
    assert objects_listed(text) == ["Account", "Organization"]
    listed = re.findall(r'data-field="(\w+)"', text)
    assert {"Id", "Name", "Phone", "CreatedDate"} <= set(listed)
    assert "AnnualRevenue" not in text
    assert "Contact" not in re.search(r'<section class="card object".*?</section>', text, re.DOTALL)[0]


def test_an_object_shows_its_fields_and_relationships(browser):
    text = page(browser, object="Contact")
    part = re.search(r'<section class="card object".*?</section>', text, re.DOTALL)[0]
    assert "→ Account" in part
    assert "Account.…" in part
    assert re.search(r'data-field="LastName".*?mark-required', part, re.DOTALL)
    assert re.search(r'data-field="External_Reference__c".*?external id', part, re.DOTALL)
    assert 'href="/explorer/objects/Contact/describe.json"' in part
    assert ">Cases<" in part
    assert re.search(r'data-object="Contact"[^>]*aria-current="true"', text)


def test_whoever_reads_no_object_is_told_so(make_browser):
    text = page(make_browser("nobody"))
    assert "No object is granted to you" in text
    assert objects_listed(text) == ["Organization"]


def test_examples_can_be_run(browser):
    Account.objects.create(name="Acme")
    text = page(browser)
    assert "Nothing asked yet" in text
    found = re.findall(r'<a href="/explorer/(\?q=[^"]+)"><span class="example-title">', text)
    addresses = [unescape(one) for one in found]
    assert len(addresses) >= 4
    for address in addresses:
        answer = browser.get(f"/explorer/{address}")
        assert answer.status_code == 200, address


def test_what_the_editor_suggests_from_is_what_the_user_sees(make_browser, browser):
    limited = make_browser("limited", *READS_ACCOUNTS)
    found = limited.get("/explorer/objects/account/fields.json").json()
    names = {field["name"] for field in found["fields"]}
    assert found["name"] == "Account"
    assert "Phone" in names
    assert "Industry" not in names
    assert found["children"] == []
    assert all(field["target"] in {"", "Account"} for field in found["fields"])
    assert limited.get("/explorer/objects/Contact/fields.json").status_code == 404
    everything = browser.get("/explorer/objects/Account/fields.json").json()
    assert {"name": "Contacts", "target": "Contact"} in everything["children"]
    industry = next(field for field in everything["fields"] if field["name"] == "Industry")
    assert "Banking" in industry["values"]
    owner = next(field for field in everything["fields"] if field["name"] == "OwnerId")
    assert (owner["relationship"], owner["target"]) == ("Owner", "User")


def test_the_description_is_the_api_s(browser, make_browser):
    answer = browser.get("/explorer/objects/Account/describe.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert answer.json()["name"] == "Account"
    refused = make_browser("limited", *READS_ACCOUNTS).get("/explorer/objects/Contact/describe.json")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"add": "Account.Name"}, "SELECT Id, Name FROM Account"),
        ({"q": "SELECT Id FROM Account", "add": "Account.Name"}, "SELECT Id, Name FROM Account"),
    ],
)
def test_without_scripts_a_field_is_added_by_the_server(browser, given, expected):
    text = page(browser, **given)
    assert f">\n{expected}</textarea>" in text


def test_rows_are_shown_with_parents_children_and_links(browser):
    acme = Account.objects.create(name="Acme <b>", annual_revenue=1200)
    ada = Contact.objects.create(last_name="Byron", account=acme)
    Contact.objects.create(last_name="Alone")
    Case.objects.create(subject="Broken", contact=ada)
    text = page(
        browser, q="SELECT Id, LastName, Account.Name, (SELECT Id, Subject FROM Cases) FROM Contact ORDER BY Id"
    )
    rows = shown_rows(text.replace("<details", "<!--").replace("</details>", "-->"))
    assert f'href="/explorer/Contact/{ada.record_id}/"' in text
    assert re.findall(r'<th scope="col">([^<]+)</th>', text)[:4] == ["Id", "LastName", "Account.Name", "Cases"]
    assert "<summary>1 record</summary>" in text
    assert "Broken" in text
    assert "Acme &lt;b&gt;" in text
    assert rows[0][:3] == [ada.record_id, "Byron", "Acme <b>"]
    assert rows[-1] == [Contact.objects.get(last_name="Alone").record_id, "Alone", "—", "—"]
    assert "2 records" in text
    assert re.search(r"\d+ ms", text)


def test_a_query_never_shows_more_than_the_user_sees(make_browser):
    limited = make_browser("limited", *READS_ACCOUNTS)
    mine = Account.objects.create(name="Mine", owner=limited.user)
    Account.objects.create(name="Theirs", owner=User.objects.create_user("other"))
    ObjectSharing.objects.create(object_name="Account", default="private")
    forget_settings()
    text = page(limited, q="SELECT Id, Name FROM Account")
    assert "Mine" in text
    assert "Theirs" not in text
    hidden = page(limited, status=400, q="SELECT Industry FROM Account")
    assert "INVALID_FIELD" in hidden
    unseen = page(limited, status=400, q="SELECT Id FROM Contact")
    assert "INVALID_TYPE" in unseen
    other = Account.objects.get(name="Theirs")
    assert limited.get(f"/explorer/Account/{mine.record_id}/").status_code == 200
    assert limited.get(f"/explorer/Account/{other.record_id}/").status_code == 404


def test_long_results_have_pages_and_each_can_be_downloaded(browser):
    Account.objects.bulk_create([Account(name=f"Account {number:03}") for number in range(PAGE_SIZE + 5)])
    query = "SELECT Name FROM Account ORDER BY Name"
    text = page(browser, q=query)
    assert f"{PAGE_SIZE + 5} records" in text
    assert f"1 to {PAGE_SIZE} shown" in text
    address = unescape(re.search(r'href="/explorer/(\?[^"]+)" rel="next"', text)[1])
    further = browser.get(f"/explorer/{address}").content.decode()
    assert f"{PAGE_SIZE + 1} to {PAGE_SIZE + 5} shown" in further
    assert [row[0] for row in shown_rows(further)] == [f"Account {number:03}" for number in range(200, 205)]
    assert 'rel="next"' not in further
    download = browser.get(unescape(re.search(r'href="(/explorer/query\.csv\?[^"]+)"', further)[1]))
    assert download.headers["Content-Type"] == "text/csv;charset=UTF-8"
    assert download.headers["Content-Disposition"] == 'attachment; filename="Account.csv"'
    rows = list(csv.reader(io.StringIO(download.content.decode())))
    assert rows == [["Name"], *([f"Account {number:03}"] for number in range(200, 205))]


def test_a_page_that_is_not_known_any_more_is_told(browser):
    text = page(browser, status=400, q="SELECT Id FROM Account", page="01g000000000001AAA-200")
    assert "INVALID_QUERY_LOCATOR" in text


def test_a_count_is_a_number(browser):
    Account.objects.create(name="Acme")
    assert '<span class="figure-value">1</span>' in page(browser, q="SELECT COUNT() FROM Account")


def test_groups_have_their_columns(browser):
    Account.objects.create(name="Acme", industry="Banking")
    text = page(browser, q="SELECT Industry, COUNT(Id) FROM Account GROUP BY Industry")
    assert shown_rows(text) == [["Banking", "1"]]
    assert '<th scope="col" class="number">expr0</th>' in text


def test_no_rows_are_told_as_that(browser):
    text = page(browser, q="SELECT Id FROM Account WHERE Name = 'nothing'")
    assert "<h2>No rows</h2>" in text
    assert "0 records" in text


def test_deleted_records_are_there_when_asked_for(browser):
    Account.objects.create(name="Gone").delete()
    query = "SELECT Name FROM Account"
    assert "Gone" not in page(browser, q=query)
    assert "Gone" in page(browser, q=query, deleted="on")


def test_a_mistake_is_shown_at_its_place(browser):
    text = page(browser, status=400, q="SELECT Id\r\nFROM Account\r\nWHERE Name == 'x'")
    assert "MALFORMED_QUERY" in text
    assert "Line 3, column" in text
    assert re.search(r"WHERE Name =?<mark>=</mark>", text)
    assert 'aria-invalid="true"' in text
    assert "data-problem-offset" in text


def test_the_plan_is_shown_when_asked_for(browser):
    text = page(browser, q="SELECT Id FROM Account", explain="on")
    assert 'id="plan-title"' in text
    assert "Relative cost" in text
    assert 'id="plan-title"' not in page(browser, q="SELECT Id FROM Account")


def test_the_samples_name_no_secret(browser, settings):
    text = unescape(page(browser, q="SELECT Id FROM Account"))
    assert f"curl --get {settings.BASE_URL}/services/data/v67.0/query" in text
    assert '--header "Authorization: Bearer $TOKEN"' in text
    assert 'session_id=os.environ["TOKEN"]' in text
    assert browser.session.session_key not in text


def test_a_record_shows_every_field_and_what_refers_to_it(browser):
    acme = Account.objects.create(name="Acme", annual_revenue="1200.50", owner=browser.user)
    for name in ("Byron", "Hopper"):
        Contact.objects.create(last_name=name, account=acme)
    Account.objects.filter(pk=acme.pk).update(last_modified_by=browser.user)
    text = browser.get(f"/explorer/Account/{acme.record_id}/").content.decode()
    assert "<h1>Acme</h1>" in text
    assert ">1200.5<" in text
    assert f'href="/explorer/User/{record_id_of(browser.user)}/">reader</a>' in text
    related = re.search(r'<ul class="related">.*?</ul>', text, re.DOTALL)[0]
    contacts = next(entry for entry in related.split("</li>") if "Contact.AccountId" in entry)
    assert '<span class="related-count">2</span>' in contacts
    address = unescape(re.search(r'href="([^"]+)"', contacts)[1])
    assert parse_qs(urlsplit(address).query)["q"] == [
        f"SELECT Id, Name FROM Contact WHERE AccountId = '{acme.record_id}'"
    ]
    assert "2 records" in browser.get(address).content.decode()
    told = unescape(re.sub(r"<[^>]+>", "", re.search(r'<pre class="code" id="json".*?</pre>', text, re.DOTALL)[0]))
    assert json.loads(told)["Name"] == "Acme"
    assert '"AnnualRevenue": 1200.5' in told
    assert "Open in set-up" not in text


def test_staff_find_the_way_from_a_record_to_the_set_up(admin_client):
    acme = Account.objects.create(name="Acme")
    text = admin_client.get(f"/explorer/Account/{acme.record_id}/").content.decode()
    assert f'href="/admin/crm/account/{acme.pk}/change/"' in text


def test_fifteen_characters_of_an_id_do(browser):
    acme = Account.objects.create(name="Acme")
    text = browser.get(f"/explorer/account/{acme.record_id[:15]}/").content.decode()
    assert acme.record_id in text


@pytest.mark.parametrize(
    "path",
    [
        "/explorer/Nothing/001000000000001AAA/",
        "/explorer/Account/001000000000001AAA/",
        "/explorer/Account/describe/",
        "/explorer/Account/x/",
        "/explorer/Account/003000000000001AAA/",
        "/explorer/Account/0016IpMnkPHjn8z/",
        "/explorer/Account/" + "0" * 2_000 + "/",
        "/explorer/%00/%00/",
        "/explorer/Lead/00Q000000000001AAA/",
    ],
)
def test_records_and_objects_that_are_not_there(browser, path):
    answer = browser.get(path)
    text = answer.content.decode()
    assert answer.status_code == 404
    assert "<h1>No such record</h1>" in text


def test_an_object_that_is_not_there(browser):
    text = page(browser, status=404, object="<Nothing>")
    assert "There is no object <code>&lt;Nothing&gt;</code>" in text
    assert page(browser, status=404, object="Lead")


@pytest.mark.parametrize("address", ["/explorer/", "/explorer/query.csv"])
def test_a_query_that_is_too_long_for_an_address(browser, address):
    answer = browser.get(address, {"q": "a" * 100_000, "page": "1" * 5_000, "add": "Account.Name"})
    text = answer.content.decode()
    assert answer.status_code == 414
    assert "This query has 100,000 characters; the explorer takes 20,000" in text
    assert "a" * 100_000 in text


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "\x00",
        "SELECT",
        "(" * (MAX_QUERY_LENGTH - 1),
        "'" * (MAX_QUERY_LENGTH - 1),
        "SELECT Id FROM Account WHERE Name = '" + "ü" * 10_000 + "'",
        "SELECT Id FROM Account WHERE " + "NOT " * 4_000 + "Name = 'x'",
        "<script>alert('x')</script>",
    ],
)
def test_whatever_is_asked_the_page_answers(browser, text):
    for extra in ({}, {"explain": "on"}, {"page": "../../limits"}, {"page": "x-" + "9" * 6_000}):
        answer = browser.get("/explorer/", {"q": text, **extra})
        assert answer.status_code in {200, 400, 404}
        assert "<h1>Record explorer</h1>" in answer.content.decode()
        assert "<script>alert" not in answer.content.decode()
    assert browser.get(f"/explorer/query.csv?{urlencode({'q': text})}").status_code in {200, 400, 404}


def test_nothing_that_others_wrote_is_markup(browser):
    acme = Account.objects.create(name=HOSTILE, description=HOSTILE, owner=User.objects.create_user(HOSTILE))
    Contact.objects.create(last_name=HOSTILE, account=acme)
    queries = [
        "SELECT Id, Name, Owner.Username, (SELECT LastName FROM Contacts) FROM Account",
        f"SELECT Id FROM Account WHERE Name = '{HOSTILE.replace(chr(39), chr(92) + chr(39))}'",
        HOSTILE,
    ]
    pages = [f"/explorer/?{urlencode({'q': text, 'explain': 'on'})}" for text in queries]
    for address in (*pages, f"/explorer/?{urlencode({'object': HOSTILE})}", f"/explorer/Account/{acme.record_id}/"):
        text = browser.get(address).content.decode()
        assert HOSTILE not in text, address
        assert "&lt;script&gt;" in text, address
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
        assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))


def test_ten_times_the_rows_cost_not_one_query_more(browser, django_assert_max_num_queries):
    def cost(address):
        with django_assert_max_num_queries(60) as captured:
            assert browser.get(address).status_code == 200
        return len(captured)

    acme = Account.objects.create(name="Acme", owner=browser.user)
    query = "SELECT Id, Name, Account.Name, (SELECT Id FROM Cases) FROM Contact"
    addresses = [f"/explorer/?{urlencode({'q': query})}", f"/explorer/Account/{acme.record_id}/"]

    def grow(count):
        for number in range(count):
            ada = Contact.objects.create(last_name=f"Byron {number}", account=acme)
            Case.objects.create(contact=ada, account=acme)

    grow(2)
    browser.get("/explorer/")
    before = [cost(address) for address in addresses]
    grow(20)
    assert [cost(address) for address in addresses] == before
