"""simple-salesforce, unmodified, through every operation it has for records, descriptions, queries and search.

Left out: the Bulk API (`bulk`, `bulk2`), which is not part of the record API, SOAP metadata (`mdapi`, `deploy`,
`checkDeployStatus`), the tooling API (`toolingexecute`) and passwords of users (`set_password`), which this platform
does not have. `apexecute` is tested with REST resources, base64 with blobs, logins with OAuth.
"""

from collections import OrderedDict
from datetime import date, timedelta
from decimal import Decimal

import pytest
import requests
from simple_salesforce import Salesforce, SFType, format_soql
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)
from simple_salesforce.format import format_external_id

from crm.models import Account, Case, Contact, Opportunity
from isthmus import clock
from isthmus.access.identity import organization_id, user_id
from tests.integration.records.conftest import OBJECTS, everything_about
from tests.salesforce_front import HOST, behind

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)
REMEMBERED = {"Sforce-Mru": "updateMru=true"}


def codes(caught):
    return caught.value.status, [one["errorCode"] for one in caught.value.content]


def make_accounts(count):
    Account.objects.bulk_create([Account(name=f"A{number:05d}") for number in range(count)])


# --- Salesforce: descriptions and what is not about one object -------------------------------------------------------


def test_describe_lists_the_objects(salesforce):
    found = salesforce.describe()
    assert (found["encoding"], found["maxBatchSize"]) == ("UTF-8", 200)
    listed = {one["name"]: one for one in found["sobjects"]}
    assert {*OBJECTS, "User", "Organization"} <= set(listed)
    account = listed["Account"]
    assert (account["label"], account["labelPlural"], account["keyPrefix"]) == ("Account", "Accounts", "001")
    assert (account["queryable"], account["createable"], account["custom"]) == (True, True, False)
    assert account["urls"]["describe"] == "/services/data/v59.0/sobjects/Account/describe"
    assert account["urls"]["rowTemplate"] == "/services/data/v59.0/sobjects/Account/{ID}"


def test_the_organisation_is_no_sandbox(salesforce):
    assert salesforce.is_sandbox() is False


def test_limits_and_usage(salesforce):
    found = salesforce.limits()
    assert all(set(one) == {"Max", "Remaining"} for one in found.values())
    assert found["DailyApiRequests"]["Remaining"] > 0
    usage = salesforce.api_usage["api-usage"]
    assert 0 <= usage.used < usage.total
    account = salesforce.Account
    account.describe()
    assert account.api_usage["api-usage"].total == usage.total


def test_restful_reaches_every_resource(salesforce, clerk):
    made = salesforce.restful("sobjects/Account", method="POST", json={"Name": "Acme"})
    path = f"sobjects/Account/{made['id']}"
    assert salesforce.restful(path, params={"fields": "Name,Id"})["Name"] == "Acme"
    assert salesforce.restful(path, method="PATCH", json={"Phone": "1"}) is None
    assert salesforce.restful("")["sobjects"] == "/services/data/v59.0/sobjects"
    other = salesforce.restful("sobjects/Account", method="POST", json={"Name": "Bolt"}, headers=REMEMBERED)
    assert salesforce.restful(path, headers=REMEMBERED)["Phone"] == "1"
    assert [one["Id"] for one in salesforce.restful("recent")] == [made["id"], other["id"]]
    assert [one["Id"] for one in salesforce.restful("recent", params={"limit": 1})] == [made["id"]]
    assert salesforce.restful("limits/recordCount", params={"sObjects": "Account"}) == {
        "sObjects": [{"name": "Account", "count": 2}]
    }
    sent = {
        "compositeRequest": [
            {"method": "GET", "referenceId": "a", "url": f"/services/data/v59.0/{path}?fields=Name"},
            {"method": "DELETE", "referenceId": "b", "url": f"/services/data/v59.0/{path}"},
        ]
    }
    answered = salesforce.restful("composite", method="POST", json=sent)["compositeResponse"]
    assert [(one["referenceId"], one["httpStatusCode"]) for one in answered] == [("a", 200), ("b", 204)]
    assert answered[0]["body"]["Name"] == "Acme"
    assert salesforce.restful("query", params={"explain": "SELECT Id FROM Account"})["plans"]
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.restful("nothing/here")
    with pytest.raises(SalesforceGeneralError) as refused:
        salesforce.restful("limits", method="DELETE")
    assert codes(refused) == (405, ["METHOD_NOT_ALLOWED"])


