"""Pages of a query meet, whatever happens in between."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from crm.models import Account, Contact
from records.models import QueryCursor
from records.soql import running
from records.soql.errors import QueryTimeout
from records.soql.time_limit import time_limit

pytestmark = pytest.mark.django_db


def make_accounts(count, prefix="A"):
    return Account.objects.bulk_create([Account(name=f"{prefix}{number:05d}") for number in range(count)])


def page(api, path, size=200):
    return api.send("GET", path, Sforce_Query_Options=f"batchSize={size}").json()


def first_page(api, soql, size=200):
    return api.send("GET", "query", query={"q": soql}, Sforce_Query_Options=f"batchSize={size}").json()


def test_pages_meet(api):
    make_accounts(450)
    first = first_page(api, "SELECT Name FROM Account ORDER BY Name DESC", size=1)
    assert (first["totalSize"], first["done"], len(first["records"])) == (450, False, 200)
    assert first["nextRecordsUrl"].startswith("/services/data/v60.0/query/01g")
    # Neither a new record nor a changed or deleted one moves the others.
    Account.objects.create(name="A99999")
    Account.objects.get(name="A00200").delete()
    Account.objects.filter(name="A00100").update(name="B")
    second = page(api, first["nextRecordsUrl"])
    last = page(api, second["nextRecordsUrl"])
    assert (last["done"], "nextRecordsUrl" in last, last["totalSize"]) == (True, False, 450)
    names = [one["Name"] for part in (first, second, last) for one in part["records"]]
    expected = [f"A{number:05d}" for number in reversed(range(450)) if number != 200]
    assert names == ["B" if name == "A00100" else name for name in expected]
    again = page(api, f"{first['nextRecordsUrl'].rpartition('-')[0]}-449")
    assert [one["Name"] for one in again["records"]] == ["A00000"]
    by_query_all = page(api, first["nextRecordsUrl"].replace("/query/", "/queryAll/"))
    assert by_query_all["records"] == second["records"]


def test_limit_and_offset_count_for_all_pages(api):
    make_accounts(450)
    first = first_page(api, "SELECT Name FROM Account ORDER BY Name LIMIT 300 OFFSET 100")
    second = page(api, first["nextRecordsUrl"])
    assert (first["totalSize"], second["done"], len(second["records"])) == (300, True, 100)
    assert second["records"][-1]["Name"] == "A00399"


def test_a_locator_is_its_users(api, make_caller):
    make_accounts(201)
    url = first_page(api, "SELECT Name FROM Account")["nextRecordsUrl"]
    _, other = make_caller("other", [("object", "read", "Account")])
    for caller, path in (
        (other, url),
        (api, url.replace("-200", "-20000")),
        (api, "query/nonsense"),
        (api, "query/01g000000000000AAA-0"),
        (api, "query/01gzzzzzzzzzzzz-0"),
        (api, url.replace("-200", "-x")),
    ):
        answer = caller.send("GET", path)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_a_locator_ends(api, moving_clock, settings):
    settings.ISTHMUS_RECORDS_CURSORS_PER_USER = 3
    make_accounts(201)
    url = first_page(api, "SELECT Name FROM Account")["nextRecordsUrl"]
    moving_clock.move(timedelta(minutes=50))
    assert page(api, url)["done"]
    moving_clock.move(timedelta(minutes=50))
    assert page(api, url)["done"]
    moving_clock.move(timedelta(minutes=61))
    assert page(api, url)[0]["errorCode"] == "INVALID_QUERY_LOCATOR"
    for _ in range(5):
        first_page(api, "SELECT Name FROM Account")
    assert QueryCursor.objects.count() == 3


def test_grants_are_asked_for_each_page(make_caller):
    from isthmus.access.models import Grant

    _, reader = make_caller("reader", [("object", "read", "Account"), ("field", "read", "Account.Phone")])
    make_accounts(201)
    url = first_page(reader, "SELECT Phone FROM Account")["nextRecordsUrl"]
    Grant.objects.filter(kind="field").delete()
    assert page(reader, url)[0]["errorCode"] == "INVALID_FIELD"


def test_children_have_pages_of_their_own(api):
    acme = Account.objects.create(name="Acme")
    Contact.objects.bulk_create([Contact(last_name=f"C{number:05d}", account=acme) for number in range(2_100)])
    found = api.query("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account")
    contacts = found[0]["Contacts"]
    assert (contacts["totalSize"], contacts["done"], len(contacts["records"])) == (2_100, False, 2_000)
    rest = page(api, contacts["nextRecordsUrl"], 2_000)
    assert (rest["done"], [one["LastName"] for one in rest["records"]]) == (
        True,
        [f"C{number:05d}" for number in range(2_000, 2_100)],
    )
    some = api.query("SELECT Name, (SELECT LastName FROM Contacts ORDER BY LastName LIMIT 2050 OFFSET 20) FROM Account")
    assert (some[0]["Contacts"]["totalSize"], some[0]["Contacts"]["records"][0]["LastName"]) == (2_050, "C00020")
    rest = page(api, some[0]["Contacts"]["nextRecordsUrl"], 2_000)
    assert [one["LastName"] for one in rest["records"]] == [f"C{number:05d}" for number in range(2_020, 2_070)]


def test_a_page_with_too_many_children_ends_early(api):
    assert running.MAX_CHILD_ROWS == 20_000
    accounts = make_accounts(12)
    Contact.objects.bulk_create(
        [Contact(last_name="C", account=account) for account in accounts for _ in range(1_900)], batch_size=5_000
    )
    answer = api.get("query", q="SELECT Name, (SELECT Id FROM Contacts) FROM Account ORDER BY Name").json()
    assert (answer["totalSize"], answer["done"], len(answer["records"])) == (12, False, 10)
    rest = page(api, answer["nextRecordsUrl"], 2_000)
    assert (rest["done"], [one["Name"] for one in rest["records"]]) == (True, ["A00010", "A00011"])
    assert [one["Contacts"]["totalSize"] for one in rest["records"]] == [1_900, 1_900]


def test_a_query_that_takes_too_long_is_ended(api, settings):
    settings.ISTHMUS_RECORDS_QUERY_SECONDS = 0.001
    make_accounts(3_000)
    Contact.objects.bulk_create([Contact(last_name=f"C{number}") for number in range(3_000)])
    slow = " OR ".join(f"LastName LIKE '%{number}%x%y%'" for number in range(1_500))
    answer = api.get("query", q=f"SELECT Id FROM Contact WHERE {slow}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "QUERY_TIMEOUT")
    settings.ISTHMUS_RECORDS_QUERY_SECONDS = 120.0
    assert api.get("query", q="SELECT COUNT() FROM Contact").json()["totalSize"] == 3_000


def test_more_groups_than_an_answer_holds_are_refused(api):
    make_accounts(2_001)
    answer = api.get("query", q="SELECT Name, COUNT(Id) FROM Account GROUP BY Name")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")
    assert len(api.query("SELECT Name, COUNT(Id) FROM Account GROUP BY Name LIMIT 2000")) == 2_000


def test_the_number_of_statements_does_not_depend_on_rows(api):
    soql = "SELECT Name, Owner.Username, (SELECT Id FROM Contacts), (SELECT Id FROM Cases) FROM Account"
    counts = []
    for count in (3, 150):
        make_accounts(count)
        Contact.objects.create(last_name="C", account=Account.objects.first())
        with CaptureQueriesContext(connection) as captured:
            api.query(soql)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_plan_and_columns(api):
    make_accounts(3)
    plan = api.get("query", explain="SELECT Id FROM Account WHERE Id = '001000000000001AAA'").json()
    assert plan["sourceQuery"].startswith("SELECT Id")
    assert set(plan["plans"][0]) == {
        "cardinality",
        "fields",
        "leadingOperationType",
        "notes",
        "relativeCost",
        "sobjectCardinality",
        "sobjectType",
    }
    assert plan["plans"][0]["leadingOperationType"] == "Index"
    for soql in ("SELECT COUNT() FROM Account", "SELECT Name, COUNT(Id) FROM Account GROUP BY Name"):
        assert api.get("query", explain=soql).status_code == 200
    assert api.get("query", explain="SELECT").json()[0]["errorCode"] == "MALFORMED_QUERY"
    soql = "SELECT Id, Owner.Username, (SELECT LastName FROM Contacts) FROM Account"
    answer = api.get("query", q=soql, columns="true").json()
    told = [
        (one["columnName"], one["aggregate"], [below["columnName"] for below in one["joinColumns"]])
        for one in answer["columnMetadata"]
    ]
    assert told == [("Id", False, []), ("Owner", False, ["Username"]), ("Contacts", True, ["LastName"])]
    assert (answer["entityName"], answer["groupBy"], answer["idSelected"]) == ("Account", False, True)
    answer = api.get("query", q="SELECT Name, COUNT(Id), MAX(Name) m FROM Account GROUP BY Name", columns="true").json()
    told = [(one["columnName"], one["displayName"], one["aggregate"]) for one in answer["columnMetadata"]]
    assert told == [("Name", "Name", False), ("expr0", "COUNT(Id)", True), ("m", "m", True)]
    assert api.get("query", q="SELECT Nmae FROM Account", columns="true").json()[0]["errorCode"] == "INVALID_FIELD"


def test_a_query_leaves_the_time_limit_of_the_transaction_around_it(clerk, settings):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no limit of its own")
    asked = running.Asked(user=clerk[0], base="/services/data/v67.0")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '7s'")
        running.run("SELECT Id FROM Account", asked)
        settings.ISTHMUS_RECORDS_QUERY_SECONDS = 0.001
        with pytest.raises(QueryTimeout), time_limit():
            cursor.execute("SELECT pg_sleep(1)")
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("7s",)
