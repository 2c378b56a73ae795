"""Payloads in Avro's binary form."""

import json
from contextlib import suppress
from datetime import UTC
from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import definitions, registry
from events.avro import change_event_schema, nullable
from events.changes import object_schema
from events.definitions import PlatformEvent
from events.encoding import from_avro, to_avro
from events.errors import UndecodablePayload


@pytest.fixture(scope="module")
def shipped():
    with registry.register_temporarily():

        class Shipped(PlatformEvent):
            api_name = "Shipped__e"
            number = definitions.Text("Number__c", required=True)
            weight = definitions.Number("Weight__c")
            fragile = definitions.Checkbox("Fragile__c")
            day = definitions.Date("Day__c")
            at = definitions.DateTime("At__c")
            note = definitions.LongText("Note__c")
            record = definitions.RecordIdField("Record__c")

        yield Shipped


TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=50)
MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(
    number=TEXTS.filter(bool),
    weight=st.none() | st.floats(-1e9, 1e9),
    fragile=st.booleans(),
    day=st.none() | st.dates(),
    at=st.none() | MOMENTS,
    note=st.none() | TEXTS,
    record=st.none() | st.just("001000000000001AAA"),
)
def test_an_event_comes_back_as_it_was_published(shipped, **values):
    fields, problems = shipped(**values).payload()
    assert problems == []
    payload = {"CreatedDate": "2026-06-01T12:00:00.123Z", "CreatedById": "005000000000001AAA", **fields}
    assert from_avro(shipped.event_type.schema, to_avro(shipped.event_type.schema, payload)) == payload


def test_moments_are_numbers_of_milliseconds_for_readers(shipped):
    fields, _ = shipped(number="A", day="1970-01-02", at="1969-12-31T23:59:59.999Z").payload()
    payload = {"CreatedDate": "1970-01-01T00:00:01.000Z", "CreatedById": "x", **fields}
    schema = shipped.event_type.schema
    reader = BytesIO(to_avro(schema, payload))
    seen = fastavro.schemaless_reader(reader, fastavro.parse_schema(json.loads(schema.document)), None)
    assert (seen["CreatedDate"], seen["Day__c"], seen["At__c"]) == (1000, 86_400_000, -1)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_event_are_refused(shipped, data):
    with suppress(UndecodablePayload):
        found = from_avro(shipped.event_type.schema, data)
        # Some bytes are one; it can be written again.
        assert to_avro(shipped.event_type.schema, found)


def test_bytes_after_the_event_are_refused(shipped):
    payload = {"CreatedDate": "2026-06-01T12:00:00.000Z", "CreatedById": "x", "Number__c": "1"}
    with pytest.raises(UndecodablePayload, match="goes on"):
        from_avro(shipped.event_type.schema, to_avro(shipped.event_type.schema, payload) + b"\x00")


def test_a_change_event_tells_its_fields_by_bitmaps():
    schema = object_schema("Contact")
    header = {
        "entityName": "Contact",
        "recordIds": ["003000000000001AAA"],
        "changeType": "UPDATE",
        "changeOrigin": "",
        "transactionKey": "k",
        "sequenceNumber": 1,
        "commitTimestamp": 1_780_000_000_000,
        "commitNumber": 2**60,
        "commitUser": "",
        "nulledFields": ["Phone"],
        "diffFields": [],
        "changedFields": ["Phone", "LastName", "LastModifiedDate"],
    }
    payload = {
        "ChangeEventHeader": header,
        "Phone": None,
        "LastName": "Lovelace",
        "LastModifiedDate": "2026-06-01T12:00:00.000Z",
    }
    seen = fastavro.schemaless_reader(
        BytesIO(to_avro(schema, payload)), fastavro.parse_schema(json.loads(schema.document)), None
    )
    assert all(text.startswith("0x") for text in seen["ChangeEventHeader"]["changedFields"])
    back = from_avro(schema, to_avro(schema, payload))
    assert set(back["ChangeEventHeader"]["changedFields"]) == {"Phone", "LastName", "LastModifiedDate"}
    assert back["ChangeEventHeader"]["nulledFields"] == ["Phone"]
    assert back["LastName"] == "Lovelace"
    assert back["Phone"] is None
    assert "FirstName" not in back


@pytest.mark.parametrize(
    ("doc", "avro_type", "value"),
    [("TimeOnly", "long", "23:59:59.999Z"), ("Integer", "int", 7), ("Long", "long", 2**40), ("Double", "double", 1.5)],
)
def test_every_kind_of_field_comes_back(doc, avro_type, value):
    schema = change_event_schema("XChangeEvent", [nullable("X", avro_type, f"Data:{doc}")])
    assert from_avro(schema, to_avro(schema, {"ChangeEventHeader": _HEADER, "X": value}))["X"] == value


def test_the_value_of_a_json_field_travels_as_json():
    schema = change_event_schema("XChangeEvent", [nullable("X", "string", "Data:StringPlusClob")])
    found = from_avro(schema, to_avro(schema, {"ChangeEventHeader": _HEADER, "X": {"a": [1]}}))
    assert json.loads(found["X"]) == {"a": [1]}


_HEADER = {
    "entityName": "X",
    "recordIds": [],
    "changeType": "CREATE",
    "changeOrigin": "",
    "transactionKey": "",
    "sequenceNumber": 1,
    "commitTimestamp": 0,
    "commitNumber": 0,
    "commitUser": "",
    "nulledFields": [],
    "diffFields": [],
    "changedFields": [],
}