def test_oauth2_tells_who_one_is_and_revokes(salesforce, clerk):
    told = salesforce.oauth2("userinfo")
    assert told["organization_id"] == organization_id()
    assert told["user_id"] == user_id(clerk[0])
    assert salesforce.oauth2("revoke", {"token": salesforce.session_id}, method="POST") is None
    with pytest.raises(SalesforceExpiredSession) as refused:
        salesforce.describe()
    assert codes(refused) == (401, ["INVALID_SESSION_ID"])


# --- Salesforce: queries ---------------------------------------------------------------------------------------------


def test_query_and_what_query_more_takes(salesforce):
    make_accounts(450)
    soql = "SELECT Name FROM Account ORDER BY Name"
    headers = {"Sforce-Query-Options": "batchSize=200"}
    first = salesforce.query(soql, headers=headers)
    assert (first["totalSize"], first["done"], len(first["records"])) == (450, False, 200)
    assert isinstance(first, OrderedDict)
    url = first["nextRecordsUrl"]
    by_url = salesforce.query_more(url, identifier_is_url=True, headers=headers)
    by_id = salesforce.query_more(url.rpartition("/")[2], headers=headers)
    by_query_all = salesforce.query_more(url.rpartition("/")[2], include_deleted=True, headers=headers)
    assert by_url["records"] == by_id["records"] == by_query_all["records"]
    last = salesforce.query_more(by_id["nextRecordsUrl"], identifier_is_url=True)
    assert (last["done"], "nextRecordsUrl" in last, len(last["records"])) == (True, False, 50)
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.query_more("01g000000000000AAA-200")
    assert codes(refused) == (400, ["INVALID_QUERY_LOCATOR"])


def test_query_all_takes_every_page(salesforce):
    make_accounts(2_100)
    soql = "SELECT Name FROM Account ORDER BY Name"
    found = salesforce.query_all(soql)
    assert (found["totalSize"], found["done"]) == (2_100, True)
    assert [one["Name"] for one in found["records"]] == [f"A{number:05d}" for number in range(2_100)]
    lazy = salesforce.query_all_iter(soql, headers={"Sforce-Query-Options": "batchSize=500"})
    assert next(lazy)["Name"] == "A00000"
    assert len(list(lazy)) == 2_099


def test_include_deleted_shows_the_recycle_bin(salesforce):
    make_accounts(250)
    for account in Account.objects.filter(name__gte="A00240"):
        account.delete()
    soql = "SELECT Name, IsDeleted FROM Account ORDER BY Name"
    headers = {"Sforce-Query-Options": "batchSize=200"}
    assert salesforce.query(soql)["totalSize"] == 240
    assert salesforce.query(soql, include_deleted=True)["totalSize"] == 250
    assert len(list(salesforce.query_all_iter(soql, include_deleted=True, headers=headers))) == 250
    found = salesforce.query_all(soql, include_deleted=True, headers=headers)["records"]
    assert [one["Name"] for one in found if one["IsDeleted"]] == [f"A00{number}" for number in range(240, 250)]


