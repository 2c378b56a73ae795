"""Several changes of one record in one transaction become one event."""

import itertools
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.shaping import ShapingLimits, shape_changes
from isthmus.objects.capture import Change, ChangeType

NOTES = itertools.count(1)
KEY = uuid.UUID(int=7)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LIMITS = ShapingLimits(changes=100_000, event_bytes=1_048_576, merged_records=3)


def row(change_type, changed_fields=None, *, record="003000000000001AAA", object_name="Contact", **given):
    return Change(
        object_name=object_name,
        record_id=record,
        change_type=ChangeType(change_type),
        changed_fields=changed_fields or {},
        occurred_at=NOON,
        note=next(NOTES),
        **{"correlation_id": "c", "origin": "", "user_id": "005000000000001AAA", **given},
    )


def shape(*changes, limits=LIMITS):
    events = shape_changes(
        changes,
        schema_id=lambda name: "s" * 22,
        transaction_key=KEY,
        commit_number=9,
        commit_timestamp=NOON,
        limits=limits,
    )
    return list(events)


def told(*rows, limits=LIMITS):
    """Return the essence of each event: type, body, changed, nulled."""
    found = []
    for event in shape(*rows, limits=limits):
        body = dict(event.payload)
        header = body.pop("ChangeEventHeader")
        found.append((header["changeType"], body, header["changedFields"], header["nulledFields"]))
    return found


def test_the_header_says_what_when_who_and_in_which_transaction():
    [event] = shape(row("UPDATE", {"Email": None, "Phone": "1"}, origin="com/salesforce/api/rest/60.0"))
    assert event.topic == "/data/ContactChangeEvent"
    assert (event.transaction_key, event.sequence_number, event.correlation_id) == (KEY, 1, "c")
    assert event.payload == {
        "ChangeEventHeader": {
            "entityName": "Contact",
            "recordIds": ["003000000000001AAA"],
            "changeType": "UPDATE",
            "changeOrigin": "com/salesforce/api/rest/60.0",
            "transactionKey": str(KEY),
            "sequenceNumber": 1,
            "commitTimestamp": 1_780_315_200_000,
            "commitNumber": 9,
            "commitUser": "005000000000001AAA",
            "nulledFields": ["Email"],
            "diffFields": [],
            "changedFields": ["Email", "Phone"],
        },
        "Email": None,
        "Phone": "1",
    }


@pytest.mark.parametrize(
    ("rows", "events"),
    [
        ([("CREATE", {"A": 1, "B": 2}), ("UPDATE", {"A": 3, "B": None})], [("CREATE", {"A": 3}, [], [])]),
        ([("UPDATE", {"A": 1}), ("UPDATE", {"B": None})], [("UPDATE", {"A": 1, "B": None}, ["A", "B"], ["B"])]),
        ([("UPDATE", {"A": 1}), ("UPDATE", {"A": 2})], [("UPDATE", {"A": 2}, ["A"], [])]),
        ([("CREATE", {"A": 1}), ("DELETE", {})], []),
        ([("CREATE", {"A": 1}), ("DELETE", {}), ("UNDELETE", {"A": 1})], [("CREATE", {"A": 1}, [], [])]),
        ([("UPDATE", {"A": 1}), ("DELETE", {})], [("DELETE", {}, [], [])]),
        ([("DELETE", {})], [("DELETE", {}, [], [])]),
        ([("DELETE", {"A": 1}), ("UNDELETE", {"A": 1})], []),
        ([("DELETE", {"A": 1}), ("UNDELETE", {"A": 1, "LastModifiedDate": "later"})], []),
        ([("DELETE", {"A": 1, "B": 1}), ("UNDELETE", {"A": 2})], [("UPDATE", {"A": 2, "B": None}, ["A", "B"], ["B"])]),
        ([("DELETE", {"A": 1}), ("CREATE", {"A": 2})], [("UPDATE", {"A": 2}, ["A"], [])]),
        ([("DELETE", None), ("UNDELETE", {"A": 2})], [("GAP_UPDATE", {}, [], [])]),
        ([("CREATE", {"A": 1, "B": 1}), ("DELETE", {}), ("UNDELETE", {"B": 2})], [("CREATE", {"B": 2}, [], [])]),
        (
            [("UPDATE", {"A": 5}), ("DELETE", {"A": 5, "B": 1}), ("UNDELETE", {"A": 5, "B": 1})],
            [("UPDATE", {"A": 5}, ["A"], [])],
        ),
        ([("UNDELETE", {"A": 1}), ("UPDATE", {"A": 2})], [("UNDELETE", {"A": 2}, [], [])]),
        ([("UNDELETE", {"A": 1}), ("DELETE", {})], []),
        ([("GAP_CREATE", {})], [("GAP_CREATE", {}, [], [])]),
        ([("GAP_UPDATE", {}), ("UPDATE", {"A": 1})], [("GAP_UPDATE", {}, [], [])]),
        ([("CREATE", {"A": 1}), ("GAP_UPDATE", {})], [("GAP_CREATE", {}, [], [])]),
        ([("GAP_UPDATE", {}), ("DELETE", {})], [("DELETE", {}, [], [])]),
        ([("GAP_CREATE", {}), ("GAP_DELETE", {})], []),
        ([("GAP_OVERFLOW", {})], [("GAP_OVERFLOW", {}, [], [])]),
    ],
)  # fmt: skip
def test_one_record_is_told_once(rows, events):
    """Of a DELETE the values are those before it; `None` when nobody can tell them."""
    made = [
        row(kind, fields_before=lambda values=values: values) if kind == "DELETE" else row(kind, values)
        for kind, values in rows
    ]
    assert told(*made) == events


