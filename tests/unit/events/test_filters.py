"""Filter expressions."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.avro import nullable, platform_event_schema
from events.changes import object_schema
from events.errors import InvalidFilter
from events.filters import LONGEST_EXPRESSION, parse_filter

EVENT = {
    "Status__c": "Ready",
    "Amount__c": 1000,
    "Urgent__c": True,
    "Day__c": "2026-06-01",
    "At__c": "2026-06-01T12:00:00.000Z",
    "Note__c": None,
    "Order__c": "It's 100%",
    "ChangeEventHeader.changeType": "UPDATE",
}


def matches(expression):
    return parse_filter(expression).matches(EVENT.get)


@pytest.mark.parametrize(
    "expression",
    [
        "Status__c = 'ready'",
        "Status__c != 'new'",
        "Status__c > 'alpha'",
        "Status__c LIKE 'REA%'",
        "Status__c like '_eady'",
        "Order__c = 'it\\'s 100%'",
        "Order__c LIKE '%100%'",
        "Amount__c >= 1e3",
        "Amount__c < 2147483648",
        "Amount__c <> 5",
        "Urgent__c = TRUE",
        "Day__c = 2026-06-01",
        "Day__c > 2026-05-31",
        "At__c = 2026-06-01T14:00:00+02:00",
        "At__c < 2026-06-01T12:00:01Z",
        "Note__c = null",
        "Nothing__c = NULL",
        "Note__c != 'x'",
        "Status__c != null",
        "NOT Amount__c = 5",
        "NOT (Amount__c = 5 OR Urgent__c = false)",
        "Amount__c = 5 OR (Urgent__c = true AND NOT Status__c = 'New')",
        "ChangeEventHeader.changeType = 'update'",
    ],
)
def test_an_event_that_the_filter_describes_is_wanted(expression):
    assert matches(expression)
    assert not matches(f"NOT ({expression})")


@pytest.mark.parametrize(
    "expression",
    [
        "Note__c > 'a'",
        "Note__c < 5",
        "Note__c LIKE '%'",
        "Amount__c = '1000'",
        "Status__c = 5",
        "Urgent__c = 'true'",
        "Amount__c = true",
    ],
)
def test_what_cannot_be_compared_is_not_wanted(expression):
    assert not matches(expression)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "ends too early"),
        ("Status__c", "ends too early"),
        ("Status__c = ", "ends too early"),
        ("Status__c = Ready", "at character 13: 'Ready'"),
        ("Status__c = 'a' AND Amount__c = 1 OR Urgent__c = true", "parentheses"),
        ("Status__c = 'a", "at character 13"),
        ("Amount__c IN (1)", "at character 11"),
        ("Day__c = 2026-02-30", "no such day"),
        ("(Status__c = 'a'", "ends too early"),
        ("Status__c LIKE 5", "at character 16"),
        (" AND ".join(f"F{number}__c = 1" for number in range(11)), "10 fields at most"),
        ("NOT " * 60 + "A__c = 1", "nested"),
        ("x" * (LONGEST_EXPRESSION + 1), "at most 131,072 characters"),
    ],
)
def test_a_complaint_says_where_a_filter_goes_wrong(expression, complaint):
    with pytest.raises(InvalidFilter, match=complaint):
        parse_filter(expression)


def test_a_filter_as_long_and_deep_as_anyone_could_send_is_answered():
    with pytest.raises(InvalidFilter):
        parse_filter("(" * 60_000 + "A__c = 1")
    assert parse_filter("(" * 30_000 + "A__c = 1" + ")" * 30_000).matches({"A__c": 1}.get)
    assert parse_filter(" OR ".join(["A__c = 1"] * 9_000)).matches({"A__c": 1}.get)


@given(st.text(max_size=60) | st.text("AB__c='\\()!<>%. \nNOTandORlike0129-:Z", max_size=60))
def test_any_text_is_a_filter_or_refused(expression):
    with suppress(InvalidFilter):
        assert parse_filter(expression).matches(EVENT.get) in {True, False}


@given(st.text(max_size=30), st.booleans())
def test_every_text_can_be_compared_with(text, quoted_line):
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    if quoted_line:
        escaped = escaped.replace("\n", "\\n")
    assert parse_filter(f"A__c = '{escaped}'").matches({"A__c": text}.get)


SCHEMA = platform_event_schema(
    "Order__e",
    [
        nullable("Status__c", "string", "Data:Text"),
        nullable("Amount__c", "double", "Data:Double"),
        nullable("Urgent__c", "boolean", "Data:Boolean"),
        nullable("Day__c", "long", "Data:DateOnly"),
    ],
)


@pytest.mark.parametrize(
    "expression",
    ["Status__c = 'x' AND Amount__c > 1.0", "Urgent__c != null", "Day__c < 2026-01-01", "CreatedById = '005'"],
)
def test_a_filter_that_fits_the_schema_is_taken(expression):
    parse_filter(expression).check(SCHEMA)
    assert parse_filter(expression).fields


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("Missing__c = 1", "no field 'Missing__c'"),
        ("Amount__c = 'a'", "Amount__c is compared with a text; it takes a number"),
        ("Urgent__c > true", "only by = and !="),
        ("Status__c > null", "only by = and !="),
    ],
)
def test_a_filter_that_does_not_fit_the_schema_is_refused(expression, complaint):
    with pytest.raises(InvalidFilter, match=complaint):
        parse_filter(expression).check(SCHEMA)


def test_a_filter_of_changes_may_look_at_single_values_of_the_header_but_not_at_its_lists():
    parse_filter("ChangeEventHeader.changeType = 'CREATE' AND LastName LIKE 'A%'").check(object_schema("Contact"))
    with pytest.raises(InvalidFilter):
        parse_filter("ChangeEventHeader.changedFields = 'LastName'").check(object_schema("Contact"))
