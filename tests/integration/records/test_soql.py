"""Queries, on both databases: what they find, in which order and shape."""

from datetime import UTC, datetime, timedelta

import pytest

from crm.models import Account, Case, Contact, Opportunity
from isthmus import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def crm(db, clerk):
    user, _ = clerk
    acme = Account.objects.create(name="Acme", industry="Energy", annual_revenue="100.50", number_of_employees=10)
    bolt = Account.objects.create(name="bolt", industry="", annual_revenue="50", number_of_employees=5, owner=user)
    cog = Account.objects.create(name="Cog 100%", industry="Energy", parent=acme)
    ann = Contact.objects.create(last_name="Ann", first_name="A", account=acme, email="ann@example.org")
    bob = Contact.objects.create(last_name="Bob", account=acme, birthdate="1990-05-17")
    cem = Contact.objects.create(last_name="Cem", account=bolt, external_reference="R-1")
    dan = Contact.objects.create(last_name="dan")
    return {
        row.__dict__.get("last_name", row.__dict__.get("name")): row for row in (acme, bolt, cog, ann, bob, cem, dan)
    }


def names(api, soql, field="Name"):
    return [record[field] for record in api.query(soql)]


def test_a_record_has_its_fields_in_the_order_of_the_query(api, crm):
    found = api.get("query", q="SELECT Name, id, Industry, AnnualRevenue, CreatedDate FROM account WHERE Name='ACME'")
    record = found.json()["records"][0]
    acme = crm["Acme"]
    assert found.json() == {"totalSize": 1, "done": True, "records": [record]}
    assert list(record) == ["attributes", "Name", "Id", "Industry", "AnnualRevenue", "CreatedDate"]
    assert record["attributes"] == {
        "type": "Account",
        "url": f"/services/data/v60.0/sobjects/Account/{acme.record_id}",
    }
    assert (record["Id"], record["AnnualRevenue"]) == (acme.record_id, 100.5)
    assert record["CreatedDate"] == api.get(f"sobjects/Account/{acme.record_id}").json()["CreatedDate"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'acme'", ["Acme"]),
        ("Name != 'acme'", ["bolt", "Cog 100%"]),
        ("Name <> 'acme'", ["bolt", "Cog 100%"]),
        ("Name < 'b'", ["Acme"]),
        ("Name >= 'bolt'", ["bolt", "Cog 100%"]),
        ("Industry = null", ["bolt"]),
        ("Industry = ''", ["bolt"]),
        ("Industry != null", ["Acme", "Cog 100%"]),
        ("Industry != 'Energy'", ["bolt"]),
        ("(NOT Industry = 'Energy')", ["bolt"]),
        ("NOT(Industry LIKE 'en%')", ["bolt"]),
        ("Industry IN ('energy', 'x')", ["Acme", "Cog 100%"]),
        ("Industry NOT IN ('energy', 'x')", ["bolt"]),
        ("Industry IN ('x', null)", ["bolt"]),
        ("Industry NOT IN ('x', null)", ["Acme", "Cog 100%"]),
        ("Name LIKE '%o%'", ["bolt", "Cog 100%"]),
        ("Name LIKE 'C_g%'", ["Cog 100%"]),
        (r"Name LIKE '%0\%'", ["Cog 100%"]),
        (r"Name LIKE '%\_%'", []),
        ("AnnualRevenue > 50", ["Acme"]),
        ("AnnualRevenue >= 50.0", ["Acme", "bolt"]),
        ("AnnualRevenue = 100.5", ["Acme"]),
        ("AnnualRevenue = USD100.5", ["Acme"]),
        ("AnnualRevenue < 1e300", ["Acme", "bolt"]),
        ("NumberOfEmployees < 1e30", ["Acme", "bolt"]),
        ("NumberOfEmployees > 5.5", ["Acme"]),
        ("NumberOfEmployees = 5", ["bolt"]),
        ("NOT NumberOfEmployees > 5", ["bolt", "Cog 100%"]),
        ("NumberOfEmployees IN (5, 10)", ["Acme", "bolt"]),
        ("Parent.Name = 'acme'", ["Cog 100%"]),
        ("Parent.Name != 'acme'", ["Acme", "bolt"]),
        ("Parent.Industry = null", ["Acme", "bolt"]),
        ("ParentId = null", ["Acme", "bolt"]),
        ("Account.Name = 'Acme' AND (Industry = 'Energy' OR Industry = 'x')", ["Acme"]),
        ("Id IN (SELECT AccountId FROM Contact)", ["Acme", "bolt"]),
        ("Id NOT IN (SELECT AccountId FROM Contact)", ["Cog 100%"]),
        ("Id IN (SELECT AccountId FROM Contact WHERE Email != null)", ["Acme"]),
        ("ParentId IN (SELECT Id FROM Account WHERE Name LIKE 'A%')", ["Cog 100%"]),
        ("ParentId NOT IN (SELECT Id FROM Account)", ["Acme", "bolt"]),
        ("CreatedDate = TODAY", ["Acme", "bolt", "Cog 100%"]),
        ("CreatedDate < TODAY", []),
        ("CreatedDate <= LAST_N_DAYS:3", ["Acme", "bolt", "Cog 100%"]),
        ("CreatedDate > 2020-01-01T00:00:00.000000Z", ["Acme", "bolt", "Cog 100%"]),
        ("CreatedDate < 2020-01-01T00:00:00.000+0000", []),
        ("CALENDAR_YEAR(CreatedDate) > 2020", ["Acme", "bolt", "Cog 100%"]),
        ("HOUR_IN_DAY(convertTimezone(CreatedDate)) < 24", ["Acme", "bolt", "Cog 100%"]),
        ("IsDeleted = false", ["Acme", "bolt", "Cog 100%"]),
        ("Owner.Username = 'clerk'", ["bolt"]),
        ("Id = '000000000000000AAA'", []),
        ("Id != '000000000000000AAA'", ["Acme", "bolt", "Cog 100%"]),
    ],
)
def test_conditions(api, crm, where, expected):
    assert names(api, f"SELECT Name FROM Account WHERE {where} ORDER BY Name") == expected


