"""Avro schemas: the shapes that Pub/Sub API clients rely on."""

import json
import re

import pytest

from events import registry
from events.avro import change_event_schema, nullable
from events.definitions import Checkbox, DateTime, Number, PlatformEvent, Text


@pytest.fixture(autouse=True)
def _registry():
    with registry.register_temporarily():
        yield


def schema_of(**fields):
    with registry.register_temporarily():
        return type("Sample", (PlatformEvent,), {"api_name": "Sample__e", **fields}).event_type.schema


def test_a_platform_event_begins_with_when_and_by_whom():
    schema = schema_of(
        name=Text("Name__c", required=True), size=Number("Size__c"), on=Checkbox("On__c"), at=DateTime("At__c")
    )
    assert json.loads(schema.document) == {
        "type": "record",
        "name": "Sample__e",
        "namespace": "com.sforce.eventbus",
        "fields": [
            {"name": "CreatedDate", "type": "long", "doc": "CreatedDate:DateTime"},
            {"name": "CreatedById", "type": "string", "doc": "CreatedBy:EntityId"},
            {"name": "Name__c", "type": "string", "doc": "Data:Text"},
            {"name": "Size__c", "type": ["null", "double"], "doc": "Data:Double", "default": None},
            {"name": "On__c", "type": ["null", "boolean"], "doc": "Data:Boolean", "default": None},
            {"name": "At__c", "type": ["null", "long"], "doc": "Data:DateTime", "default": None},
        ],
    }


def test_a_change_event_begins_with_its_header():
    schema = change_event_schema("ContactChangeEvent", [nullable("Email", "string", "Data:Email")])
    header, email = json.loads(schema.document)["fields"]
    assert header["name"] == "ChangeEventHeader"
    assert [field["name"] for field in header["type"]["fields"]] == [
        "entityName",
        "recordIds",
        "changeType",
        "changeOrigin",
        "transactionKey",
        "sequenceNumber",
        "commitTimestamp",
        "commitNumber",
        "commitUser",
        "nulledFields",
        "diffFields",
        "changedFields",
    ]
    assert header["type"]["fields"][2]["type"]["symbols"] == [
        "CREATE",
        "UPDATE",
        "DELETE",
        "UNDELETE",
        "GAP_CREATE",
        "GAP_UPDATE",
        "GAP_DELETE",
        "GAP_UNDELETE",
        "GAP_OVERFLOW",
        "SNAPSHOT",
    ]
    assert email == {"name": "Email", "type": ["null", "string"], "doc": "Data:Email", "default": None}


def test_the_id_is_22_url_safe_characters_that_follow_the_schema():
    one, same, other = schema_of(a=Text("A__c")), schema_of(a=Text("A__c")), schema_of(a=Text("A__c", required=True))
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", one.schema_id)
    assert one.schema_id == same.schema_id != other.schema_id


def test_the_order_of_fields_is_part_of_the_schema():
    assert schema_of(a=Text("A__c"), b=Text("B__c")).schema_id != schema_of(b=Text("B__c"), a=Text("A__c")).schema_id
