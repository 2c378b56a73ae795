"""Requests that nobody in their right mind sends: whatever comes, the answer is JSON, in its shape, and no failure."""

import json
from urllib.parse import quote

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus.objects import catalogue
from tests.integration.records.conftest import BASE, OBJECTS

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(400)]

MODELS = (Account, Contact, Case, Lead, Opportunity, Order)


def bounded(examples):
    """The same examples in each run, shown as found: shrinking takes long."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class Undone:
    """A block whose writes are undone."""

    def __enter__(self):
        self._atomic = transaction.atomic()
        self._atomic.__enter__()

    def __exit__(self, *error):
        transaction.set_rollback(True)
        self._atomic.__exit__(*error)


def require_answer(answer):
    """Return the JSON of an answer that a client can read."""
    assert answer.status_code < 500, answer.content
    if answer.status_code in {204, 304}:
        assert answer.content == b""
        return None
    if answer.get("Content-Type") == "application/octet-stream":
        return None
    assert answer["Content-Type"].startswith("application/json"), answer
    found = json.loads(answer.content)
    if answer.status_code == 300:
        assert all(path.startswith(f"{BASE}/sobjects/") for path in found)
    elif answer.status_code >= 400:
        assert found
        for error in found:
            assert isinstance(error["message"], str)
            assert isinstance(error["errorCode"], str)
            assert error["errorCode"].isupper()
    return found


@pytest.fixture
def crm(db, clerk):
    """A few records, related to each other."""
    acme = Account.objects.create(name="Acme", industry="Energy", annual_revenue="10.50", owner=clerk[0])
    bolt = Account.objects.create(name="Bolt", parent=acme, external_reference="B-1")
    Contact.objects.create(last_name="Ann", account=bolt, birthdate="1990-05-17", email="ann@example.org")
    Case.objects.create(subject="No power", account=acme)
    Lead.objects.create(last_name="Bob", company="Cog", number_of_employees=5)
    Opportunity.objects.create(name="Deal", account=acme, stage_name="New", close_date="2026-03-01", amount=5)
    Order.objects.create(account=acme)
    return acme


# --- queries ---------------------------------------------------------------------------------------------------------

FIELDS = {
    name: sorted({field.api_name for field in catalogue.get_object(name).fields} - {"Body"})
    for name in (*OBJECTS, "User")
}
PARENTS = ["Account", "Owner", "Parent", "Contact", "CreatedBy", "LastModifiedBy", "Account.Parent", "Account.Owner"]
CHILDREN = ["Contacts", "Cases", "Opportunities", "Orders", "ChildAccounts", "Leads"]
FUNCTIONS = [
    *("COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX", "toLabel", "FORMAT", "convertCurrency", "CALENDAR_YEAR"),
    *("CALENDAR_MONTH", "CALENDAR_QUARTER", "DAY_IN_WEEK", "DAY_IN_YEAR", "DAY_ONLY", "HOUR_IN_DAY", "WEEK_IN_MONTH"),
    *("WEEK_IN_YEAR", "FISCAL_YEAR", "GROUPING", "FIELDS", "convertTimezone", "DISTANCE"),
]
LITERALS = [
    *("null", "true", "false", "0", "-1", "1.5", "1e300", "-1e300", "1e-300", "99999999999999999999", "2147483648"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "USD5", "TODAY", "LAST_N_DAYS:3"),
    *("LAST_N_YEARS:9999", "NEXT_N_MONTHS:99999", "LAST_N_DAYS:-5", "N_WEEKS_AGO:2", "LAST_QUARTER", "2026-01-31"),
    *("0001-01-01", "9999-12-31", "2026-02-30", "2026-01-31T10:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.9999999Z", "10:00:00Z", "''", "'a'", "'Acme'", "'%'", r"'\%'"),
    *(r"'\\'", r"'\u0000'", r"'\ud800'", r"'\ud83d\ude00'", "'001000000000001AAA'", "'001zzzzzzzzzzzzAAA'", "'003'"),
    *("'005000000000001'", "'é'", "'a;b'", "';'", "'" + "x" * 300 + "'"),
]
OPERATORS = ["=", "!=", "<>", "<", "<=", ">", ">=", "LIKE"]
LISTS = ["IN", "NOT IN", "INCLUDES", "EXCLUDES"]


@st.composite
def fields(draw, name):
    """A field of the object, or one by way of a parent, or one that is not there."""
    known = draw(st.sampled_from(FIELDS[name]))
    other = draw(st.sampled_from(["Id", "Name", "Nothing", "CreatedDate", "IsDeleted"]))
    parent = draw(st.sampled_from(PARENTS))
    return draw(st.sampled_from([known, known, known, known, known, other, f"{parent}.{other}", f"{name}.{known}"]))


@st.composite
def expressions(draw, name):
    found = draw(fields(name))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 1, 2]))):
        found = f"{draw(st.sampled_from(FUNCTIONS))}({found})"
    return found


@st.composite
def conditions(draw, name, depth=2):
    kind = draw(st.sampled_from(["one", "one", "list", "inner", "and", "or", "not"]))
    if depth == 0 or kind == "one":
        operator, value = draw(st.sampled_from(OPERATORS)), draw(st.sampled_from(LITERALS))
        return f"{draw(expressions(name))} {operator} {value}"
    if kind == "list":
        values = ", ".join(draw(st.lists(st.sampled_from(LITERALS), min_size=1, max_size=3)))
        return f"{draw(expressions(name))} {draw(st.sampled_from(LISTS))} ({values})"
    if kind == "inner":
        left = draw(st.sampled_from(["Id", "AccountId", "OwnerId", "ParentId", "Name"]))
        return f"{left} {draw(st.sampled_from(LISTS[:2]))} ({draw(queries(depth - 1, columns=1))})"
    if kind == "not":
        return f"NOT ({draw(conditions(name, depth - 1))})"
    parts = draw(st.lists(conditions(name, depth - 1), min_size=2, max_size=3))
    return f" {kind.upper()} ".join(f"({part})" for part in parts)


@st.composite
def queries(draw, depth=2, columns=3, source=None):
    """A query of pieces that fit more often than not."""
    name = draw(st.sampled_from(list(FIELDS)))
    grouped = depth == 2 and draw(st.sampled_from([False, False, True]))
    shown = draw(st.lists(expressions(name), min_size=1, max_size=columns, unique=True))
    keys = draw(st.lists(st.sampled_from(FIELDS[name]), min_size=1, max_size=2, unique=True))
    if grouped:
        total = f"{draw(st.sampled_from(FUNCTIONS[:6]))}({draw(st.sampled_from(FIELDS[name]))})"
        shown = [*keys, total]
    elif depth and columns > 1 and draw(st.booleans()):
        shown.append(f"({draw(queries(0, source=draw(st.sampled_from(CHILDREN))))})")
    soql = f"SELECT {', '.join(shown)} FROM {source or name}"
    if draw(st.booleans()):
        soql += f" WHERE {draw(conditions(name, depth))}"
    if grouped:
        how = draw(st.sampled_from(["{}", "{}", "ROLLUP({})", "CUBE({})"]))
        soql += f" GROUP BY {how.format(', '.join(keys))}"
        if draw(st.booleans()):
            soql += f" HAVING {total} {draw(st.sampled_from(OPERATORS))} {draw(st.sampled_from(LITERALS))}"
    if draw(st.booleans()):
        by = draw(st.sampled_from([shown[-1], shown[0], "Name", draw(expressions(name))]))
        soql += f" ORDER BY {by}{draw(st.sampled_from(['', ' DESC', ' ASC NULLS LAST', ' DESC NULLS LAST']))}"
    soql += draw(st.sampled_from(["", "", " LIMIT 0", " LIMIT 3", " LIMIT 99999999999", " LIMIT 2 OFFSET 1"]))
    return soql + draw(st.sampled_from(["", "", " FOR VIEW", " ALL ROWS"]))


def require_records(found):
    assert isinstance(found["done"], bool)
    assert found["done"] is ("nextRecordsUrl" not in found)
    assert len(found["records"]) <= found["totalSize"] or not found["records"]
    for record in found["records"]:
        assert next(iter(record)) == "attributes"
        assert isinstance(record["attributes"]["type"], str)


def test_any_query_is_answered(api, crm):
    outcomes = {200: 0, 400: 0}

    @bounded(120)
    @given(
        soql=queries(), resource=st.sampled_from(["query", "queryAll"]), key=st.sampled_from(["q", "q", "q", "explain"])
    )
    def ask(soql, resource, key):
        answer = api.get(resource, **{key: soql})
        found = require_answer(answer)
        outcomes[answer.status_code] += 1
        if answer.status_code == 200 and key == "q":
            require_records(found)

    ask()
    # The pieces fit often enough for the database to be asked.
    assert min(outcomes.values()) > 10, outcomes


# --- bodies ----------------------------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                " ",
                "a",
                "Acme",
                "true",
                "no",
                "12",
                "-1",
                "1.5",
                "1e400",
                "NaN",
                "Infinity",
                "2026-01-31",
                "2026-13-01",
            ),
            *(
                "2026-01-31T10:00:00Z",
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                "10:00",
                "ann@example.org",
            ),
            *(
                "001000000000001AAA",
                "001000000000001",
                "005000000000001AAA",
                "001zzzzzzzzzzzz",
                "\x00",
                "a\x00b",
                "é☃😀",
            ),
            *("x" * 300, "a;b", "B-1", "http://", "1_000", "١٢", "0x10", "\u2028", "%", "\\"),
        ]
    ),
    st.text(max_size=10),
)
VALUES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([10**400, 1e308, -1e308, 5e-324, [], {}, [None], {"Id": "001000000000001AAA"}]),
    st.dictionaries(st.sampled_from(["External_Reference__c", "Name", "attributes", "Id", "type"]), TEXTS, max_size=2),
)


def writable_fields(name):
    return {field.api_name for field in catalogue.get_object(name).fields if field.createable}


@st.composite
def bodies(draw, name):
    known = [*FIELDS[name], "attributes", "Account", "Owner", "Parent", "Nothing"]
    sound = {"Name": "A", "LastName": "A", "Company": "A", "StageName": "New", "CloseDate": "2026-03-01"}
    # Where a name is not put together of others, it must be given.
    given = {field: value for field, value in sound.items() if field in writable_fields(name)}
    names = draw(st.lists(st.sampled_from(known), max_size=3, unique=True))
    return given | {one: draw(VALUES) for one in names}


@pytest.mark.parametrize("name", OBJECTS)
def test_any_body_is_answered(api, crm, name):
    existing = {catalogue.object_of_model(model).api_name: model for model in MODELS}[name].objects.first().record_id

    @bounded(40)
    @given(body=bodies(name), key=TEXTS, whole=st.one_of(VALUES, st.lists(VALUES, max_size=2)))
    def ask(body, key, whole):
        with Undone():
            answer = api.post(f"sobjects/{name}", body)
            require_answer(answer)
            if answer.status_code == 201:
                made = answer.json()["id"]
                require_answer(api.get(f"sobjects/{name}/{made}"))
                found = api.get("query", q=f"SELECT FIELDS(ALL) FROM {name} WHERE Id = '{made}' LIMIT 1")
                assert require_answer(found)["totalSize"] == 1
            require_answer(api.patch(f"sobjects/{name}/{existing}", body))
            key_path = f"sobjects/{name}/External_Reference__c/{quote(key, safe='')}"
            require_answer(api.patch(key_path, body))
            require_answer(api.get(key_path))
            require_answer(api.delete(key_path))
            require_answer(api.post(f"sobjects/{name}", whole))

    ask()


# --- addresses and headers -------------------------------------------------------------------------------------------

PIECES = st.one_of(
    st.sampled_from(
        [
            *(
                "sobjects",
                "query",
                "queryAll",
                "search",
                "parameterizedSearch",
                "limits",
                "recordCount",
                "recent",
                "composite",
            ),
            *("batch", "tree", "graph", "describe", "updated", "deleted", "Account", "Contact", "User", "Organization"),
            *(
                "Id",
                "External_Reference__c",
                "B-1",
                "Contacts",
                "Owner",
                "Parent",
                "tabs",
                "theme",
                "actions",
                "eventSchema",
            ),
            *("event", "Nothing__c", "Nothing__e", "Name", "Body", "..", ".", "", "%2F", "%00", "%ff", "é", "001", "*"),
            *(
                "001000000000001AAA",
                "001000000000001",
                "001zzzzzzzzzzzzzzz",
                "01g000000000000AAA-200",
                "001000000000000AAB",
            ),
        ]
    ),
    st.text(max_size=6).map(lambda text: quote(text, safe="")),
)
PARAMETERS = st.dictionaries(
    st.sampled_from(
        [
            *("q", "fields", "start", "end", "limit", "after", "sObjects", "ids", "allOrNone", "explain", "columns"),
            *(
                "_HTTP_METHOD",
                "updateOnly",
                "sobject",
                "in",
                "where",
                "orderBy",
                "defaultLimit",
                "overallLimit",
                "offset",
            ),
            *("Account.fields", "Account.where", "payloadFormat", "spellCorrection"),
        ]
    ),
    st.one_of(
        TEXTS,
        st.sampled_from(
            [
                *("Id,Name", "Name,,", "Account,Contact", "SELECT Id FROM Account", "FIND {acme}", "PATCH"),
                *("2026-11-29T00:00:00Z", "2026-11-29T00:00:00 00:00", "0001-01-01T00:00:00+23:59", "99999-01-01"),
                *("9999-12-31T23:59:59-23:59", "2100-01-01T00:00:00Z"),
            ]
        ),
    ),
    max_size=3,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Sforce-Query-Options"),
            *("Sforce-Mru", "Sforce-Call-Options", "Accept"),
        ]
    ),
    st.sampled_from(
        [
            *("*", '"x"', 'W/"x"', ",", "", "Fri, 01 Jan 2100 00:00:00 GMT", "Fri, 99 Jan 2100 00:00:00 GMT", "0"),
            *("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359", "Fri, 31 Dec 99999 00:00:00 GMT"),
            *("batchSize=0", "batchSize=999999999999", "batchSize=x", "updateMru=true", "client=x", "text/html"),
        ]
    ),
    max_size=2,
)


def test_any_address_is_answered(api, crm):
    @bounded(400)
    @given(
        method=st.sampled_from(["GET", "GET", "GET", "POST", "PATCH", "DELETE", "PUT", "HEAD"]),
        pieces=st.lists(PIECES, max_size=5),
        prefix=st.sampled_from(["", "sobjects/Account/", f"sobjects/Account/{crm.record_id}/", "sobjects/"]),
        query=PARAMETERS,
        headers=HEADERS,
        body=VALUES,
    )
    def ask(method, pieces, prefix, query, headers, body):
        path = f"{BASE}/{prefix}{'/'.join(pieces)}"
        with Undone():
            answer = api.send(method, path, body if method in {"POST", "PATCH", "PUT"} else None, query, **headers)
            if method == "HEAD":
                assert answer.status_code < 500
            else:
                require_answer(answer)

    ask()


@bounded(100)
@given(name=PIECES, text=st.one_of(TEXTS, st.text(alphabet="acme{}()\"'*?\\&|- \nANDORNOT", max_size=20)))
def test_any_search_is_answered(api, name, text):
    for asked in (f"FIND {{{text}}} RETURNING {name}", f"FIND {{{text}}}", text):
        found = require_answer(api.get("search", q=asked))
        assert isinstance(found, list) or isinstance(found["searchRecords"], list)
    for body in ({"q": text}, {"q": text, "sobjects": [{"name": name, "where": text, "fields": ["Id"]}]}):
        require_answer(api.post("parameterizedSearch", body))