def test_letter_case_does_not_count_in_any_script(api):
    for name in ("ÄRGER", "ΣΑΣ", "Жук", "z"):
        Account.objects.create(name=name)
    for where, expected in (
        ("Name = 'ärger'", ["ÄRGER"]),
        ("Name != 'ärger'", ["z", "ΣΑΣ", "Жук"]),
        ("Name IN ('ΖΖ', 'жУК', 'Z')", ["z", "Жук"]),
        ("Name NOT IN ('жук', 'z')", ["ÄRGER", "ΣΑΣ"]),
        ("Name LIKE 'σα%'", ["ΣΑΣ"]),
        ("Name LIKE '%ASΣ%'", []),
        ("NOT Name LIKE '%Ä%'", ["z", "ΣΑΣ", "Жук"]),
    ):
        found = names(api, f"SELECT Name FROM Account WHERE {where}")
        assert sorted(found) == sorted(expected), where


def test_more_than_a_thousand_conditions(api, crm):
    chain = " OR ".join(["Name = 'Acme'"] * 1_500)
    assert names(api, f"SELECT Name FROM Account WHERE {chain}") == ["Acme"]
    assert names(api, f"SELECT Name FROM Account WHERE NOT ({chain}) ORDER BY Name") == ["bolt", "Cog 100%"]
    listed = ", ".join(f"'{number}'" for number in range(3_000))
    assert names(api, f"SELECT Name FROM Account WHERE Name IN ({listed}, 'acme')") == ["Acme"]


def test_order_and_nulls(api, crm):
    assert names(api, "SELECT Name FROM Account ORDER BY Industry, Name") == ["bolt", "Acme", "Cog 100%"]
    assert names(api, "SELECT Name FROM Account ORDER BY Industry NULLS LAST, Name DESC") == [
        "Cog 100%",
        "Acme",
        "bolt",
    ]
    found = names(api, "SELECT Name FROM Account ORDER BY NumberOfEmployees DESC NULLS LAST")
    assert found == ["Acme", "bolt", "Cog 100%"]
    assert names(api, "SELECT Name FROM Account ORDER BY Parent.Name DESC, Id LIMIT 2") == ["Acme", "bolt"]
    assert names(api, "SELECT Name FROM Account ORDER BY Name LIMIT 1 OFFSET 1") == ["bolt"]