def test_format_soql_quotes_what_it_is_given(salesforce):
    name = 'It\'s \\ a "50%_" \n\r\t\b\f line'
    made = salesforce.Opportunity.create(
        {
            "Name": name.replace("\b", "").replace("\f", ""),
            "StageName": "New",
            "CloseDate": "2026-03-01",
            "Amount": 10.5,
        }
    )["id"]
    Opportunity.objects.create(name="Other", stage_name="New", close_date=date(2026, 4, 1))
    stored = Opportunity.objects.get(name__startswith="It's").name

    def ids(soql, *args, **named):
        return [one["Id"] for one in salesforce.query(format_soql(soql, *args, **named))["records"]]

    chosen = "SELECT Id FROM Opportunity WHERE "
    assert ids(chosen + "Name = {}", stored) == [made]
    assert ids(chosen + "Name IN {names} AND StageName = {stage}", names=[stored, "x"], stage="new") == [made]
    assert ids(chosen + "Name LIKE '%{:like}%'", "50%_") == [made]
    assert ids(chosen + "Name LIKE '%{:like}%'", "5_%") == []
    assert ids(chosen + "Amount = {}", 10.5) == [made]
    assert ids(chosen + "CloseDate = {}", date(2026, 3, 1)) == [made]
    moment = clock.now() + MINUTE
    assert len(ids(chosen + "CreatedDate < {}", moment)) == 2
    assert len(ids(chosen + "CreatedDate < {} AND Amount = {}", moment, None)) == 1
    assert len(ids(chosen + "IsDeleted = {} LIMIT {:literal}", False, "1")) == 1
    injected = "x' OR Name != 'x"
    assert ids(chosen + "Name = {}", injected) == []


def test_a_query_that_cannot_be_read(salesforce):
    for soql, code in (
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT Nmae FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Acount", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE Name LIKE 5", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
    ):
        with pytest.raises(SalesforceMalformedRequest) as refused:
            salesforce.query(soql)
        assert codes(refused) == (400, [code])


def test_search_and_quick_search(salesforce):
    made = salesforce.Contact.create({"LastName": "O'Neill-Smith", "Email": "one@example.org"})["id"]
    for found in (
        salesforce.quick_search("neill"),
        salesforce.search("FIND {one@example.org} IN EMAIL FIELDS RETURNING Contact(Id, LastName)"),
    ):
        assert [one["Id"] for one in found["searchRecords"]] == [made]
    assert salesforce.quick_search("nobody") == {"searchRecords": []}
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.search("FIND neill")
    assert codes(refused) == (400, ["MALFORMED_SEARCH"])


# --- SFType: one object ----------------------------------------------------------------------------------------------


def test_metadata_and_describe_of_an_object(salesforce):
    found = salesforce.Contact.metadata()
    assert found["objectDescribe"]["name"] == "Contact"
    assert found["recentItems"] == []
    told = salesforce.Contact.describe()
    fields = {one["name"]: one for one in told["fields"]}
    assert (fields["AccountId"]["type"], fields["AccountId"]["referenceTo"]) == ("reference", ["Account"])
    assert fields["AccountId"]["relationshipName"] == "Account"
    assert fields["External_Reference__c"]["externalId"]
    assert told["childRelationships"]
    with pytest.raises(SalesforceResourceNotFound) as refused:
        salesforce.Nothing__c.describe()
    assert codes(refused) == (404, ["NOT_FOUND"])
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Contact.describe_layout("012000000000000AAA")


def test_a_record_through_its_life(salesforce):
    account = salesforce.Account
    made = account.create({"Name": "Acme", "AnnualRevenue": 12.5}, headers={"Sforce-Auto-Assign": "FALSE"})
    assert made == {"id": Account.objects.get().record_id, "success": True, "errors": []}
    record_id = made["id"]
    assert account.get(record_id, params={"fields": "AnnualRevenue,Name"}) == {
        "attributes": {"type": "Account", "url": f"/services/data/v59.0/sobjects/Account/{record_id}"},
        "AnnualRevenue": 12.5,
        "Name": "Acme",
    }
    assert account.get(record_id[:15])["Id"] == record_id
    assert account.update(record_id, {"Name": "Bolt"}) == 204
    response = account.update(record_id, {"Name": "Cog"}, raw_response=True)
    assert isinstance(response, requests.Response)
    assert (response.status_code, response.content, "Content-Type" in response.headers) == (204, b"", False)
    response = account.delete(record_id, raw_response=True)
    assert (response.status_code, response.content) == (204, b"")
    for gone in (account.get, account.delete, lambda one: account.update(one, {"Name": "Dam"})):
        with pytest.raises(SalesforceResourceNotFound):
            gone(record_id)
    assert Account.all_objects.get().name == "Cog"


