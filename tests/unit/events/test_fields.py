"""What each type of field accepts, keeps and refuses."""

import contextlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import InvalidDefinition
from events.fields import Checkbox, Date, DateTime, LongText, Number, RecordIdField, Text, ValueRefused

NAME = "Sample__c"


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        (Text(NAME), "ready", "ready"),
        (Text(NAME), "", None),
        (Text(NAME), None, None),
        (Text(NAME, length=2), "😀é", "😀é"),
        (LongText(NAME), "x" * 131_072, "x" * 131_072),
        (Number(NAME), 5, 5),
        (Number(NAME), "12.50", 12.5),
        (Number(NAME), Decimal("0.1"), 0.1),
        (Number(NAME, scale=2), 10.125, 10.13),
        (Number(NAME, precision=3, scale=0), -999, -999),
        (Number(NAME), 5.0, 5),
        (Checkbox(NAME), True, True),
        (Checkbox(NAME), None, False),
        (Checkbox(NAME, default=True), None, True),
        (Checkbox(NAME), "False", False),
        (Date(NAME), date(2026, 1, 31), "2026-01-31"),
        (Date(NAME), "2026-01-31", "2026-01-31"),
        (DateTime(NAME), datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00.000Z"),
        (DateTime(NAME), datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T10:00:00.000Z"),
        (DateTime(NAME), "2026-01-31T12:00:00.000+0000", "2026-01-31T12:00:00.000Z"),
        (RecordIdField(NAME), "001000000000001", "001000000000001AAA"),
        (RecordIdField(NAME), "001000000000001AAA", "001000000000001AAA"),
    ],
)
def test_a_value_is_kept_in_one_form(field, value, kept):
    assert field.to_json(value) == kept


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (Text(NAME), 5, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Text(NAME, length=3), "long", "STRING_TOO_LONG"),
        (Text(NAME), "a\x00b", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Text(NAME), "\ud800", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Number(NAME), "many", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Number(NAME), True, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Number(NAME), float("nan"), "NUMBER_OUTSIDE_VALID_RANGE"),
        (Number(NAME), float("inf"), "NUMBER_OUTSIDE_VALID_RANGE"),
        (Number(NAME), "1e999999999", "NUMBER_OUTSIDE_VALID_RANGE"),
        (Number(NAME, precision=3, scale=0), 1000, "NUMBER_OUTSIDE_VALID_RANGE"),
        (Number(NAME, precision=3, scale=0), 999.9, "NUMBER_OUTSIDE_VALID_RANGE"),
        (Checkbox(NAME), 1, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Date(NAME), datetime(2026, 1, 31, tzinfo=UTC), "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Date(NAME), "2026-02-30", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (Date(NAME), "tomorrow", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (DateTime(NAME), "2026-01-31T12:00:00", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (DateTime(NAME), "2026-13-31T12:00:00Z", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (DateTime(NAME), "0001-01-01T00:00:00+14:00", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (DateTime(NAME), 5, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (RecordIdField(NAME), "001", "MALFORMED_ID"),
        (RecordIdField(NAME), "001000000000001AAB", "MALFORMED_ID"),
        (RecordIdField(NAME), 7, "MALFORMED_ID"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(field, value, code):
    with pytest.raises(ValueRefused) as refused:
        field.to_json(value)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "declare",
    [
        lambda: Text("Name"),
        lambda: Text("Two__Underscores__c"),
        lambda: Text("9__c"),
        lambda: Text(NAME, length=0),
        lambda: Text(NAME, length=256),
        lambda: Number(NAME, precision=19),
        lambda: Number(NAME, precision=2, scale=3),
    ],
)
def test_a_field_that_makes_no_sense_is_refused_when_it_is_declared(declare):
    with pytest.raises(InvalidDefinition):
        declare()


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_to_the_millisecond(moment):
    field = DateTime(NAME)
    assert field.to_python(field.to_json(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(st.dates())
def test_a_day_comes_back(day):
    field = Date(NAME)
    assert field.to_python(field.to_json(day)) == day


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_a_number_within_its_digits_comes_back(number):
    kept = Number(NAME).to_json(number)
    assert abs(Decimal(str(kept)) - number) <= Decimal("0.000001")


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text())))
def test_whatever_is_given_a_field_keeps_it_or_refuses_it(value):
    for field in (
        Text(NAME),
        LongText(NAME),
        Number(NAME),
        Checkbox(NAME),
        Date(NAME),
        DateTime(NAME),
        RecordIdField(NAME),
    ):
        with contextlib.suppress(ValueRefused):
            json.dumps(field.to_json(value), allow_nan=False).encode()