def test_parents_stand_inside(api, crm):
    found = api.query(
        "SELECT LastName, Account.Name, Account.Parent.Name, Account.Id, AccountId FROM Contact ORDER BY LastName"
    )
    acme = crm["Acme"]
    account = {
        "attributes": {"type": "Account", "url": f"/services/data/v60.0/sobjects/Account/{acme.record_id}"},
        "Name": "Acme",
        "Parent": None,
        "Id": acme.record_id,
    }
    assert found[0]["Account"] == account
    assert list(found[0]) == ["attributes", "LastName", "Account", "AccountId"]
    assert (found[3]["Account"], found[3]["AccountId"]) == (None, None)


def test_own_name_and_aliases(api, crm):
    soql = "SELECT Contact.LastName, Contact.Account.Name FROM Contact WHERE Contact.Account.Name = 'bolt'"
    assert names(api, soql, "LastName") == ["Cem"]
    assert api.get("query", q="SELECT count() FROM Contact c, c.Account a WHERE a.Name = 'Acme'").json() == {
        "totalSize": 2,
        "done": True,
        "records": [],
    }
    assert names(api, "SELECT o.Name FROM Account AS o WHERE o.Parent.Name = 'acme'") == ["Cog 100%"]


def test_children_stand_inside(api, crm):
    soql = (
        "SELECT Name, (SELECT LastName, Account.Name FROM Contacts ORDER BY LastName DESC) FROM Account ORDER BY Name"
    )
    found = api.query(soql)
    contacts = found[0]["Contacts"]
    assert (contacts["totalSize"], contacts["done"]) == (2, True)
    assert [one["LastName"] for one in contacts["records"]] == ["Bob", "Ann"]
    assert contacts["records"][0]["Account"]["Name"] == "Acme"
    assert found[2]["Contacts"] is None
    inner = "SELECT LastName FROM Contacts WHERE LastName != 'x' ORDER BY LastName LIMIT 1 OFFSET 1"
    soql = f"SELECT Name, ({inner}) FROM Account"
    found = {one["Name"]: one["Contacts"] for one in api.query(soql)}
    assert [one["LastName"] for one in found["Acme"]["records"]] == ["Bob"]
    assert found["bolt"] is None


def test_children_of_children(api, crm):
    Case.objects.create(contact=crm["Ann"], account=crm["Acme"], subject="No power")
    soql = "SELECT Name, (SELECT LastName, (SELECT Subject FROM Cases) FROM Contacts ORDER BY LastName) FROM Account"
    found = next(one for one in api.query(soql) if one["Name"] == "Acme")["Contacts"]["records"]
    assert found[0]["Cases"]["records"][0]["Subject"] == "No power"
    assert found[1]["Cases"] is None


def test_groups(api, crm):
    soql = (
        "SELECT Industry, COUNT(Id) n, SUM(AnnualRevenue), MAX(Name) FROM Account GROUP BY Industry ORDER BY COUNT(Id)"
    )
    found = api.get("query", q=soql).json()
    kind = {"type": "AggregateResult"}
    assert found == {
        "totalSize": 2,
        "done": True,
        "records": [
            {"attributes": kind, "Industry": None, "n": 1, "expr0": 50.0, "expr1": "bolt"},
            {"attributes": kind, "Industry": "Energy", "n": 2, "expr0": 100.5, "expr1": "Cog 100%"},
        ],
    }
    soql = "SELECT Account.Name a, COUNT(Id) FROM Contact GROUP BY Account.Name HAVING COUNT(Id) > 1"
    assert api.query(soql) == [{"attributes": kind, "a": "Acme", "expr0": 2}]
    totals = "COUNT(Industry), COUNT_DISTINCT(Industry), AVG(NumberOfEmployees), MIN(AnnualRevenue) x"
    soql = f"SELECT {totals} FROM Account"
    assert api.query(soql) == [{"attributes": kind, "expr0": 2, "expr1": 1, "expr2": 7.5, "x": 50.0}]
    year = "CALENDAR_YEAR(Birthdate)"
    soql = f"SELECT {year} y, COUNT(Id) FROM Contact WHERE Birthdate != null GROUP BY {year}"
    assert api.query(soql) == [{"attributes": kind, "y": 1990, "expr0": 1}]
    assert api.query("SELECT COUNT(Id) c FROM Account WHERE Name = 'nobody'") == [{"attributes": kind, "c": 0}]
    assert api.query("SELECT Industry FROM Account GROUP BY Industry HAVING Industry != null LIMIT 5") == [
        {"attributes": kind, "Industry": "Energy"}
    ]


