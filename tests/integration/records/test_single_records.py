"""Single records through simple-salesforce, unmodified, and what is refused."""

import threading

import pytest
from django.db import connections
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from crm.models import Account, Case, Contact
from isthmus.access import api_use
from tests.integration.records.conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_record_is_created_read_changed_and_deleted(salesforce):
    made = salesforce.Account.create({"Name": "Acme", "NumberOfEmployees": "12", "Industry": ""})
    assert made == {"id": Account.objects.get().record_id, "success": True, "errors": []}
    found = salesforce.Account.get(made["id"])
    assert next(iter(found)) == "attributes"
    assert found["attributes"] == {"type": "Account", "url": f"/services/data/v59.0/sobjects/Account/{made['id']}"}
    assert (found["Name"], found["NumberOfEmployees"], found["Industry"]) == ("Acme", 12, None)
    assert found["CreatedDate"].endswith("+0000")
    assert salesforce.Account.update(made["id"], {"Phone": "1"}) == 204
    assert Account.objects.get().phone == "1"
    assert salesforce.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        salesforce.Account.get(made["id"])
    with pytest.raises(SalesforceResourceNotFound, match="entity is deleted"):
        salesforce.Account.delete(made["id"])


def test_an_upsert_creates_updates_or_is_ambiguous(salesforce):
    path = "External_Reference__c/R/1"
    assert salesforce.Contact.upsert(path, {"LastName": "Ann"}) == 201
    assert salesforce.Contact.upsert(path, {"LastName": "Bob"}) == 200
    contact = Contact.objects.get()
    assert (contact.last_name, contact.external_reference) == ("Bob", "R/1")
    assert salesforce.Contact.get_by_custom_id("External_Reference__c", "r/1")["LastName"] == "Bob"
    other = Contact.objects.create(last_name="Cem", external_reference="R/1")
    with pytest.raises(SalesforceMoreThanOneRecord) as refused:
        salesforce.Contact.upsert(path, {"LastName": "Dan"})
    paths = [f"/services/data/v59.0/sobjects/Contact/{one.record_id}" for one in (contact, other)]
    assert refused.value.content == paths


def test_a_case_has_its_reference_once(api):
    path = "sobjects/Case/External_Reference__c/R-1"
    first = api.patch(path, {"Subject": "No power"})
    assert first.status_code == 201
    assert first.json() == {"id": Case.objects.get().record_id, "success": True, "errors": [], "created": True}
    assert first["Location"].endswith(f"/sobjects/Case/{Case.objects.get().record_id}")
    again = api.post("sobjects/Case", {"Subject": "Again", "External_Reference__c": "r-1"})
    assert (again.status_code, again.json()[0]["errorCode"]) == (400, "DUPLICATE_VALUE")
    assert api.patch(f"{path}0?updateOnly=true", {"Subject": "X"}).status_code == 404
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