def test_records_are_told_in_the_order_in_which_they_were_first_touched_with_dense_numbers():
    events = shape(
        row("CREATE", {"A": 1}, record="a"),
        row("CREATE", {"A": 1}, record="gone"),
        row("UPDATE", {"A": 1}, record="b", object_name="Account"),
        row("DELETE", record="gone"),
        row("UPDATE", {"A": 2}, record="a"),
    )
    assert [(e.payload["ChangeEventHeader"]["recordIds"], e.topic, e.sequence_number) for e in events] == [
        (["a"], "/data/ContactChangeEvent", 1),
        (["b"], "/data/AccountChangeEvent", 2),
    ]


def test_one_number_of_two_objects_is_not_one_record():
    events = told(row("CREATE", {"A": 1}), row("UPDATE", {"A": 2}, object_name="Account"))
    assert [kind for kind, *_ in events] == ["CREATE", "UPDATE"]


def test_an_event_that_is_too_large_becomes_a_gap():
    limits = ShapingLimits(changes=10, event_bytes=1_000, merged_records=3)
    assert told(row("UPDATE", {"A": "x" * 1_000}), limits=limits) == [("GAP_UPDATE", {}, [], [])]
    assert told(row("CREATE", {"A": "x" * 1_000}), limits=limits) == [("GAP_CREATE", {}, [], [])]


def test_more_changes_than_are_told_singly_end_in_one_overflow_an_object():
    limits = ShapingLimits(changes=3, event_bytes=1_048_576, merged_records=3)
    events = shape(
        row("CREATE", {"A": 1, "B": 2}, record="a"),
        row("UPDATE", {"A": 1, "B": 2}, record="b"),
        row("CREATE", {"A": 1}, record="c"),
        row("CREATE", {"A": 1}, record="d", object_name="Account"),
        row("CREATE", {"A": 1}, record="e"),
        limits=limits,
    )
    headers = [event.payload["ChangeEventHeader"] for event in events]
    assert [(header["changeType"], header["entityName"], header["recordIds"]) for header in headers] == [
        ("CREATE", "Contact", ["a"]),
        ("UPDATE", "Contact", ["b"]),
        ("GAP_OVERFLOW", "Contact", ["000000000000000AAA"]),
        ("GAP_OVERFLOW", "Account", ["000000000000000AAA"]),
    ]
    assert [event.sequence_number for event in events] == [1, 2, 3, 4]


def test_records_that_changed_alike_share_an_event_up_to_a_limit():
    alike = [row("UPDATE", {"A": 1}, record=name) for name in "abcde"]
    events = shape(
        *alike[:2],
        row("UPDATE", {"A": 2}, record="x"),
        *alike[2:],
        row("DELETE", record="y"),
        row("DELETE", record="z"),
        row("UPDATE", {"A": 1}, record="v", user_id=None),
    )
    headers = [event.payload["ChangeEventHeader"] for event in events]
    assert [(header["changeType"], "".join(header["recordIds"])) for header in headers] == [
        ("UPDATE", "abc"),
        ("UPDATE", "x"),
        ("UPDATE", "de"),
        ("DELETE", "yz"),
        ("UPDATE", "v"),
    ]
    assert [event.sequence_number for event in events] == [1, 2, 3, 4, 5]


def test_the_same_changes_give_the_same_events_again():
    changes = [row("UPDATE", {"A": 1}), row("CREATE", {"A": 1}, record="b")]
    assert shape(*changes) == shape(*changes)
    assert len({event.event_uuid for event in shape(*changes)}) == 2


@given(
    st.booleans(),
    st.lists(
        st.tuples(st.sampled_from(["write", "delete", "undelete"]), st.sampled_from("AB"), st.none() | st.integers())
    ),
)
def test_whoever_applies_the_one_event_arrives_where_the_single_changes_lead(was_there, steps):
    """A mirror that applies the merged event holds what the record holds."""
    before = {"A": 0, "B": None} if was_there else None
    live, values, rows = was_there, dict(before or {}), []
    for step, field, value in steps:
        if step == "write" and not live and not values:
            live, values = True, {"A": None, "B": None, field: value}
            rows.append(row("CREATE", {name: it for name, it in values.items() if it is not None}))
        elif step == "write" and live:
            values[field] = value
            rows.append(row("UPDATE", {field: value}))
        elif step == "delete" and live:
            live = False
            rows.append(row("DELETE"))
        elif step == "undelete" and not live and values:
            live = True
            rows.append(row("UNDELETE", {name: it for name, it in values.items() if it is not None}))
    mirror = dict(before) if before is not None else None
    events = told(*rows)
    assert len(events) <= 1
    for kind, body, changed, nulled in events:
        if kind in {"CREATE", "UNDELETE"}:
            mirror = {"A": None, "B": None, **body}
        elif kind == "DELETE":
            mirror = None
        else:
            assert set(nulled) == {name for name in changed if body[name] is None}
            mirror.update(body)
    assert mirror == (values if live else None)
