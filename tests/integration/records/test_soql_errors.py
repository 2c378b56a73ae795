"""What is wrong with a query is told with Salesforce's code, in its words, and with the place."""

import re

import pytest

from crm.models import Account, Contact
from isthmus.objects.models import ObjectSharing, SharingDefault

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("soql", "code", "message"),
    [
        ("", "MALFORMED_QUERY", "ERROR at Row:1:Column:1\nunexpected end of query"),
        ("SELECT", "MALFORMED_QUERY", "unexpected end of query"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "ERROR at Row:1:Column:15\nunexpected end of query"),
        ("SELECT Id\nFRM Account", "MALFORMED_QUERY", "ERROR at Row:2:Column:5\nunexpected token: 'Account'"),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY", "a text is not closed"),
        ('SELECT Id FROM Account WHERE Name = "a"', "MALFORMED_QUERY", "unexpected token: '\"'"),
        ("SELECT Id FROM Account WHERE Name = 'a' OR Name = 'b' AND Name = 'c'", "MALFORMED_QUERY", "token: 'AND'"),
        ("SELECT Id FROM Account; DROP TABLE crm_account", "MALFORMED_QUERY", "unexpected token: ';'"),
        ("SELECT Id FROM Account -- comment", "MALFORMED_QUERY", "unexpected token: '-'"),
        ("SELECT Id FROM Account WHERE Name = :name", "MALFORMED_QUERY", "unexpected token: ':'"),
        ("SELECT Id FROM Account LIMIT -1", "MALFORMED_QUERY", "unexpected token: '-1'"),
        ("SELECT Id FROM Account LIMIT 1.5", "MALFORMED_QUERY", "unexpected token: '1.5'"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
        (
            "SELECT Nmae FROM Account",
            "INVALID_FIELD",
            "Column:8\nNo such column 'Nmae' on entity 'Account'. If you are",
        ),
        ("SELECT Id FROM Account ORDER BY Nmae", "INVALID_FIELD", "No such column 'Nmae'"),
        ("SELECT Id FROM Account WHERE Nmae = 'x'", "INVALID_FIELD", "No such column 'Nmae'"),
        ("SELECT Foo.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Foo' in field path"),
        (
            "SELECT (SELECT Id FROM Foos) FROM Account",
            "INVALID_FIELD",
            "relationship 'Foos' in FROM part of query call",
        ),
        ("SELECT Id FROM Foo", "INVALID_TYPE", "sObject type 'Foo' is not supported"),
        ("SELECT Id FROM Account.Contacts", "INVALID_TYPE", "sObject type 'Account.Contacts' is not supported"),
        ("SELECT Id FROM Account WHERE Name = 1", "INVALID_FIELD", "must be of type string and should be enclosed"),
        ("SELECT Id FROM Account WHERE AnnualRevenue = '1'", "INVALID_FIELD", "should not be enclosed in quotes"),
        ("SELECT Id FROM Account WHERE IsDeleted = 'true'", "INVALID_FIELD", "boolean and should not be enclosed"),
        ("SELECT Id FROM Account WHERE CreatedDate = 2020-01-01", "INVALID_FIELD", "must be of type dateTime"),
        ("SELECT Id FROM Contact WHERE Birthdate = 2020-01-01T00:00:00Z", "INVALID_FIELD", "must be of type date"),
        ("SELECT Id FROM Account WHERE Name = TODAY", "INVALID_FIELD", "must be of type"),
        ("SELECT Id FROM Account WHERE CreatedDate = 2020-02-30T00:00:00Z", "MALFORMED_QUERY", "is no date"),
        ("SELECT Id FROM Account WHERE CreatedDate = LAST_N_DAYS:99999999", "MALFORMED_QUERY", "beyond the calendar"),
        ("SELECT Id FROM Account WHERE CreatedDate = LAST_N_DAYS", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE CreatedDate = SOMEDAY", "MALFORMED_QUERY", "unexpected token: 'SOMEDAY'"),
        ("SELECT Id FROM Account WHERE Id = 'nonsense'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: nonsense"),
        ("SELECT Id FROM Account WHERE Name > null", "INVALID_QUERY_FILTER_OPERATOR", "null cannot be compared"),
        ("SELECT Id FROM Account WHERE IsDeleted > true", "INVALID_QUERY_FILTER_OPERATOR", "does not suit"),
        ("SELECT Id FROM Account WHERE AnnualRevenue LIKE '1%'", "INVALID_QUERY_FILTER_OPERATOR", "LIKE does not suit"),
        ("SELECT Id FROM Account WHERE Industry INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR", "INCLUDES does not"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "'Description' can not be filtered"),
        ("SELECT Id FROM Account ORDER BY Description", "INVALID_FIELD", "'Description' can not be sorted"),
        ("SELECT COUNT(Id) FROM Account GROUP BY AnnualRevenue", "INVALID_FIELD", "can not be grouped"),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY", "Field must be grouped or aggregated: Name"),
        ("SELECT Name FROM Account HAVING Name = 'x'", "MALFORMED_QUERY", "HAVING needs GROUP BY"),
        ("SELECT SUM(Name) FROM Account", "INVALID_FIELD", "'Name' does not support SUM()"),
        ("SELECT Name n FROM Account", "MALFORMED_QUERY", "only aggregate expressions use field aliasing"),
        ("SELECT Id, id FROM Account", "INVALID_FIELD", "duplicate field selected: Id"),
        ("SELECT CALENDAR_YEAR(Name) FROM Account GROUP BY CALENDAR_YEAR(Name)", "INVALID_FIELD", "does not support"),
        ("SELECT SOMETHING(Name) FROM Account", "MALFORMED_QUERY", "SOMETHING(Name) needs GROUP BY"),
        ("SELECT Id FROM Account WHERE SOMETHING(Name) = 1", "MALFORMED_QUERY", "unexpected function: SOMETHING"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT ContactId FROM Case)", "INVALID_FIELD", "names other records"),
        ("SELECT Id FROM Account WHERE Name IN (SELECT Id FROM Case)", "INVALID_QUERY_FILTER_OPERATOR", "left operand"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT Name FROM Account)", "INVALID_FIELD", "is no id"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT Id FROM Account LIMIT 1)", "MALFORMED_QUERY", "has no ORDER BY"),
        ("SELECT Id FROM Account WITH SYSTEM_MODE", "MALFORMED_QUERY", "unexpected token: 'SYSTEM_MODE'"),
        ("SELECT Id FROM Account WHERE Name = 'a\x00b'", "MALFORMED_QUERY", "unexpected character: U+0000"),
        ("SELECT Parent.Parent.Parent.Parent.Parent.Parent.Name FROM Account", "MALFORMED_QUERY", "at most 5 parents"),
        ("SELECT a(b(c(d(Name)))) FROM Account", "MALFORMED_QUERY", "functions"),
        ("SELECT Id FROM Account WHERE Name = '" + "x" * 4_001 + "'", "MALFORMED_QUERY", "at most 4000 characters"),
        ("SELECT Id FROM Account" + " " * 100_000, "MALFORMED_QUERY", "cannot be longer than 100000 characters"),
        ("SELECT Id FROM Account WHERE NOT (" * 3, "MALFORMED_QUERY", "unexpected token"),
        ("SELECT COUNT() c FROM Account", "MALFORMED_QUERY", ""),
    ],
)
def test_errors(api, soql, code, message):
    answer = api.get("query", q=soql)
    told = answer.json()
    assert (answer.status_code, told[0]["errorCode"], len(told)) == (400, code, 1)
    assert message in told[0]["message"]