def test_external_ids(salesforce):
    contact = salesforce.Contact
    path = format_external_id("External_Reference__c", "R/1 ü+&?#%")
    response = contact.upsert(path, {"LastName": "Ann"}, raw_response=True)
    assert response.status_code == 201
    assert response.json() == {"id": Contact.objects.get().record_id, "success": True, "errors": [], "created": True}
    assert contact.upsert(path, {"LastName": "Bob"}) == 200
    assert contact.get(path)["LastName"] == "Bob"
    assert Contact.objects.get().external_reference == "R/1 ü+&?#%"
    assert contact.upsert(f"Id/{response.json()['id']}", {"LastName": "Cem"}) in {200, 204}
    assert contact.update(path, {"LastName": "Dan"}) == 200
    contact.upsert("External_Reference__c/R-2", {"LastName": "Eve"})
    found = contact.get_by_custom_id("External_Reference__c", "r-2", params={"fields": "LastName"})
    assert (found["LastName"], "Id" in found) == ("Eve", False)
    assert contact.delete("External_Reference__c/R-2") == 204
    with pytest.raises(SalesforceResourceNotFound):
        contact.get_by_custom_id("External_Reference__c", "R-2")
    Contact.objects.create(last_name="Fay", external_reference="r-3")
    Contact.objects.create(last_name="Gus", external_reference="R-3")
    for ambiguous in (
        lambda: contact.get_by_custom_id("External_Reference__c", "R-3"),
        lambda: contact.upsert("External_Reference__c/R-3", {"LastName": "Hal"}),
        lambda: contact.delete("External_Reference__c/R-3"),
    ):
        with pytest.raises(SalesforceMoreThanOneRecord) as refused:
            ambiguous()
        assert refused.value.status == 300
        assert [one.rpartition("/")[0] for one in refused.value.content] == [
            "/services/data/v59.0/sobjects/Contact"
        ] * 2


def test_a_parent_is_named_by_its_external_id(salesforce):
    Account.objects.create(name="Acme", external_reference="A-1")
    salesforce.Contact.create({"LastName": "Ann", "Account": {"External_Reference__c": "A-1"}})
    assert Contact.objects.get().account.name == "Acme"


def test_what_was_deleted_and_updated(salesforce):
    first, second = (salesforce.Account.create({"Name": name})["id"] for name in "AB")
    salesforce.Account.delete(first)
    now = clock.now()
    assert salesforce.Account.updated(now - MINUTE, now + MINUTE)["ids"] == [second]
    [told] = salesforce.Account.deleted(now - MINUTE, now + MINUTE)["deletedRecords"]
    assert told["id"] == first
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.Account.updated(now - timedelta(days=40), now)
    assert codes(refused) == (400, ["INVALID_REPLICATION_DATE"])


def test_conditional_requests(salesforce):
    record_id = salesforce.Account.create({"Name": "Acme"})["id"]
    response = salesforce.session.get(
        f"https://{HOST}/services/data/v59.0/sobjects/Account/{record_id}", headers=salesforce.headers
    )
    tag = response.headers["ETag"]
    assert salesforce.Account.update(record_id, {"Phone": "1"}, headers={"If-Match": tag}) == 204
    with pytest.raises(SalesforceGeneralError) as refused:
        salesforce.Account.update(record_id, {"Phone": "2"}, headers={"If-Match": tag})
    assert codes(refused) == (412, ["PRECONDITION_FAILED"])
    assert Account.objects.get().phone == "1"
    with pytest.raises(SalesforceGeneralError) as unchanged:
        salesforce.Account.get(record_id, headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})
    assert unchanged.value.status == 304