def test_rollup_and_cube(api, crm):
    shown = "Industry i, Name n, GROUPING(Industry) gi, GROUPING(Name) gn, COUNT(Id) c"
    soql = f"SELECT {shown} FROM Account GROUP BY {{}}(Industry, Name)"
    rows = [(r["i"], r["n"], r["gi"], r["gn"], r["c"]) for r in api.query(soql.format("ROLLUP"))]
    assert len(rows) == 6
    assert (None, None, 1, 1, 3) in rows
    assert ("Energy", None, 0, 1, 2) in rows
    assert (None, "bolt", 0, 0, 1) in rows
    rows = [(r["i"], r["n"], r["gi"], r["gn"], r["c"]) for r in api.query(soql.format("CUBE"))]
    assert len(rows) == 9
    assert (None, "Acme", 1, 0, 1) in rows


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("CALENDAR_MONTH", 5),
        ("CALENDAR_QUARTER", 2),
        ("CALENDAR_YEAR", 1990),
        ("DAY_IN_MONTH", 17),
        ("DAY_IN_WEEK", 5),
        ("DAY_IN_YEAR", 137),
        ("FISCAL_MONTH", 5),
        ("FISCAL_QUARTER", 2),
        ("FISCAL_YEAR", 1990),
        ("WEEK_IN_MONTH", 3),
        ("WEEK_IN_YEAR", 20),
    ],
)
def test_functions_of_dates(api, crm, function, expected):
    assert names(api, f"SELECT LastName FROM Contact WHERE {function}(Birthdate) = {expected}", "LastName") == ["Bob"]
    moment = datetime(1990, 5, 17, 23, 30, tzinfo=UTC)
    Contact.all_objects.filter(last_name="Ann").update(created_date=moment)
    found = names(api, f"SELECT LastName FROM Contact WHERE {function}(CreatedDate) = {expected}", "LastName")
    assert "Ann" in found
    day = "DAY_ONLY(CreatedDate)"
    soql = f"SELECT {day} d, COUNT(Id) FROM Contact GROUP BY {day} ORDER BY {day}"
    assert api.query(soql)[0]["d"] == "1990-05-17"


def test_fields(api, crm):
    record = api.query("SELECT FIELDS(ALL) FROM Account LIMIT 1")[0]
    assert {"Id", "Name", "External_Reference__c", "IsDeleted"} <= set(record)
    assert set(api.query("SELECT FIELDS(CUSTOM) FROM Account LIMIT 1")[0]) == {"attributes", "External_Reference__c"}
    assert "External_Reference__c" not in api.query("SELECT FIELDS(STANDARD) FROM Account")[0]
    answer = api.get("query", q="SELECT FIELDS(ALL) FROM Account")
    assert answer.json()[0]["errorCode"] == "MALFORMED_QUERY"


def test_what_only_changes_how_a_value_is_shown(api, crm):
    shown = "toLabel(Industry), FORMAT(AnnualRevenue) r, convertCurrency(AnnualRevenue)"
    soql = f"SELECT {shown} FROM Account WHERE Name = 'Acme'"
    record = api.query(soql)[0]
    assert (record["Industry"], record["r"], record["AnnualRevenue"]) == ("Energy", "100.5", 100.5)


def test_typeof(api, crm):
    soql = "SELECT Name, TYPEOF Owner WHEN User THEN Username, Id ELSE Name END FROM Account WHERE Name = 'bolt'"
    owner = api.query(soql)[0]["Owner"]
    assert owner["attributes"]["type"] == "User"
    assert owner["Username"] == "clerk"


