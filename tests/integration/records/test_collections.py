"""Collections of records: created, changed, upserted, deleted and read in one request."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.models import Account, Case, Contact, Lead
from isthmus.objects.models import ObjectSharing
from tests.integration.records.conftest import everything_about

pytestmark = pytest.mark.django_db

PATH = "composite/sobjects"
ROLLED_BACK = {
    "statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "message": "Record rolled back because not all records were valid and the request was using AllOrNone header",
    "fields": [],
}
REFERENCE = "External_Reference__c"


def of(kind, **values):
    return {"attributes": {"type": kind}, **values}


def created(api, *records, **given):
    answer = api.post(PATH, {"records": list(records), **given})
    assert answer.status_code == 200, answer.content
    return answer.json()


def codes(results):
    return [[error["statusCode"] for error in result["errors"]] for result in results]


def refused(answer):
    assert answer.status_code == 400, answer.content
    (error,) = answer.json()
    return error["errorCode"]


def test_simple_salesforce_writes_and_reads_collections(transactional_db, salesforce):
    def ask(method, path, **given):
        return salesforce.restful(path, method=method, **given)

    made = ask("POST", PATH, json={"allOrNone": None, "records": [of("Account", Name="A"), of("Lead", LastName="B")]})
    account, lead = made
    assert account == {"id": Account.objects.get().record_id, "success": True, "errors": []}
    assert lead["success"] is False
    assert lead["errors"][0]["fields"] == ["Company"]
    contact = Contact.objects.create(last_name="C", external_reference="R-1")
    changed = ask("PATCH", PATH, json={"records": [of("Account", id=account["id"], Phone="1")]})
    assert changed == [{"id": account["id"], "success": True, "errors": []}]
    records = [of("Contact", LastName="D", **{REFERENCE: "r-1"}), {"LastName": "E", REFERENCE: "R-2"}]
    upserted = ask("PATCH", f"{PATH}/Contact/{REFERENCE}", json={"records": records})
    assert [one["created"] for one in upserted] == [False, True]
    assert upserted[0] == {"id": contact.record_id, "success": True, "errors": [], "created": False}
    read = ask("GET", f"{PATH}/Contact", params={"ids": contact.record_id, "fields": "LastName,Id"})
    url = f"/services/data/v59.0/sobjects/Contact/{contact.record_id}"
    attributes = {"type": "Contact", "url": url}
    assert read == [{"attributes": attributes, "LastName": "D", "Id": contact.record_id}]
    gone = ask("DELETE", PATH, params={"ids": f"{account['id']},{contact.record_id}", "allOrNone": "true"})
    assert gone == [{"id": one, "success": True, "errors": []} for one in (account["id"], contact.record_id)]
    assert not Account.objects.exists()


def test_mixed_objects_keep_their_order(api):
    results = created(
        api, of("Account", Name="A"), of("Contact", LastName="B"), of("account", Name="C"), of("Nothing__c", Name="D")
    )
    assert [(one.get("id") or "")[:3] for one in results] == ["001", "003", "001", ""]
    assert codes(results) == [[], [], [], ["NOT_FOUND"]]


@pytest.mark.parametrize("given", [{}, {"allOrNone": None}, {"allOrNone": False}, {"allOrNone": "false"}])
def test_without_all_or_none_sound_records_stay(api, given):
    results = created(api, of("Account", Name="A"), of("Account"), of("Lead", LastName="B"), **given)
    assert codes(results) == [[], ["REQUIRED_FIELD_MISSING"], ["REQUIRED_FIELD_MISSING"]]
    assert results[1] == {"success": False, "errors": results[1]["errors"]}
    assert Account.objects.count() == 1


def test_all_or_none_undoes_every_object(api):
    records = [
        of("Contact", LastName="A"),
        of("Account", Name="B"),
        of("Account"),
        of("Lead", LastName="C", Company="D"),
    ]
    results = created(api, *records, allOrNone=True)
    assert codes(results) == [
        [ROLLED_BACK["statusCode"]],
        [ROLLED_BACK["statusCode"]],
        ["REQUIRED_FIELD_MISSING"],
        [ROLLED_BACK["statusCode"]],
    ]
    assert results[0] == results[3] == {"success": False, "errors": [ROLLED_BACK]}
    assert not any(model.objects.exists() for model in (Account, Contact, Lead))


def test_all_or_none_undoes_changes_and_deletions(api):
    account, other = Account.objects.create(name="A"), Account.objects.create(name="B")
    lead = Lead.objects.create(last_name="C", company="D")
    records = [of("Account", Id=account.record_id, Name="X"), of("Lead", Id=lead.record_id, Company=None)]
    answer = api.patch(PATH, {"allOrNone": True, "records": records}).json()
    assert codes(answer) == [[ROLLED_BACK["statusCode"]], ["REQUIRED_FIELD_MISSING"]]
    assert answer[0]["id"] == account.record_id
    ids = ",".join([other.record_id, lead.record_id, "00Qzz0000000001", account.record_id])
    answer = api.delete(PATH, ids=ids, allOrNone="true").json()
    expected = [ROLLED_BACK["statusCode"], ROLLED_BACK["statusCode"], "INVALID_CROSS_REFERENCE_KEY"]
    assert [code for (code,) in codes(answer)] == [*expected, ROLLED_BACK["statusCode"]]
    account.refresh_from_db()
    assert (account.name, Account.objects.count(), Lead.objects.count()) == ("A", 2, 1)


def test_a_record_that_comes_twice_is_refused_the_second_time(api):
    account = Account.objects.create(name="A")
    twice = [of("Account", Id=account.record_id, Name="X"), of("Account", Id=account.record_id[:15], Name="Y")]
    answer = api.patch(PATH, {"records": twice}).json()
    assert codes(answer) == [[], ["DUPLICATE_VALUE"]]
    assert answer[1]["errors"][0]["message"] == f"duplicate id specified: {account.record_id}"
    assert Account.objects.get().name == "X"
    rows = [{REFERENCE: "R", "Subject": "1"}, {REFERENCE: "r", "Subject": "2"}]
    answer = api.patch(f"{PATH}/Case/{REFERENCE}", {"records": rows}).json()
    assert codes(answer) == [[], ["DUPLICATE_VALUE"]]
    assert Case.objects.get().subject == "1"
    answer = api.delete(PATH, ids=f"{account.record_id},{account.record_id}").json()
    assert codes(answer) == [[], ["DUPLICATE_VALUE"]]


def test_an_upsert_by_id_and_by_an_ambiguous_reference(api):
    first, _ = (Contact.objects.create(last_name=name, external_reference="R") for name in "AB")
    answer = api.patch(f"{PATH}/Contact/{REFERENCE}", {"records": [{REFERENCE: "R", "LastName": "C"}]}).json()
    assert codes(answer) == [["DUPLICATE_EXTERNAL_ID"]]
    assert answer[0]["created"] is False
    rows = [{"Id": first.record_id, "LastName": "D"}, {"LastName": "E"}, {REFERENCE: "x"}]
    answer = api.patch(f"{PATH}/contact/id", {"records": rows}).json()
    assert [(one["success"], one["created"]) for one in answer] == [(True, False), (True, True), (False, False)]
    assert api.patch(f"{PATH}/Contact/LastName", {"records": []}).status_code == 404
    assert api.patch(f"{PATH}/Nothing__c/Id", {"records": []}).status_code == 404
    assert refused(api.patch(f"{PATH}/Contact/Id", {"records": [of("Account", Name="X")]})) == "JSON_PARSER_ERROR"


def test_reading_gives_null_for_what_is_missing(api):
    one, two, gone = (Account.objects.create(name=name) for name in "ABC")
    contact = Contact.objects.create(last_name="D")
    gone.delete()
    wanted = [two.record_id, gone.record_id, contact.record_id, one.record_id[:15], "001zzzzzzzzzzzz", two.record_id]
    with CaptureQueriesContext(connection) as captured:
        answer = api.post(f"{PATH}/account", {"ids": wanted, "fields": ["name"]}).json()
    assert [found and found["Name"] for found in answer] == ["B", None, None, "A", None, "B"]
    assert sum('"crm_' in query["sql"] for query in captured.captured_queries) == 1
    assert api.get(f"{PATH}/Account", ids=",".join(wanted), fields="Name").json() == answer
    assert api.post(f"{PATH}/Account", {"ids": [], "fields": ["Id"]}).json() == []


def test_reading_is_for_those_who_may(api, make_caller):
    mine, others = (Account.objects.create(name=name) for name in "AB")
    owner, reader = make_caller("reader", [("object", "read", "Account"), ("field", "read", "Account.Phone")])
    Account.objects.filter(pk=mine.pk).update(owner=owner)
    ids = f"{mine.record_id},{others.record_id}"
    assert None not in reader.get(f"{PATH}/Account", ids=ids, fields="Id,Phone").json()
    assert refused(reader.get(f"{PATH}/Account", ids=ids, fields="Id,Industry")) == "INVALID_FIELD"
    ObjectSharing.objects.create(object_name="Account", default="private")
    found = reader.get(f"{PATH}/Account", ids=ids, fields="Name").json()
    assert [one and one["Name"] for one in found] == ["A", None]
    assert reader.get(f"{PATH}/Contact", ids=ids, fields="Name").status_code == 404


def test_refusals_of_a_whole_object_are_told_by_record(make_caller):
    _, writer = make_caller("writer", [*everything_about("Account"), ("object", "read", "Contact")])
    lead = Lead.objects.create(last_name="A", company="B")
    results = created(
        writer, of("Account", Name="A"), of("Contact", LastName="B"), of("Lead", LastName="B", Company="C")
    )
    assert codes(results) == [[], ["INSUFFICIENT_ACCESS"], ["NOT_FOUND"]]
    answer = writer.patch(PATH, {"records": [of("Lead", Id=lead.record_id, LastName="X")]}).json()
    unknown = writer.patch(PATH, {"records": [of("Nothing", Id=lead.record_id, LastName="X")]}).json()
    assert answer == unknown
    answer = writer.delete(PATH, ids=f"{lead.record_id},zzz000000000001").json()
    assert answer[0] == answer[1]
    assert codes(answer)[0] == ["INVALID_CROSS_REFERENCE_KEY"]
    assert Lead.objects.filter(last_name="A").exists()


@pytest.mark.parametrize("method", ["POST", "PATCH", "UPSERT", "DELETE"])
def test_statements_do_not_grow_with_records(api, method):
    def statements(count):
        made = [Account.objects.create(name=f"A{place}") for place in range(count)]
        rows = [of("Account", Id=one.record_id, Name="X", Phone=str(one.pk)) for one in made]
        with CaptureQueriesContext(connection) as captured:
            if method == "DELETE":
                answer = api.delete(PATH, ids=",".join(one.record_id for one in made))
            elif method == "UPSERT":
                given = [{REFERENCE: f"{count}-{place}", "Name": "X"} for place in range(count)]
                answer = api.patch(f"{PATH}/Account/{REFERENCE}", {"records": given})
            else:
                given = rows if method == "PATCH" else [of("Account", Name=str(place)) for place in range(count)]
                answer = api.send(method, PATH, {"records": given})
        assert len(answer.json()) == count
        assert all(result["success"] for result in answer.json())
        return len(captured.captured_queries)

    assert statements(3) == statements(120)


def test_limits(api):
    account = of("Account", Name="A")
    assert len(created(api, *[account] * 200)) == 200
    assert refused(api.post(PATH, {"records": [account] * 201})) == "EXCEEDED_ID_LIMIT"
    assert refused(api.patch(f"{PATH}/Account/{REFERENCE}", {"records": [{}] * 201})) == "EXCEEDED_ID_LIMIT"
    ids = ["001000000000001"] * 2_001
    assert refused(api.delete(PATH, ids=",".join(ids[:201]))) == "EXCEEDED_ID_LIMIT"
    assert refused(api.get(f"{PATH}/Account", ids=",".join(ids[:801]), fields="Id")) == "EXCEEDED_ID_LIMIT"
    assert refused(api.post(f"{PATH}/Account", {"ids": ids, "fields": ["Id"]})) == "EXCEEDED_ID_LIMIT"
    assert api.get(f"{PATH}/Account", ids=",".join(ids[:800]), fields="Id").status_code == 200
    assert api.post(f"{PATH}/Account", {"ids": ids[:2_000], "fields": ["Id"]}).status_code == 200
    mixed = [account, of("Contact", LastName="B")] * 5
    assert all(result["success"] for result in created(api, *mixed))
    before = Account.objects.count()
    assert refused(api.post(PATH, {"records": [*mixed, account]})) == "EXCEEDED_MAX_TYPES_LIMIT"
    assert Account.objects.count() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, []),
        ("POST", PATH, {}),
        ("POST", PATH, {"records": {}}),
        ("POST", PATH, {"records": [1]}),
        ("POST", PATH, {"records": [{"Name": "A"}]}),
        ("POST", PATH, {"records": [{"attributes": {}, "Name": "A"}]}),
        ("POST", PATH, {"records": [{"attributes": {"type": 1}, "Name": "A"}]}),
        ("POST", PATH, {"records": [], "allOrNone": "perhaps"}),
        ("PATCH", PATH, {"records": [{"Id": "001000000000001"}]}),
        ("PATCH", f"{PATH}/Account/{REFERENCE}", {"records": [{"attributes": 1}]}),
        ("POST", f"{PATH}/Account", {"ids": "001000000000001", "fields": ["Id"]}),
        ("POST", f"{PATH}/Account", {"ids": ["001000000000001"]}),
        ("POST", f"{PATH}/Account", {"ids": ["001000000000001"], "fields": []}),
        ("POST", f"{PATH}/Account", {"ids": [1], "fields": ["Id"]}),
    ],
)
def test_malformed_requests(api, method, path, body):
    assert refused(api.send(method, path, body)) == "JSON_PARSER_ERROR"


def test_wrong_ids_and_missing_parameters(api):
    assert refused(api.delete(PATH)) == "INVALID_PARAMETER"
    assert refused(api.get(f"{PATH}/Account", fields="Id")) == "INVALID_PARAMETER"
    assert refused(api.get(f"{PATH}/Account", ids="001000000000001")) == "INVALID_PARAMETER"
    assert refused(api.get(f"{PATH}/Account", ids="nonsense", fields="Id")) == "MALFORMED_ID"
    assert codes(api.delete(PATH, ids="nonsense,003000000000001").json()) == [
        ["MALFORMED_ID"],
        ["INVALID_CROSS_REFERENCE_KEY"],
    ]
    given = [of("Account", Name="A"), of("Account", Id="003000000000001"), of("Account", Id={"a": 1})]
    answer = api.patch(PATH, {"records": given}).json()
    assert codes(answer) == [["MISSING_ARGUMENT"], ["MALFORMED_ID"], ["MALFORMED_ID"]]
    assert api.send("PUT", PATH, {}).status_code == 405
