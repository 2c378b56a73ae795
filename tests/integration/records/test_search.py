"""Search across objects: the same outcome on both databases, for all that writes rows and for what callers may see."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection, transaction
from simple_salesforce.exceptions import SalesforceMalformedRequest

from crm.models import Account, Case, Contact, Lead
from isthmus.objects import catalogue
from isthmus.objects.models import ObjectSharing
from isthmus.objects.registry import expose
from records import search_index
from records.checks import check_search_indexes

pytestmark = pytest.mark.django_db(transaction=True)

is_postgresql = connection.vendor == "postgresql"


def names(api, sosl):
    """Return what is found, by name."""
    answer = api.get("search", q=sosl)
    assert answer.status_code == 200, answer.content
    return [record.get("Name") for record in answer.json()["searchRecords"]]


def accounts(api, term, scope="ALL"):
    return names(api, f"FIND {{{term}}} IN {scope} FIELDS RETURNING Account(Name)")


def refused(answer):
    return answer.status_code, answer.json()[0]["errorCode"]


# --- the wire --------------------------------------------------------------------------------------------------------


def test_simple_salesforce_searches(salesforce):
    account = Account.objects.create(name="Acme Rockets")
    contact = Contact.objects.create(last_name="Acme")
    Account.objects.create(name="Other")
    path = "/services/data/v59.0/sobjects"
    assert (
        salesforce.search("FIND {Acme}")
        == salesforce.quick_search("Acme")
        == {
            "searchRecords": [
                {
                    "attributes": {"type": name, "url": f"{path}/{name}/{record.record_id}"},
                    "Id": record.record_id,
                }
                for name, record in (("Account", account), ("Contact", contact))
            ]
        }
    )
    found = salesforce.search("find {acme} returning Contact ( LastName, Id ), Account")["searchRecords"]
    assert [list(record) for record in found] == [["attributes", "LastName", "Id"], ["attributes", "Id"]]
    with pytest.raises(SalesforceMalformedRequest) as caught:
        salesforce.search("FIND {Acme RETURNING Account")
    assert caught.value.content[0]["errorCode"] == "MALFORMED_SEARCH"


def test_early_versions_get_a_bare_array(api):
    account = Account.objects.create(name="Acme")
    answer = api.get("/services/data/v36.0/search", q="FIND {acme}")
    assert [record["Id"] for record in answer.json()] == [account.record_id]


def test_search_is_listed(api):
    found = api.get("").json()
    assert found["search"].endswith("/search")
    assert found["parameterizedSearch"].endswith("/parameterizedSearch")


MALFORMED = [
    ("", "MALFORMED_SEARCH"),
    ("FIND", "MALFORMED_SEARCH"),
    ("FIND {a}", "MALFORMED_SEARCH"),
    ("FIND {*}", "MALFORMED_SEARCH"),
    ("FIND {*cme}", "MALFORMED_SEARCH"),
    ("FIND {ab} RETURNING", "MALFORMED_SEARCH"),
    ("FIND {ab} RETURNING Account(Id", "MALFORMED_SEARCH"),
    ("FIND {ab} RETURNING Account()", "MALFORMED_SEARCH"),
    ("FIND {ab} LIMIT 2001", "MALFORMED_SEARCH"),
    ("FIND {ab} WITH DATA CATEGORY Geo__c AT x__c", "MALFORMED_SEARCH"),
    ("FIND {ab} RETURNING " + ", ".join(["Account"] * 21), "MALFORMED_SEARCH"),
    ("FIND {ab} RETURNING Nothing__c", "INVALID_TYPE"),
    ("FIND {ab} RETURNING Account(Nothing)", "INVALID_FIELD"),
    ("SELECT Id FROM Account", "MALFORMED_SEARCH"),
]


def test_what_cannot_be_searched_is_refused(api):
    assert {sosl: refused(api.get("search", q=sosl)) for sosl, _ in MALFORMED} == {
        sosl: (400, code) for sosl, code in MALFORMED
    }


def test_a_refusal_tells_the_place(api):
    answer = api.get("search", q="FIND {acme}\n IN ALL FIELDS RETURN Account")
    assert answer.json()[0]["message"] == (
        "\n IN ALL FIELDS RETURN Account\n               ^\nERROR at Row:2:Column:16\nunexpected token: 'RETURN'"
    )


# --- what is found ---------------------------------------------------------------------------------------------------


WORDS = {
    "rockets": True,
    "ROCKETS": True,
    "rocket": False,
    "rocket*": True,
    "rock?ts": True,
    "r*ts": True,
    "ro*t": False,
    "rocket?": True,
    "rockets?": False,
    "rockets*": True,
    "rockets acme": True,
    '"rockets acme"': False,
    '"acme rockets"': True,
    '"acme rock*"': False,
    "acme AND rockets": True,
    "acme AND missing": False,
    "acme OR missing": True,
    "acme and missing or energy": True,
    "acme AND (missing OR energy)": True,
    "acme AND NOT energy": False,
    "acme AND NOT missing": True,
    "acme AND NOT ener?y": False,
    "acme AND NOT (missing AND en*gy)": True,
    "energy rockets": True,
    '"rockets energy"': False,
    "angstrom": True,
    "Ångström": True,
    "ÅNGSTRÖM": True,
    "москва": True,
    "МОСКВА": True,
    "йод": True,
    "иод": False,
    "οδος": True,
    "ΟΔΟΣ": True,
    "οδός": False,
    "東京都庁": True,
    "東京": False,
    "東京*": True,
    "straße": True,
    "strasse": False,
    "o'brien": True,
    "o\\'brien": True,
    "obrien": False,
    "info@acme.example.org": True,
    "info\\@acme.example.org": True,
    "info@acme": True,
    "example.org": True,
    "acme@info": False,
    "info@acm*": True,
    "inf*@acme": True,
    "i?fo@ac?e": True,
    "R\\&D": True,
    "R&D": True,
    "1e5": True,
    "C\\+\\+ cc": True,
    "x_y": True,
    "100": True,
    "-100": True,
    "v1.2.3": True,
}


def test_words_are_found(api):
    name = "Acme  Rockets, Inc."
    Account.objects.create(
        name=name,
        industry="Energy",
        website="mailto:info@acme.example.org",
        description="Ångström, МОСКВА йод ΟΔΟΣ 東京都庁 Straße O'Brien R&D 1e5 C++ cc x_y -100 v1.2.3",
    )
    assert {term: accounts(api, term) == [name] for term in WORDS} == WORDS


NUMBERS = {
    "+49 30 1234567": True,
    "\\+49 \\(30\\) 123\\-45\\-67": True,
    "0049301234567": True,
    "030 1234567": True,
    "0301234567": True,
    "1234567": True,
    '"030 123 45 67"': True,
    "acme 030 1234567": True,
    "030 1234568": False,
    "+43 40 1234567": False,
    "030123456": False,
}


@pytest.mark.parametrize(
    "stored", ["+49 30 123-4567", "(030) 1234567", "030/123.45.67", "0049 30 1234567", "0301234567"]
)
def test_a_telephone_number_is_found_however_it_is_written(api, stored):
    Account.objects.create(name="Acme", phone=stored)
    assert {term: accounts(api, term) == ["Acme"] for term in NUMBERS} == NUMBERS
    by_phone = {term: is_found and "acme" not in term for term, is_found in NUMBERS.items()}
    assert {term: accounts(api, term, "PHONE") == ["Acme"] for term in NUMBERS} == by_phone


def test_scopes(api):
    Account.objects.create(name="By name 70001", external_reference="one")
    Account.objects.create(name="By phone", phone="70001")
    Account.objects.create(name="By reference", external_reference="70001")
    Account.objects.create(name="By city", billing_city="70001")
    Lead.objects.create(last_name="By mail", company="x", email="70001@example.org")
    assert accounts(api, "70001", "NAME") == ["By name 70001"]
    assert accounts(api, "70001", "PHONE") == ["By phone"]
    assert sorted(accounts(api, "70001", "SIDEBAR")) == ["By name 70001", "By phone", "By reference"]
    assert len(accounts(api, "70001")) == 4
    assert accounts(api, "70001", "EMAIL") == []
    assert names(api, "FIND {70001} IN EMAIL FIELDS RETURNING Lead(Name)") == ["By mail"]


def test_an_auto_number_is_found(api):
    case = Case.objects.create(subject="No power")
    case.refresh_from_db()
    found = api.get("search", q=f"FIND {{{case.case_number}}} RETURNING Case(CaseNumber)").json()["searchRecords"]
    assert [record["CaseNumber"] for record in found] == [case.case_number]


def test_names_come_first_and_the_exact_one_leads(api):
    for name, description in [
        ("Acme Rockets", ""),
        ("Other", "acme"),
        ("Acme", ""),
        ("Newer", "Acme"),
        ("acme ag", ""),
    ]:
        Account.objects.create(name=name, description=description)
    ranked = ["Acme", "acme ag", "Acme Rockets", "Newer", "Other"]
    assert accounts(api, "acme") == ranked
    assert accounts(api, "ac?e") == ranked
    assert names(api, "FIND {acme} RETURNING Account(Name LIMIT 2)") == ranked[:2]
    assert names(api, "FIND {acme} RETURNING Account(Name LIMIT 2 OFFSET 3)") == ranked[3:]
    assert names(api, "FIND {acme} RETURNING Account(Name) LIMIT 4") == ranked[:4]
    assert names(api, "FIND {acme} RETURNING Account(Name) LIMIT 0") == []


def test_objects_come_in_the_order_in_which_they_are_named(api):
    for number in range(3):
        Account.objects.create(name=f"Acme {number}")
        Contact.objects.create(last_name=f"Acme {number}")
    asked = "FIND {acme} RETURNING Contact(Name LIMIT 2), Account(Name) LIMIT 4"
    found = api.get("search", q=asked).json()["searchRecords"]
    assert [record["attributes"]["type"] for record in found] == ["Contact", "Contact", "Account", "Account"]


def test_what_only_decorates_has_no_effect(api):
    Account.objects.create(name="Acme")
    asked = (
        "FIND 'acme' IN ALL FIELDS RETURNING Account(Name) WITH DIVISION = 'Global' WITH HIGHLIGHT "
        "WITH SNIPPET(target_length=120) WITH NETWORK IN ('a', 'b') WITH METADATA='LABELS' "
        "WITH SPELL_CORRECTION = true LIMIT 5 UPDATE TRACKING, VIEWSTAT"
    )
    assert names(api, asked) == ["Acme"]


# --- whatever writes -------------------------------------------------------------------------------------------------


def test_every_way_to_write_is_seen(api):
    account = Account.objects.create(name="Saved")
    Account.objects.bulk_create([Account(name="Bulk one"), Account(name="Bulk two")])
    assert (accounts(api, "saved"), len(accounts(api, "bulk"))) == (["Saved"], 2)
    account.name = "Renamed"
    account.save()
    assert (accounts(api, "saved"), accounts(api, "renamed")) == ([], ["Renamed"])
    Account.objects.filter(name__startswith="Bulk").update(description="updated")
    assert len(accounts(api, "updated")) == 2
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crm_account SET name = 'By SQL' WHERE name = 'Renamed'")
    assert (accounts(api, "renamed"), accounts(api, "sql")) == ([], ["By SQL"])
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crm_account SET id = id + 1000 WHERE name = 'By SQL'")
    assert accounts(api, "sql") == ["By SQL"]
    moved = Account.objects.get(name="By SQL")
    moved.delete()
    assert accounts(api, "sql") == []
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM crm_account")
    assert accounts(api, "bulk OR sql OR renamed") == []


def test_what_is_rolled_back_is_not_found(api):
    with transaction.atomic():
        Account.objects.create(name="Never")
        transaction.set_rollback(True)
    assert accounts(api, "never") == []


def test_a_row_that_replaces_another_takes_its_words(api):
    group = Group.objects.create(name="Before")
    team = expose(Group, api_name="Team__c", fields=["name"])
    try:
        search_index.synchronise("default")
        if is_postgresql:
            statement = (
                "INSERT INTO auth_group (id, name) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
            )
        else:
            statement = "INSERT OR REPLACE INTO auth_group (id, name) VALUES (%s, %s)"
        with connection.cursor() as cursor:
            cursor.execute(statement, [group.pk, "After"])
        found = {
            word: search_index.find(
                search_index.Found(
                    plan=search_index.plan_for(team), rows=Group.objects.all(), fields={"Name__c"}, names=()
                ),
                search_index.Words((word,)),
                10,
            )
            for word in ("before", "after")
        }
        assert found == {"before": [], "after": [group.pk]}
    finally:
        catalogue.unregister(team)
        search_index.synchronise("default")


# --- who sees what ---------------------------------------------------------------------------------------------------


def test_a_field_that_the_caller_cannot_read_tells_nothing(make_caller):
    Account.objects.create(name="Acme", industry="Energy", phone="030 1234567", description="secret plan")
    grants = [("object", "read", "Account"), ("field", "read", "Account.Industry")]
    _, reader = make_caller("reader", grants)
    assert accounts(reader, "energy") == accounts(reader, "acme energy") == ["Acme"]
    for term in ("secret", "acme secret", "acme AND (missing OR secret)", "s?cret", "0301234567", '"secret plan"'):
        assert accounts(reader, term) == []
    for term in ("acme AND NOT secret", "acme AND NOT s?cret", "acme AND NOT 0301234567"):
        assert accounts(reader, term) == ["Acme"]
    answer = reader.get("search", q="FIND {acme} RETURNING Account(Description)")
    assert refused(answer) == (400, "INVALID_FIELD")


def test_an_object_that_is_not_granted_is_not_there(make_caller):
    Account.objects.create(name="Acme")
    Contact.objects.create(last_name="Acme")
    _, reader = make_caller("reader", [("object", "read", "Account")])
    found = reader.get("search", q="FIND {acme}").json()["searchRecords"]
    assert [record["attributes"]["type"] for record in found] == ["Account"]
    unknown = reader.get("search", q="FIND {acme} RETURNING Nothing")
    hidden = reader.get("search", q="FIND {acme} RETURNING Contact")
    assert refused(hidden) == refused(unknown) == (400, "INVALID_TYPE")
    assert hidden.json()[0]["message"].replace("Contact", "Nothing") == unknown.json()[0]["message"]
    _, stranger = make_caller("stranger", [])
    assert stranger.get("search", q="FIND {acme}").json() == {"searchRecords": []}


def test_deleted_and_unshared_records_are_not_found(api, make_caller):
    Account.objects.create(name="Acme gone").delete()
    assert accounts(api, "acme") == []
    user, owner = make_caller("owner", [("object", "read", "Account")])
    Account.objects.create(name="Acme of another")
    Account.objects.create(name="Acme mine", owner=user)
    assert accounts(owner, "acme") == ["Acme mine", "Acme of another"]
    ObjectSharing.objects.create(object_name="Account", default="private")
    assert accounts(owner, "acme") == ["Acme mine"]


def test_who_is_not_logged_in_searches_nothing(api):
    api.token = None
    assert refused(api.get("search", q="FIND {acme}")) == (401, "INVALID_SESSION_ID")


# --- by parameters ---------------------------------------------------------------------------------------------------


def test_a_search_by_parameters(api):
    for number in range(4):
        Account.objects.create(name=f"Acme {number}", billing_city="Oslo")
        Contact.objects.create(last_name=f"Acme {number}")

    def told(answer):
        assert answer.status_code == 200, answer.content
        return [(record["attributes"]["type"], record.get("Name")) for record in answer.json()["searchRecords"]]

    first = [("Account", "Acme 0"), ("Account", "Acme 1")]
    options = {"Account.fields": "Id,Name", "Account.limit": "2"}
    assert told(api.get("parameterizedSearch", q="acme", sobject="Account", **options)) == first
    both = told(api.get("parameterizedSearch", q="acme", sobject="Account,Contact", fields="name", defaultLimit="1"))
    assert both == [("Account", "Acme 0"), ("Contact", "Acme 0")]
    assert told(api.get("parameterizedSearch", q="oslo", sobject="Account", **{"in": "NAME"})) == []
    assert len(told(api.get("parameterizedSearch", q="acme", overallLimit="5"))) == 5
    body = {
        "q": "Acme",
        "fields": ["id", "name"],
        "sobjects": [{"name": "Contact", "fields": ["name"], "limit": 1}, {"name": "account"}],
        "in": "ALL",
        "overallLimit": 3,
        "defaultLimit": 10,
    }
    assert told(api.post("parameterizedSearch", body)) == [("Contact", "Acme 0"), *first]
    paged = {"q": "acme", "fields": ["name"], "sobjects": [{"name": "Account"}], "offset": 3}
    assert told(api.post("parameterizedSearch", paged)) == [("Account", "Acme 3")]


def test_terms_of_a_search_by_parameters_are_plain(api):
    Account.objects.create(name="and not or")
    Account.objects.create(name="Acme")
    found = api.post(
        "parameterizedSearch", {"q": 'or} ("NOT* AND?', "fields": ["Name"], "sobjects": [{"name": "Account"}]}
    )
    assert [record["Name"] for record in found.json()["searchRecords"]] == ["and not or"]


BAD_PARAMETERS = [
    ({}, "MALFORMED_SEARCH"),
    ({"q": "x"}, "MALFORMED_SEARCH"),
    ({"q": 1}, "INVALID_PARAMETER"),
    ({"q": "x" * 10_001}, "MALFORMED_SEARCH"),
    ({"q": "acme", "in": "NOWHERE"}, "INVALID_PARAMETER"),
    ({"q": "acme", "overallLimit": -1}, "INVALID_PARAMETER"),
    ({"q": "acme", "overallLimit": True}, "INVALID_PARAMETER"),
    ({"q": "acme", "overallLimit": 2001}, "INVALID_PARAMETER"),
    ({"q": "acme", "offset": 1}, "INVALID_PARAMETER"),
    ({"q": "acme", "fields": [1]}, "INVALID_PARAMETER"),
    ({"q": "acme", "fields": {}}, "INVALID_PARAMETER"),
    ({"q": "acme", "sobjects": "Account"}, "INVALID_PARAMETER"),
    ({"q": "acme", "sobjects": ["Account"]}, "INVALID_PARAMETER"),
    ({"q": "acme", "sobjects": [{}]}, "INVALID_PARAMETER"),
    ({"q": "acme", "sobjects": [{"name": "Account"}] * 21}, "MALFORMED_SEARCH"),
    ({"q": "acme", "sobjects": [{"name": "Nothing"}]}, "INVALID_TYPE"),
    ({"q": "acme", "sobjects": [{"name": "Account", "fields": ["Nothing"]}]}, "INVALID_FIELD"),
    ({"q": "acme", "sobjects": [{"name": "Account", "fields": ["Id) FROM x --"]}]}, "MALFORMED_SEARCH"),
    ({"q": "acme", "dataCategories": [{"groupName": "x"}]}, "INVALID_PARAMETER"),
    ([], "JSON_PARSER_ERROR"),
]


def test_bad_parameters_are_refused(api):
    for body, code in BAD_PARAMETERS:
        assert (body, *refused(api.post("parameterizedSearch", body))) == (body, 400, code)


# --- hostile input ---------------------------------------------------------------------------------------------------


HOSTILE = [
    "acme'; DROP TABLE crm_account; --",
    'acme\\" OR c1 : x',
    "{c1} : acme",
    "acme NEAR(x, y)",
    "acme:* & !x | y <-> z",
    "acme ^ - + ~ [ ] $$ %s %(x)s",
    "acme \x01 \x02",
    "acme \U0001f600 \u0300 \u200d",
    "x" * 3_000,
    " OR ".join(f"w{number}" for number in range(1_000)),
    " ".join(f"w{number}?" for number in range(1_000)),
    "a" + "*b" * 1_000,
    "(" * 20 + "acme" + ")" * 20,
    " ".join(["123456"] * 900),
]


def test_hostile_terms_are_answered(api):
    Account.objects.create(name="Acme")
    for term in HOSTILE:
        sent = [term.replace("}", "\\}").replace('"', '\\"'), term.replace("}", "")]
        answers = [
            api.post("parameterizedSearch", {"q": term}),
            *(api.get("search", q=f"FIND {{{text}}}") for text in sent),
        ]
        assert {answer.status_code for answer in answers} <= {200, 400}, term
        codes = {answer.json()[0]["errorCode"] for answer in answers if answer.status_code == 400}
        assert codes <= {"MALFORMED_SEARCH"}, term
    assert Account.objects.count() == 1


def test_a_word_without_end_harms_nobody(api):
    account = Account.objects.create(name="Acme", description="é" * 5_000 + " " + "b" * 20_000 + " c" * 3_000)
    assert accounts(api, "b" * 3_000) == accounts(api, "cc OR acme") == ["Acme"]
    Account.objects.filter(pk=account.pk).update(
        description=" ".join(f"{number:x}é" for number in range(1_000_000, 1_030_000))
    )
    assert accounts(api, "acme") == ["Acme"]


# --- the index -------------------------------------------------------------------------------------------------------


def explained(api_sosl):
    """Return how the database finds the accounts of a search."""
    from records.search_index.installing import maker_for

    plan = search_index.plan_for(catalogue.get_object("Account"))
    maker = maker_for(connection.vendor)
    query = maker.query_for(api_sosl, plan.columns)
    prefix = "EXPLAIN" if is_postgresql else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{prefix} SELECT id FROM crm_account WHERE {maker.condition(plan)}", [query])
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def test_a_search_asks_the_index(db):
    Account.objects.bulk_create([Account(name=f"Account {number}") for number in range(2_000)])
    if is_postgresql:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE crm_account")
    told = explained(search_index.Words(("1234",)))
    if is_postgresql:
        assert "Bitmap Index Scan on isthmus_search_crm_account" in told
        assert "Seq Scan" not in told
    else:
        assert "SCAN isthmus_search_crm_account VIRTUAL TABLE" in told
        assert "SCAN crm_account" not in told


def test_an_index_that_went_is_reported_and_made_anew(api):
    Account.objects.create(name="Acme")
    assert check_search_indexes(databases=["default"]) == []
    with connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("DROP INDEX isthmus_search_crm_account")
        else:
            cursor.execute("DROP TRIGGER isthmus_search_crm_account_update")
    (warning,) = check_search_indexes(databases=["default"])
    assert (warning.id, "search Account." in warning.msg) == ("records.W001", True)
    if is_postgresql:
        assert refused(api.get("search", q="FIND {acme} RETURNING Account")) == (400, "INVALID_TYPE")
    Account.objects.update(name="Emca")
    call_command("migrate", verbosity=0)
    assert check_search_indexes(databases=["default"]) == []
    assert (accounts(api, "acme"), accounts(api, "emca")) == ([], ["Emca"])


def test_objects_of_apps_that_come_later_are_indexed_with_their_rows(make_caller):
    group = Group.objects.create(name="Night shift")
    _, caller = make_caller("late", [])
    User.objects.update(is_superuser=True)
    assert refused(caller.get("search", q="FIND {night} RETURNING Team__c")) == (400, "INVALID_TYPE")
    team = expose(Group, api_name="Team__c", fields=["name"])
    try:
        call_command("migrate", verbosity=0)
        found = caller.get("search", q="FIND {night} RETURNING Team__c(Name__c)").json()["searchRecords"]
        assert [record["Name__c"] for record in found] == [group.name]
    finally:
        catalogue.unregister(team)
        call_command("migrate", verbosity=0)
    assert "auth_group" not in search_index.searchable_tables("default")


def test_what_is_returned_may_be_narrowed_and_sorted(api):
    for name, industry in (("Acme West", "Energy"), ("Acme East", "Energy"), ("Acme North", "Media")):
        Account.objects.create(name=name, industry=industry)
    where = "WHERE Industry = 'Energy' AND Name LIKE '%t' ORDER BY Name DESC"
    found = api.get("search", q=f"FIND {{acme}} RETURNING Account(Id, Name, Owner.Username {where})").json()
    assert [one["Name"] for one in found["searchRecords"]] == ["Acme West", "Acme East"]
    found = api.get("search", q=f"FIND {{acme}} RETURNING Account(Name {where} LIMIT 1 OFFSET 1)").json()
    assert [one["Name"] for one in found["searchRecords"]] == ["Acme East"]
    for inside, code in (
        ("Nmae", "INVALID_FIELD"),
        ("Name WHERE Nmae = 'x'", "INVALID_FIELD"),
        ("Name WHERE", "MALFORMED_SEARCH"),
        ("COUNT(Id)", "MALFORMED_SEARCH"),
        ("Name, (SELECT Id FROM Contacts)", "MALFORMED_SEARCH"),
    ):
        answer = api.get("search", q=f"FIND {{acme}} RETURNING Account({inside})")
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
