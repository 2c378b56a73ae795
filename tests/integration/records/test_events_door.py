"""Platform events by way of the record API: published, described, and hidden from who was not granted them."""

import pytest
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceRefusedRequest

from events.models import OutboxEvent

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "Credential_Connection_Failed__e"


@pytest.fixture
def publisher(make_caller):
    return make_caller("publisher", [("event", "publish", NAME)])[1]


@pytest.fixture
def subscriber(make_caller):
    return make_caller("subscriber", [("event", "subscribe", NAME)])[1]


@pytest.fixture
def fields(publisher):
    found = publisher.get(f"sobjects/{NAME}/describe").json()["fields"]
    return {one["name"]: "x" for one in found if one["createable"] and one["type"] == "string"}


def test_creating_one_publishes_it(make_salesforce, publisher, fields):
    answer = getattr(make_salesforce(publisher.token), NAME).create(fields)
    row = OutboxEvent.objects.get()
    assert answer["success"] is True
    assert len(answer["id"]) == 18
    assert answer["id"].startswith("e0")
    assert answer["errors"] == [{"statusCode": "OPERATION_ENQUEUED", "message": str(row.event_uuid), "fields": []}]
    assert row.payload.items() >= fields.items()
    assert publisher.post(f"sobjects/{NAME.lower()}/", fields).status_code == 201


def test_what_is_wrong_with_one_is_said(make_salesforce, publisher, fields):
    for body, code in (
        ({**fields, "Nothing__c": 1}, "INVALID_FIELD"),
        ({}, "REQUIRED_FIELD_MISSING"),
        ({name: ["x"] for name in fields}, None),
        (dict.fromkeys(fields, "x" * 100000), "STRING_TOO_LONG"),
    ):
        with pytest.raises(SalesforceMalformedRequest) as refused:
            getattr(make_salesforce(publisher.token), NAME).create(body)
        assert refused.value.content[0]["fields"]
        assert code in {None, *(one["errorCode"] for one in refused.value.content)}
    assert not OutboxEvent.objects.exists()


def test_an_event_is_not_read_changed_or_deleted(publisher, fields):
    made = publisher.post(f"sobjects/{NAME}", fields).json()["id"]
    for method in ("GET", "PATCH"):
        answer = publisher.send(method, f"sobjects/{NAME}/{made}", {} if method == "PATCH" else None)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")
    refused = publisher.delete(f"sobjects/{NAME}/{made}")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
    for path in (f"{made}/Owner", "updated?start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z"):
        assert 400 <= publisher.send("GET", f"sobjects/{NAME}/{path}").status_code < 500
    assert publisher.get(f"sobjects/{NAME}").json()["recentItems"] == []


def test_who_may_subscribe_sees_it_and_may_not_publish(make_salesforce, subscriber, publisher, fields):
    for door, createable in ((subscriber, False), (publisher, True)):
        listed = {one["name"]: one for one in door.get("sobjects").json()["sobjects"]}
        assert listed.keys() == {"Organization", NAME}
        assert (listed[NAME]["createable"], listed[NAME]["deletable"]) == (createable, False)
        assert door.get(f"sobjects/{NAME}/describe").json()["createable"] is createable
    with pytest.raises(SalesforceRefusedRequest):
        getattr(make_salesforce(subscriber.token), NAME).create(fields)
    assert not OutboxEvent.objects.exists()


def test_nobody_else_learns_of_it(api, fields):
    assert NAME not in {one["name"] for one in api.get("sobjects").json()["sobjects"]}
    nothing = api.post("sobjects/Nothing__e", fields)
    for answer in (
        api.post(f"sobjects/{NAME}", fields),
        api.patch(f"sobjects/{NAME}/Id/x", fields),
        api.get(f"sobjects/{NAME}"),
        api.get(f"sobjects/{NAME}/describe"),
        api.get(f"sobjects/{NAME}/eventSchema"),
        api.delete(f"sobjects/{NAME}/e00000000000001AAA"),
    ):
        assert (answer.status_code, answer.json()) == (404, nothing.json())
    # Events refer to users, which a user's description tells only to whom it may.
    children = api.get("sobjects/User/describe").json()["childRelationships"]
    assert not [one for one in children if one["childSObject"].endswith("__e")]
    assert not OutboxEvent.objects.exists()


def test_its_schema(api, publisher, subscriber):
    compact = subscriber.get(f"sobjects/{NAME}/eventSchema", payloadFormat="compact").json()
    assert (compact["name"], compact["namespace"], compact["type"]) == (NAME, "com.sforce.eventbus", "record")
    assert compact["fields"][0] == {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"}
    expanded = publisher.get(f"sobjects/{NAME}/eventSchema").json()
    assert expanded["type"] == "expanded-record"
    assert [field["name"] for field in expanded["fields"]] == ["data", "channel"]
    parts = {part["name"]: part["type"] for part in expanded["fields"][0]["type"]["fields"]}
    assert parts["payload"]["fields"][0]["type"] == "string"
    assert [one["name"] for one in parts["payload"]["fields"]] == [one["name"] for one in compact["fields"]]
    path = f"event/eventSchema/{compact['uuid']}"
    assert subscriber.get(path, payloadFormat="COMPACT").json() == compact
    assert publisher.get(path).json() == expanded
    assert api.get(path).status_code == 404
    assert publisher.get("event/eventSchema/nothing").status_code == 404
    refused = publisher.get(path, payloadFormat="AVRO")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_PARAMETER")
    assert publisher.get("sobjects/AccountChangeEvent/eventSchema").status_code == 404