def test_the_recycle_bin(api, crm):
    crm["Cog 100%"].delete()
    assert len(names(api, "SELECT Name FROM Account")) == 2
    assert len(names(api, "SELECT Name FROM Account ALL ROWS")) == 3
    found = api.get("queryAll", q="SELECT Name FROM Account WHERE IsDeleted = true").json()
    assert [one["Name"] for one in found["records"]] == ["Cog 100%"]


def test_scope_and_modes(api, crm):
    assert names(api, "SELECT Name FROM Account USING SCOPE mine") == ["bolt"]
    assert (
        len(names(api, "SELECT Name FROM Account USING SCOPE everything WITH SECURITY_ENFORCED FOR VIEW FOR REFERENCE"))
        == 3
    )
    assert len(names(api, "SELECT Name FROM Account WITH USER_MODE LIMIT 5 FOR UPDATE UPDATE TRACKING")) == 3


def test_texts_are_escaped(api, crm):
    text = 'It\'s \\ "q" \n\t é ☃ %_'
    Account.objects.create(name=text)
    quoted = 'It\\\'s \\\\ \\"q\\" \\n\\t é \\u2603 %_'
    assert names(api, f"SELECT Name FROM Account WHERE Name = '{quoted}'") == [text]
    injection = "x' OR Name != '"
    assert names(api, "SELECT Name FROM Account WHERE Name = '{}'".format(injection.replace("'", "\\'"))) == []


def test_relative_dates_are_spans_of_days(api, crm):
    for days, count in ((0, 1), (1, 1), (40, 1)):
        Opportunity.objects.create(
            name=f"{days}", stage_name="New", close_date=clock.now().date() + timedelta(days=days), amount=count
        )
    found = names(api, "SELECT Name FROM Opportunity WHERE CloseDate = NEXT_N_DAYS:30")
    assert found == ["1"]
    assert names(api, "SELECT Name FROM Opportunity WHERE CloseDate >= TODAY ORDER BY CloseDate") == ["0", "1", "40"]
    assert names(api, "SELECT Name FROM Opportunity WHERE CloseDate IN (TODAY, TOMORROW) ORDER BY Name") == ["0", "1"]
    assert names(api, "SELECT Name FROM Opportunity WHERE CloseDate > NEXT_N_DAYS:30") == ["40"]


def test_a_count_has_limits(api, crm):
    assert api.get("query", q="SELECT COUNT() FROM Account LIMIT 2").json()["totalSize"] == 2
    assert api.get("query", q="SELECT COUNT() FROM Account LIMIT 5 OFFSET 2").json()["totalSize"] == 1
    assert api.get("query", q="SELECT COUNT() FROM Account LIMIT 0").json()["totalSize"] == 0
    for soql in ("SELECT Id FROM Account LIMIT 0", "SELECT COUNT() FROM Account LIMIT 0"):
        assert api.get("query", explain=soql).json()["plans"][0]["cardinality"] == 0


@pytest.mark.parametrize("having", ["NOT Parent.Name = 'x' OR COUNT(Id) > 5", "Parent.Name != 'x'", "n != 'x'"])
def test_having_names_what_is_grouped_by(api, crm, having):
    found = api.query(f"SELECT Parent.Name n, COUNT(Id) c FROM Account GROUP BY Parent.Name HAVING {having}")
    assert sorted((one["n"] or "", one["c"]) for one in found) == [("", 2), ("Acme", 1)]
    found = api.query("SELECT Parent.Name n FROM Account GROUP BY Parent.Name HAVING Parent.Name = 'ACME'")
    assert [one["n"] for one in found] == ["Acme"]


def test_an_escape_beyond_the_basic_plane_is_two(api, db):
    Account.objects.create(name="Smile \U0001f600")
    assert len(api.query(r"SELECT Id FROM Account WHERE Name = 'Smile \ud83d\ude00'")) == 1
    assert len(api.query(r"SELECT Id FROM Account WHERE Name LIKE '%\uD83D\uDE00'")) == 1
