"""Batches: parts that have nothing to do with each other."""

import pytest

from crm.models import Account, Contact
from tests.integration.records.conftest import BASE
from tests.integration.records.test_composite import refused

pytestmark = pytest.mark.django_db

HALTED = {
    "statusCode": 412,
    "result": [
        {
            "errorCode": "BATCH_PROCESSING_HALTED",
            "message": "Batch processing halted per request since a prior subrequest failed.",
        }
    ],
}


def one(method, url, body=None):
    return {"method": method, "url": url, **({} if body is None else {"richInput": body})}


def batched(api, *parts, **given):
    answer = api.post("composite/batch", {"batchRequests": list(parts), **given})
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["hasErrors"] == any(result["statusCode"] >= 300 for result in found["results"])
    return found["results"]


def new(name="Acme"):
    return one("POST", "v60.0/sobjects/Account", {"Name": name})


def test_simple_salesforce_sends_a_batch(transactional_db, salesforce):
    stored = Account.objects.create(name="A")
    parts = [
        one("PATCH", f"v59.0/sobjects/Account/{stored.record_id}", {"Phone": "1"}),
        one("GET", f"{BASE}/sobjects/Account/{stored.record_id}?fields=Phone"),
        one("POST", "//services/data/v59.0/composite/sobjects/Account", {"ids": [stored.record_id], "fields": ["Id"]}),
        new(None),
        new("@{a.id}"),
    ]
    found = salesforce.restful("composite/batch", method="POST", json={"batchRequests": parts})
    assert found["hasErrors"] is True
    results = found["results"]
    assert [result["statusCode"] for result in results] == [204, 200, 200, 400, 201]
    assert results[0]["result"] is None
    assert results[1]["result"]["Phone"] == "1"
    assert results[3]["result"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert results[4]["result"]["id"] == Account.objects.get(name="@{a.id}").record_id


def test_each_part_is_kept_by_itself(api):
    found = batched(api, new("A"), new(None), new("B"), haltOnError=False)
    assert [result["statusCode"] for result in found] == [201, 400, 201]
    assert [stored.name for stored in Account.objects.order_by("pk")] == ["A", "B"]


def test_a_batch_halts_where_it_is_told_to(api):
    found = batched(api, new("A"), new(None), new("B"), one("GET", "v60.0/sobjects"), haltOnError=True)
    assert [result["statusCode"] for result in found] == [201, 400, 412, 412]
    assert found[2:] == [HALTED, HALTED]
    assert [stored.name for stored in Account.objects.all()] == ["A"]
    assert "BATCH_PROCESSING_HALTED" not in str(batched(api, new("A"), new("B"), haltOnError=True))


@pytest.mark.parametrize(
    "path", ["composite", "composite/batch", "composite/graph", "composite/tree/Account", "nothing"]
)
def test_what_cannot_be_a_part(api, path):
    (found,) = batched(api, one("POST", f"v60.0/{path}", {}))
    assert found["statusCode"] in {400, 404}
    assert found["result"][0]["errorCode"] in {"INVALID_INPUT", "NOT_FOUND"}


def test_limits(api):
    assert len(batched(api, *[new()] * 25)) == 25
    assert refused(api.post("composite/batch", {"batchRequests": [new()] * 26})) == "LIMIT_EXCEEDED"
    assert Account.objects.count() == 25


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"batchRequests": {}},
        {"batchRequests": []},
        {"batchRequests": [1]},
        {"batchRequests": [new()], "haltOnError": "x"},
        {"batchRequests": [{}]},
        {"batchRequests": [{"method": "GET"}]},
        {"batchRequests": [{"url": "v60.0/sobjects"}]},
        {"batchRequests": [one("get", "v60.0/sobjects")]},
        {"batchRequests": [one("GET", "sobjects")]},
        {"batchRequests": [one("GET", "v99.0/sobjects")]},
        {"batchRequests": [one("GET", "https://h/services/data/v60.0/sobjects")]},
        {"batchRequests": [one("GET", 1)]},
    ],
)
def test_malformed_requests(api, body):
    assert refused(api.post("composite/batch", body)) == "JSON_PARSER_ERROR"


def test_what_is_refused_harms_no_other_part(api):
    found = batched(api, *(one("POST", "v60.0/sobjects/Contact", body) for body in ([], "x", 1, {"LastName": "A"})))
    assert [result["statusCode"] for result in found] == [400, 400, 400, 201]
    assert Contact.objects.count() == 1
