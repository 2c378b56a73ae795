"""Composite requests: parts that refer to each other, all or none of them or each by itself."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from crm.models import Account, Contact, Lead
from events.testing import subscribed
from isthmus.access.actions import assign, ensure_permission_set
from isthmus.objects.models import RawChange
from records import routing
from records.calls import Answer
from tests.integration.records.conftest import BASE
from tests.refusing_trigger import rows_are_refused

pytestmark = pytest.mark.django_db

HALTED = [
    {
        "errorCode": "PROCESSING_HALTED",
        "message": "The transaction was rolled back since another operation in the same transaction failed.",
    }
]
EVENT = "Credential_Connection_Failed__e"


def part(reference_id, method, path, body=None, **more):
    url = path if path.startswith("/") else f"{BASE}/{path}"
    return {
        "referenceId": reference_id,
        "method": method,
        "url": url,
        **({} if body is None else {"body": body}),
        **more,
    }


def account(reference_id="a", **values):
    return part(reference_id, "POST", "sobjects/Account", {"Name": "Acme", **values})


def composed(api, *parts, **given):
    answer = api.post("composite", {"compositeRequest": list(parts), **given})
    assert answer.status_code == 200, answer.content
    found = answer.json()["compositeResponse"]
    assert [one["referenceId"] for one in found] == [one["referenceId"] for one in parts]
    return found


def refused(answer):
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()
    return error["errorCode"]


def statuses(found):
    return [one["httpStatusCode"] for one in found]


def test_simple_salesforce_sends_a_composite_request(transactional_db, salesforce):
    request = {
        "allOrNone": True,
        "collateSubrequests": False,
        "compositeRequest": [
            account(),
            part("c", "POST", "sobjects/Contact", {"LastName": "Ann", "AccountId": "@{a.id}"}),
            part("r", "GET", "sobjects/Contact/@{c.id}?fields=AccountId,LastName"),
            part("u", "PATCH", "sobjects/Contact/@{c.id}", {"Description": "Of @{r.AccountId}, @{r.attributes.type}"}),
            part("d", "DELETE", "sobjects/Account/@{r.AccountId}"),
        ],
    }
    found = salesforce.restful("composite", method="POST", json=request)["compositeResponse"]
    assert statuses(found) == [201, 201, 200, 204, 204]
    made = found[0]["body"]["id"]
    assert found[0] == {
        "body": {"id": made, "success": True, "errors": []},
        "httpHeaders": {"Location": f"{BASE}/sobjects/Account/{made}"},
        "httpStatusCode": 201,
        "referenceId": "a",
    }
    assert (found[3]["body"], found[3]["httpHeaders"]) == (None, {})
    assert found[2]["body"]["AccountId"] == made
    assert Contact.all_objects.get().description == f"Of {made}, Contact"
    assert set(salesforce.restful("composite")) == {"batch", "graph", "sobjects", "tree"}


def test_the_culprit_keeps_its_error_and_nothing_is_kept(api):
    found = composed(
        api,
        account(),
        part("c", "POST", "sobjects/Contact", {"AccountId": "@{a.id}"}),
        part("l", "POST", "sobjects/Lead", {"LastName": "A", "Company": "B"}),
        allOrNone=True,
    )
    assert statuses(found) == [400, 400, 400]
    assert found[0]["body"] == found[2]["body"] == HALTED
    assert [one["errorCode"] for one in found[1]["body"]] == ["REQUIRED_FIELD_MISSING"]
    assert not any(model.all_objects.exists() for model in (Account, Contact, Lead))


def test_without_all_or_none_the_others_go_on(api):
    found = composed(
        api,
        account("bad", Name=None),
        part("c", "POST", "sobjects/Contact", {"LastName": "A", "AccountId": "@{bad.id}"}),
        part("d", "GET", "sobjects/Contact/@{c.id}"),
        account("good"),
        part("e", "POST", "sobjects/Contact", {"LastName": "B", "AccountId": "@{good.id}"}),
        part("later", "POST", "sobjects/Contact", {"LastName": "@{last.id}"}),
        part("last", "GET", "nothing/@{good.id}"),
    )
    assert statuses(found) == [400, 400, 400, 201, 201, 400, 404]
    for one, name in ((found[1], "bad.id"), (found[2], "c.id"), (found[5], "last.id")):
        assert one["body"][0]["errorCode"] == "PROCESSING_HALTED"
        assert one["body"][0]["message"].startswith(f"Invalid reference specified. No value for {name} found")
    assert [one.last_name for one in Contact.objects.all()] == ["B"]


def test_a_reference_to_nothing_is_a_culprit_as_well(api):
    found = composed(api, account(), part("c", "GET", "sobjects/Account/@{a.Id}"), allOrNone=True)
    assert statuses(found) == [400, 400]
    assert found[1]["body"][0]["message"] == "Invalid reference specified. No value for a.Id found in a."
    assert not Account.all_objects.exists()


def test_values_keep_their_type(api):
    source = Account.objects.create(name="A", number_of_employees=7, annual_revenue="12.50")
    found = composed(
        api,
        part("s", "GET", f"sobjects/Account/{source.record_id}"),
        account(
            "a", NumberOfEmployees="@{s.NumberOfEmployees}", AnnualRevenue="@{s.AnnualRevenue}", Phone="@{s.Phone}"
        ),
        part("b", "GET", "sobjects/Account/@{a.id}?fields=NumberOfEmployees,AnnualRevenue,Phone"),
    )
    told = {name: value for name, value in found[2]["body"].items() if name != "attributes"}
    assert told == {"NumberOfEmployees": 7, "AnnualRevenue": 12.5, "Phone": None}


def test_a_value_stays_in_its_place_of_a_path(api):
    weird = "a/b?c=d&e%2F 'x' + ü"
    Account.objects.create(name="describe", external_reference=weird)
    by_reference = "sobjects/Account/External_Reference__c"
    made = Account.objects.get().record_id
    found = composed(
        api,
        part("s", "GET", f"sobjects/Account/{made}"),
        part("same", "GET", f"{by_reference}/@{{s.External_Reference__c}}?fields=Id"),
        part("other", "PATCH", "sobjects/Contact/External_Reference__c/@{s.External_Reference__c}", {"LastName": "X"}),
        part("x", "GET", "sobjects/Account/@{s.Name}"),
        part("y", "GET", "sobjects/Account/@{s.External_Reference__c}"),
        part("z", "GET", "sobjects/Account/External_Reference__c%2Fa"),
    )
    assert statuses(found) == [200, 200, 201, 404, 404, 404]
    assert found[1]["body"]["Id"] == made
    assert Contact.objects.get().external_reference == weird


def test_conditions_of_parts_are_honoured(api):
    stored = Account.objects.create(name="A")
    path = f"sobjects/Account/{stored.record_id}"
    etag = api.get(path)["ETag"]
    found = composed(
        api,
        part("same", "GET", path, httpHeaders={"if-none-match": etag}),
        part("ok", "PATCH", path, {"Phone": "1"}, httpHeaders={"If-Match": etag}),
        part("stale", "PATCH", path, {"Phone": "2"}, httpHeaders={"If-Match": etag}),
    )
    assert statuses(found) == [304, 204, 412]
    assert found[0]["httpHeaders"]["ETag"] == etag
    assert found[0]["body"] is None
    assert Account.objects.get().phone == "1"


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("outer", [True, False])
def test_collections_inside(api, outer, inner):
    records = [{"attributes": {"type": "Lead"}, "LastName": "A", "Company": company} for company in ("B", None)]
    found = composed(
        api,
        account(),
        part("s", "POST", "composite/sobjects", {"allOrNone": inner, "records": records}),
        part("c", "POST", "sobjects/Contact", {"LastName": "@{s[0].id}"}),
        allOrNone=outer,
    )
    codes = [[error["statusCode"] for error in one["errors"]] for one in found[1]["body"]]
    assert found[1]["httpStatusCode"] == 200
    rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert codes == [[rolled_back] if outer or inner else [], ["REQUIRED_FIELD_MISSING"]]
    assert Lead.all_objects.count() == int(not outer and not inner)
    assert Account.all_objects.count() == int(not outer)
    assert Contact.all_objects.count() == int(not outer and not inner)
    if outer:
        assert found[0]["body"] == found[2]["body"] == HALTED


@pytest.mark.parametrize("outer", [True, False])
def test_a_collection_of_deletions_inside(api, outer):
    stored = Account.objects.create(name="A")
    found = composed(
        api, part("d", "DELETE", f"composite/sobjects?ids={stored.record_id},001000000000001"), allOrNone=outer
    )
    assert [one["success"] for one in found[0]["body"]] == [not outer, False]
    assert Account.objects.exists() is outer


def test_what_the_database_refuses_harms_no_other_part(transactional_db, api):
    parts = [account("a"), part("c", "POST", "sobjects/Contact", {"LastName": "A"}), account("b")]
    with rows_are_refused("crm_contact", when="NEW.last_name = 'A'"):
        found = composed(api, *parts)
        assert statuses(found) == [201, 400, 201]
        assert found[1]["body"][0]["errorCode"] == "FIELD_INTEGRITY_EXCEPTION"
        assert Account.objects.count() == 2
        found = composed(api, *parts, allOrNone=True)
    assert found[0]["body"] == found[2]["body"] == HALTED
    assert found[1]["body"][0]["errorCode"] == "FIELD_INTEGRITY_EXCEPTION"
    assert (Account.all_objects.count(), Contact.all_objects.count()) == (2, 0)


@pytest.fixture
def broken_resource():
    """Resources that write a record and then fail: with a statement that breaks the transaction, and at its commit."""
    before = len(routing._routes)

    def break_transaction(call):
        Lead.objects.create(last_name="A", company="B")
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")
        return Answer()

    def break_commit(call):
        Contact._base_manager.bulk_create([Contact(last_name="A", account_id=999_999)])
        return Answer(status=204)

    routing.resource("broken/transaction", post=break_transaction)
    routing.resource("broken/commit", post=break_commit)
    yield
    del routing._routes[before:]


def test_a_server_error_undoes_everything(transactional_db, api, broken_resource):
    parts = [account("a"), part("x", "POST", "broken/transaction"), account("b")]
    found = composed(api, *parts, allOrNone=True)
    assert statuses(found) == [400, 500, 400]
    assert found[1]["body"][0]["errorCode"] == "UNKNOWN_EXCEPTION"
    assert found[1]["httpHeaders"] == {}
    assert "nowhere" not in str(found)
    assert (Account.all_objects.count(), Lead.all_objects.count()) == (0, 0)
    found = composed(api, *parts)
    assert statuses(found) == [201, 500, 201]
    assert (Account.all_objects.count(), Lead.all_objects.count()) == (2, 0)


def test_a_commit_that_fails_undoes_what_it_was_to_keep(transactional_db, api, broken_resource):
    parts = [account("a"), part("x", "POST", "broken/commit"), account("b")]
    found = composed(api, *parts)
    assert statuses(found) == [201, 500, 201]
    assert found[1]["body"][0]["errorCode"] == "UNKNOWN_EXCEPTION"
    assert (Account.all_objects.count(), Contact.all_objects.count()) == (2, 0)
    answer = api.post("composite", {"compositeRequest": parts, "allOrNone": True})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (500, "UNKNOWN_EXCEPTION")
    assert (Account.all_objects.count(), Contact.all_objects.count()) == (2, 0)


@pytest.mark.parametrize("all_or_none", [True, False])
def test_a_reference_that_means_several_records_is_a_failure(api, all_or_none):
    several = [Contact.objects.create(last_name=name, external_reference="R").record_id for name in "AB"]
    upsert = part("u", "PATCH", "sobjects/Contact/External_Reference__c/R", {"LastName": "X"})
    found = composed(api, account(), upsert, part("r", "GET", "sobjects/Contact/@{u.id}"), allOrNone=all_or_none)
    assert statuses(found) == [400 if all_or_none else 201, 300, 400]
    assert found[1]["body"] == [f"{BASE}/sobjects/Contact/{record_id}" for record_id in several]
    assert Account.objects.exists() is not all_or_none


def test_events_of_what_is_rolled_back_are_not_delivered(api, event_bus):
    publishing = ensure_permission_set("Publish", "Publish", [("event", "publish", EVENT)])
    assign(publishing, User.objects.get(username="clerk"))
    seen = []

    def handle(events):
        seen.extend(event.payload["Error_Code__c"] for event in events)

    def event(code):
        return part("e", "POST", f"sobjects/{EVENT}", {"Principal__c": "P", "Error_Code__c": code})

    with subscribed(handle, EVENT):
        found = composed(api, event("gone"), account("bad", Name=None), allOrNone=True)
        assert found[0]["body"] == HALTED
        found = composed(api, event("kept"), account(), allOrNone=True)
        assert statuses(found) == [201, 201]
        assert found[0]["body"]["success"] is True
        composed(api, event("also kept"), account("bad", Name=None))
        event_bus.deliver()
    assert seen == ["kept", "also kept"]
    assert [payload["Error_Code__c"] for payload in event_bus.published(EVENT)] == seen


def test_changes_of_one_request_share_a_key(transactional_db, api):
    def keys(**given):
        RawChange.objects.all().delete()
        contact = part("c", "POST", "sobjects/Contact", {"LastName": "A", "AccountId": "@{a.id}"})
        composed(api, account(), contact, part("u", "PATCH", "sobjects/Account/@{a.id}", {"Phone": "1"}), **given)
        found = list(RawChange.objects.order_by("id").values_list("object_name", "transaction_key"))
        assert [name for name, _ in found] == ["Account", "Contact", "Account"]
        return {key for _, key in found}

    first, second = keys(allOrNone=True), keys(allOrNone=True)
    assert len(first) == len(second) == 1
    assert first != second
    assert len(keys()) == 3


@pytest.mark.parametrize(
    "path",
    [
        "composite",
        "composite/",
        "composite/batch",
        "composite/graph",
        "composite/tree/Account",
        "Composite/Batch",
        "composite%2Fbatch",
    ],
)
def test_what_cannot_be_a_part(api, path):
    (found,) = composed(api, part("x", "POST", path, {}))
    assert found["httpStatusCode"] in {400, 404}
    assert found["body"][0]["errorCode"] in {"INVALID_INPUT", "NOT_FOUND"}
    assert api.post("composite", {"compositeRequest": [part("x", "POST", path, {})]}).status_code == 200


def test_what_can_be_a_part(api):
    found = composed(
        api,
        part("d", "GET", "sobjects/Account/describe"),
        part("g", "GET", "sobjects"),
        part("u", "PATCH", "sobjects/Contact/External_Reference__c/R", {"LastName": "A"}),
        part("v", "GET", "/services/data/v45.0/sobjects/Contact/External_Reference__c/R"),
        part("m", "PUT", "sobjects/Account"),
        part("q", "GET", "composite/sobjects/Contact?ids=@{u.id}&fields=LastName"),
    )
    assert statuses(found) == [200, 200, 201, 200, 405, 200]
    assert found[3]["body"]["attributes"]["url"].startswith("/services/data/v45.0/")
    assert found[4]["httpHeaders"] == {"Allow": "GET, POST"}
    assert found[5]["body"][0]["LastName"] == "A"


def test_limits(api):
    assert len(composed(api, *(account(f"a{place}") for place in range(25)))) == 25
    answer = api.post("composite", {"compositeRequest": [account(f"a{place}") for place in range(26)]})
    assert refused(answer) == "LIMIT_EXCEEDED"
    paths = ["query?q=x", "queryAll?q=x", "search?q=x", "composite/sobjects/Account?ids=x&fields=Id", "Query/x"]
    five = [part(f"q{place}", "GET", path) for place, path in enumerate(paths)]
    assert len(composed(api, *five)) == 5
    for path in (*paths, "/services/data/v60.0//query/"):
        assert refused(api.post("composite", {"compositeRequest": [*five, part("x", "GET", path)]})) == "LIMIT_EXCEEDED"
    assert Account.objects.count() == 25


OK = part("a", "GET", "sobjects")


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {},
        {"compositeRequest": {}},
        {"compositeRequest": []},
        {"compositeRequest": [None]},
        {"compositeRequest": [OK], "allOrNone": 1},
        {"compositeRequest": [OK], "collateSubrequests": "x"},
        {"compositeRequest": [OK, OK]},
        *(
            {"compositeRequest": [{**OK, **wrong}]}
            for wrong in (
                {"referenceId": None},
                {"referenceId": ""},
                {"referenceId": "_a"},
                {"referenceId": "a-b"},
                {"referenceId": "ä"},
                {"referenceId": "a\n"},
                {"referenceId": 1},
                {"method": "get"},
                {"method": None},
                {"method": ["GET"]},
                {"method": "HEAD"},
                {"url": None},
                {"url": "sobjects"},
                {"url": "/services/data/sobjects"},
                {"url": "/services/data/v99.0/sobjects"},
                {"url": "/services/apexrest/x"},
                {"url": ["/services/data/v60.0/sobjects"]},
                {"httpHeaders": []},
                {"httpHeaders": {"accept": "x"}},
                {"httpHeaders": {"Authorization": "x"}},
                {"httpHeaders": {"Content-type": "x"}},
                {"httpHeaders": {"If-Match": 1}},
            )
        ),
    ],
)
def test_malformed_requests(api, body):
    assert refused(api.post("composite", body)) == "JSON_PARSER_ERROR"


@pytest.mark.parametrize("body", [None, [], "x", 1, {"attributes": 1}, {"Name": {"a": 1}}, {"Name": "@{a"}, {"": 1}])
def test_bad_bodies_of_parts(api, body):
    for method, path in (("POST", "sobjects/Account"), ("POST", "composite/sobjects"), ("PATCH", "sobjects/Account/x")):
        (found,) = composed(api, part("x", method, path, body), allOrNone=True)
        assert found["httpStatusCode"] < 500