def test_what_the_address_gives_is_not_in_the_body(api):
    account = Account.objects.create(name="Acme")
    answer = api.patch(f"sobjects/Account/{account.record_id}", {"Id": account.record_id, "Name": "X"})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_FIELD")
    answer = api.patch("sobjects/Case/External_Reference__c/R", {"external_reference__C": "R"})
    assert answer.json() == [
        {
            "message": "The External_Reference__c field should not be specified in the sobject data.",
            "errorCode": "INVALID_FIELD",
            "fields": ["External_Reference__c"],
        }
    ]


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
@pytest.mark.parametrize("record_id", ["nonsense", "001000000000001", "003000000000001AAA", "001zzzzzzzzzzzz"])
def test_a_record_that_is_not_there_is_404(api, method, record_id):
    answer = api.send(method.upper(), f"sobjects/Account/{record_id}", {"Name": "X"} if method == "patch" else None)
    assert answer.status_code == 404
    assert answer.json()[0]["errorCode"] in {"NOT_FOUND", "MALFORMED_ID", "INVALID_CROSS_REFERENCE_KEY"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "JSON_PARSER_ERROR"),
        (b"[]", "JSON_PARSER_ERROR"),
        (b"", "JSON_PARSER_ERROR"),
        (b"\xff\xfe", "JSON_PARSER_ERROR"),
        (b'{"Name": NaN}', "JSON_PARSER_ERROR"),
        (b'{"Name": ' + b"[" * 100_000, "JSON_PARSER_ERROR"),
        (b'{"Name": ' + b"[" * 100 + b"]" * 100 + b"}", "JSON_PARSER_ERROR"),
        (b'{"Name": 1' + b"0" * 6_000 + b"}", "JSON_PARSER_ERROR"),
        ({"Nmae": "X"}, "INVALID_FIELD"),
        ({"Name": None}, "REQUIRED_FIELD_MISSING"),
        ({"Name": "x" * 256}, "STRING_TOO_LONG"),
        ({"Name": ["x"]}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ({"Name": "X", "NumberOfEmployees": "many"}, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ({"Name": "X", "NumberOfEmployees": 10**30}, "NUMBER_OUTSIDE_VALID_RANGE"),
        ({"Name": "X", "ParentId": "001000000000001"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"Name": "X", "ParentId": "no id"}, "MALFORMED_ID"),
        ({"Name": "X", "CreatedDate": "2020-01-01"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ],
)
def test_bad_input_is_refused_by_name(api, body, code):
    answer = api.post("sobjects/Account", body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)
    assert not Account.objects.exists()


def test_conditions_of_a_request(api):
    account = Account.objects.create(name="Acme")
    path = f"sobjects/Account/{account.record_id}"
    first = api.get(path)
    unchanged = api.send("GET", path, If_None_Match=first["ETag"])
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", first["ETag"])
    assert "Content-Type" not in unchanged
    assert api.send("GET", path, If_Modified_Since=first["Last-Modified"]).status_code == 304
    assert api.send("GET", path, If_Modified_Since="nonsense").status_code == 200
    assert api.patch(path, {"Phone": "1"}, If_Match=first["ETag"]).status_code == 204
    refused = api.patch(path, {"Phone": "2"}, If_Match=first["ETag"])
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (412, "PRECONDITION_FAILED")
    assert api.patch(path, {"Phone": "2"}, If_Match="*").status_code == 204
    assert api.patch(path, {"Phone": "3"}, If_Unmodified_Since="nonsense").status_code == 400
    assert api.patch(path, {"Phone": "3"}, If_Unmodified_Since="Thu, 01 Jan 2015 00:00:00 GMT").status_code == 412
    assert Account.objects.get().phone == "2"


def test_who_may_not(api, make_caller):
    account = Account.objects.create(name="Acme", phone="1", industry="Energy")
    _, stranger = make_caller("stranger", [])
    assert stranger.get(f"sobjects/Account/{account.record_id}").status_code == 404
    assert stranger.post("sobjects/Account", {"Name": "X"}).status_code == 404
    assert [one["name"] for one in stranger.get("sobjects").json()["sobjects"]] == ["Organization"]
    _, reader = make_caller("reader", [("object", "read", "Account"), ("field", "read", "Account.Phone")])
    found = reader.get(f"sobjects/Account/{account.record_id}").json()
    assert found["Phone"] == "1"
    assert "Industry" not in found
    refused = reader.get(f"sobjects/Account/{account.record_id}", fields="Name,Industry")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_FIELD")
    assert reader.patch(f"sobjects/Account/{account.record_id}", {"Phone": "2"}).status_code == 403
    assert reader.delete(f"sobjects/Account/{account.record_id}").status_code == 403


def test_sessions_and_addresses(api, make_salesforce):
    with pytest.raises(SalesforceExpiredSession):
        make_salesforce("00D000000000001!no.token").describe()
    assert api.send("GET", "/services/data").json()[-1]["version"] == "67.0"
    assert api.send("GET", "/services/data/").json()[0]["version"] == "58.0"
    for path in ("/services/data/v60.0", "/services/data/v60.0/", "/services/data/v60.0/sobjects/Account/describe/"):
        assert api.send("GET", path).status_code == 200
    for path in (
        "/services/data/v99.0/limits",
        "/services/data/v1.0",
        "/services/data/v60.0/nothing",
        "/services/datax",
    ):
        answer = api.send("GET", path)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")
    refused = api.send("PUT", "sobjects/Account")
    assert (refused.status_code, refused["Allow"]) == (405, "GET, POST")


def test_every_request_is_counted(api):
    answer = api.get("sobjects")
    used, allowed = answer["Sforce-Limit-Info"].removeprefix("api-usage=").split("/")
    assert (used, allowed) == ("1", str(api_use.allowance()))
    assert answer["Content-Type"] == "application/json;charset=UTF-8"
    assert api.get("sobjects/Account/nonsense")["Sforce-Limit-Info"].startswith("api-usage=2/")


def test_refusals_are_told_as_the_clients_read_them(salesforce):
    with pytest.raises(SalesforceMalformedRequest) as refused:
        salesforce.Lead.create({"FirstName": "Ann"})
    assert [one["errorCode"] for one in refused.value.content] == ["REQUIRED_FIELD_MISSING"]
    assert sorted(refused.value.content[0]["fields"]) == ["Company", "LastName"]


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2020 00:00:00 +9999999999"]
)
def test_a_date_beyond_the_calendar_is_none(api, date):
    account = Account.objects.create(name="Acme")
    path = f"sobjects/Account/{account.record_id}"
    assert api.send("GET", path, If_Modified_Since=date).status_code == 200
    assert api.patch(path, {"Phone": "1"}, If_Unmodified_Since=date).status_code == 400


@pytest.mark.parametrize(
    "path", ["event/eventSchema/%00", "sobjects/%00", "sobjects/Account/%00", "sobjects/%00/eventSchema"]
)
def test_a_nul_in_the_address_names_nothing(api, path):
    assert api.send("GET", path).status_code == 404


def test_nobody_comes_between_a_condition_and_its_write(api):
    """Of several who read the same version and write if it is unchanged, one writes."""
    account = Account.objects.create(name="Acme", phone="0")
    path = f"sobjects/Account/{account.record_id}"
    tag = api.get(path)["ETag"]
    start, statuses = threading.Barrier(4), []

    def write(number):
        start.wait()
        statuses.append(Api(api.token).send("PATCH", path, {"Phone": str(number)}, If_Match=tag).status_code)
        connections.close_all()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [204, 412, 412, 412]