def test_deep_conditions_are_refused(api):
    deep = "Name = 'a'"
    for _ in range(50):
        deep = f"(Name = 'b' AND (Name = 'c' OR {deep}))"
    answer = api.get("query", q=f"SELECT Id FROM Account WHERE {deep}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "QUERY_TOO_COMPLICATED")
    many = ",".join(f"'{number}'" for number in range(6_000))
    assert api.query(f"SELECT Id FROM Account WHERE Name IN ({many})") == []
    chain = " OR ".join(["Id = null"] * 6_000)
    answer = api.get("query", q=f"SELECT Id FROM Account WHERE {chain}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "QUERY_TOO_COMPLICATED")
    inner = "SELECT Id FROM Account"
    for _ in range(8):
        inner = f"SELECT Id FROM Account WHERE Id IN ({inner})"
    answer = api.get("query", q=inner)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "QUERY_TOO_COMPLICATED")
    brackets = "(" * 20_000 + "Name = 'a'" + ")" * 20_000
    assert api.get("query", q=f"SELECT Id FROM Account WHERE {brackets}").status_code == 200
    answer = api.get("query", q="SELECT Id FROM Account WHERE " + "(" * 40_000)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "MALFORMED_QUERY")
    answer = api.get("query", q="SELECT " + "(SELECT " * 20_000)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "MALFORMED_QUERY")


def test_a_query_must_be_given(api):
    answer = api.get("query")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_PARAMETER")