def test_numbers_are_read_as_the_caller_wants(salesforce, api, live_server):
    record_id = salesforce.Account.create({"Name": "Acme", "AnnualRevenue": "1234567890.55"})["id"]
    client = Salesforce(
        instance_url=f"https://{HOST}",
        session_id=api.token,
        session=behind(requests.Session(), live_server),
        parse_float=Decimal,
        version="67.0",
    )
    [found] = client.query(f"SELECT AnnualRevenue FROM Account WHERE Id = '{record_id}'")["records"]
    assert found["AnnualRevenue"] == Decimal("1234567890.55")
    assert found["attributes"]["url"].startswith("/services/data/v67.0/")


def test_an_object_type_works_by_itself(api, live_server, settings):
    settings.BASE_URL = f"https://{HOST}"
    kind = SFType("Case", api.token, HOST, session=behind(requests.Session(), live_server))
    made = kind.create({"Subject": "No power"})["id"]
    assert kind.get(made)["Subject"] == "No power"


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "told"),
    [
        ({}, "REQUIRED_FIELD_MISSING", ["LastName"]),
        ({"LastName": "A", "Nmae": "B"}, "INVALID_FIELD", None),
        ({"LastName": "A", "Email": "no address"}, "INVALID_EMAIL_ADDRESS", ["Email"]),
        ({"LastName": "A" * 81}, "STRING_TOO_LONG", ["LastName"]),
        ({"LastName": "A", "AccountId": "001000000000001AAA"}, "INVALID_CROSS_REFERENCE_KEY", ["AccountId"]),
        ({"LastName": "A", "AccountId": "x"}, "MALFORMED_ID", ["AccountId"]),
        ({"LastName": "A", "Birthdate": "soon"}, "INVALID_TYPE_ON_FIELD_IN_RECORD", ["Birthdate"]),
        ({"LastName": "A", "CreatedDate": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["CreatedDate"]),
    ],
)
def test_what_is_wrong_with_a_record_is_told(salesforce, fields, code, told):
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.Contact.create(fields)
    [error] = refused.value.content
    assert (refused.value.status, error["errorCode"]) == (400, code)
    assert told is None or error["fields"] == told
    assert not Contact.all_objects.exists()


def test_a_reader_may_not_write(make_caller, make_salesforce):
    reads = [("object", "read", "Account"), ("field", "read", "Account.*")]
    reader = make_salesforce(make_caller("reader", reads)[1].token)
    record_id = Account.objects.create(name="Acme").record_id
    assert reader.Account.get(record_id)["Name"] == "Acme"
    for attempt in (
        lambda: reader.Account.create({"Name": "B"}),
        lambda: reader.Account.update(record_id, {"Name": "B"}),
        lambda: reader.Account.delete(record_id),
    ):
        with pytest.raises(SalesforceRefusedRequest) as refused:
            attempt()
        assert codes(refused) == (403, ["INSUFFICIENT_ACCESS"])
    with pytest.raises(SalesforceMalformedRequest) as refused:
        reader.query("SELECT Id FROM Case")
    assert codes(refused) == (400, ["INVALID_TYPE"])
    with pytest.raises(SalesforceResourceNotFound):
        reader.Case.get(Case.objects.create(subject="No").record_id)
    assert [one.name for one in Account.objects.all()] == ["Acme"]


def test_more_calls_than_are_left(make_caller, make_salesforce, settings):
    settings.ISTHMUS_ACCESS_DAILY_API_REQUESTS = 1
    client = make_salesforce(make_caller("busy", everything_about("Account"))[1].token)
    client.limits()
    with pytest.raises(SalesforceRefusedRequest) as refused:
        client.limits()
    assert codes(refused) == (403, ["REQUEST_LIMIT_EXCEEDED"])