FIELDS = [("object", "read", "Contact"), ("object", "read", "Account"), ("field", "read", "Contact.AccountId")]


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT Phone FROM Contact",
        "SELECT Id FROM Contact WHERE Phone = '1'",
        "SELECT Id FROM Contact ORDER BY Phone",
        "SELECT COUNT(Id) FROM Contact GROUP BY Phone",
        "SELECT MAX(Phone) FROM Contact",
        "SELECT COUNT(Id) FROM Contact GROUP BY LastName HAVING MAX(Phone) = '1'",
        "SELECT COUNT(Id) FROM Contact GROUP BY LastName ORDER BY MAX(Phone)",
        "SELECT toLabel(Phone) FROM Contact",
        "SELECT Id FROM Contact WHERE CALENDAR_YEAR(Birthdate) = 2000",
        "SELECT Account.Phone FROM Contact",
        "SELECT Id FROM Contact WHERE Account.Phone = '1'",
        "SELECT Id FROM Contact ORDER BY Account.Phone",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact WHERE Phone = '1')",
        "SELECT (SELECT Phone FROM Contacts) FROM Account",
        "SELECT (SELECT Id FROM Contacts WHERE Phone = '1') FROM Account",
        "SELECT (SELECT Id FROM Contacts ORDER BY Phone) FROM Account",
        "SELECT Owner.Username FROM Contact",
        "SELECT Id FROM Contact WHERE Owner.Username = 'x'",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Case)",
        "SELECT (SELECT Id FROM Cases) FROM Account",
        "SELECT Id FROM Case",
        "SELECT Id FROM Account USING SCOPE mine WHERE OwnerId = '005000000000001AAA'",
    ],
)
def test_every_field_that_a_query_names_is_asked_for(make_caller, soql):
    Contact.objects.create(last_name="Ann", phone="1")
    _, reader = make_caller("reader", FIELDS)
    answer = reader.get("query", q=soql)
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] in {"INVALID_FIELD", "INVALID_TYPE"}
    # What is not granted is not told from what is not there.
    other = reader.get("query", q=soql.replace("Phone", "Nothing").replace("Case", "Nothing"))
    assert other.json()[0]["errorCode"] == answer.json()[0]["errorCode"]
    assert reader.get("query", q="SELECT Id, LastName, Account.Name FROM Contact").status_code == 200
    assert "Phone" not in reader.query("SELECT FIELDS(ALL) FROM Contact LIMIT 1")[0]


def test_records_that_are_not_shared_are_not_found(make_caller):
    ObjectSharing.objects.create(object_name="Account", default=SharingDefault.PRIVATE)
    user, reader = make_caller("reader", [*FIELDS, ("field", "read", "Account.*")])
    mine = Account.objects.create(name="Mine", owner=user, phone="1")
    hidden = Account.objects.create(name="Hidden", phone="2")
    for account in (mine, hidden):
        Contact.objects.create(last_name=account.name, account=account)
    assert [one["Name"] for one in reader.query("SELECT Name FROM Account")] == ["Mine"]
    assert reader.get("query", q="SELECT COUNT() FROM Account").json()["totalSize"] == 1
    assert reader.query("SELECT COUNT(Id) c FROM Account")[0]["c"] == 1
    found = reader.query("SELECT LastName, AccountId, Account.Phone FROM Contact ORDER BY LastName DESC")
    assert found[0]["Account"]["Phone"] == "1"
    assert (found[1]["Account"], found[1]["AccountId"]) == (None, hidden.record_id)
    # Nor can their values be guessed at.
    assert reader.query("SELECT Id FROM Contact WHERE Account.Phone = '2'") == []
    assert len(reader.query("SELECT Id FROM Contact WHERE Account.Phone = null")) == 1
    assert len(reader.query("SELECT Id FROM Contact WHERE AccountId IN (SELECT Id FROM Account)")) == 1
    grouped = reader.query(
        "SELECT Account.Name n, COUNT(Id) c FROM Contact GROUP BY Account.Name ORDER BY Account.Name"
    )
    assert [(one["n"], one["c"]) for one in grouped] == [(None, 1), ("Mine", 1)]
    ordered = reader.query("SELECT LastName FROM Contact ORDER BY Account.Name NULLS LAST")
    assert [one["LastName"] for one in ordered] == ["Mine", "Hidden"]


def test_a_plan_tells_of_nothing_that_the_user_does_not_see(make_caller):
    ObjectSharing.objects.create(object_name="Account", default=SharingDefault.PRIVATE)
    user, reader = make_caller("reader", [*FIELDS, ("field", "read", "Account.*")])
    Account.objects.create(name="Mine", owner=user)
    for number in range(5):
        Account.objects.create(name=f"Hidden {number}")
    for soql in (
        "SELECT Id FROM Account",
        "SELECT Id FROM Account WHERE Name LIKE 'Hidden%'",
        "SELECT Id, Account.Name FROM Contact WHERE Account.Name = 'Hidden 1'",
        "SELECT COUNT() FROM Account",
    ):
        answer = reader.get("query", explain=soql)
        plan = answer.json()["plans"][0]
        assert plan["sobjectCardinality"] <= 1
        assert plan["cardinality"] <= 1
        assert {note["tableEnumOrId"] for note in plan["notes"]} <= {"", "Account", "Contact"}
        assert not re.search("crm_|auth_|cost|[0-9] rows", answer.content.decode())


def test_an_alias_does_not_tell_of_a_field_that_is_not_granted(make_caller):
    Contact.objects.create(last_name="Ann", phone="1")
    _, reader = make_caller("reader", FIELDS)
    for alias in ("Phone", "Nothing"):
        soql = f"SELECT LastName, COUNT(Id) {alias} FROM Contact GROUP BY LastName ORDER BY {alias}"
        assert reader.query(soql)[0][alias] == 1


@pytest.mark.parametrize("escaped", [r"\u0000", r"\ud800", r"a\udfff"])
@pytest.mark.parametrize("condition", ["Name = '{}'", "Name LIKE '{}%'", "Name IN ('{}')"])
def test_what_no_database_holds_cannot_be_asked_for(api, condition, escaped):
    answer = api.get("query", q=f"SELECT Id FROM Account WHERE {condition.format(escaped)}")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "MALFORMED_QUERY")
    assert "unexpected character" in answer.json()[0]["message"]
