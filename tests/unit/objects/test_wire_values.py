"""Values as JSON carries them, both ways."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.objects.object_types import FieldKind, FieldType
from isthmus.objects.wire_values import BadValue, from_wire, to_wire


def field(kind, **more):
    return FieldType(api_name="X", label="X", type=kind, **more)


MONEY = field(FieldKind.CURRENCY, precision=18, scale=2)


@pytest.mark.parametrize(
    ("target", "given", "value"),
    [
        (field(FieldKind.INT), "12", 12),
        (field(FieldKind.INT), 12.0, 12),
        (field(FieldKind.DOUBLE), "10.5", 10.5),
        (MONEY, "0.125", Decimal("0.13")),
        (MONEY, 10, Decimal("10.00")),
        (field(FieldKind.BOOLEAN), "TRUE", True),
        (field(FieldKind.BOOLEAN), "0", False),
        (field(FieldKind.DATE), "2024-01-31", date(2024, 1, 31)),
        (field(FieldKind.DATE), "2024-01-31T23:00:00Z", date(2024, 1, 31)),
        (field(FieldKind.DATETIME), "2020-01-01T00:00:00.000+0000", datetime(2020, 1, 1, tzinfo=UTC)),
        (field(FieldKind.DATETIME), "2020-01-01T02:30:00+02:30", datetime(2020, 1, 1, tzinfo=UTC)),
        (field(FieldKind.DATETIME), "2020-01-01T00:00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),
        (field(FieldKind.DATETIME), "2020-01-01T00:00:00", datetime(2020, 1, 1, tzinfo=UTC)),
        (field(FieldKind.DATETIME), "2020-01-01", datetime(2020, 1, 1, tzinfo=UTC)),
        (field(FieldKind.TIME), "12:30:00.000Z", time(12, 30)),
        (field(FieldKind.STRING), 5, "5"),
        (field(FieldKind.JSON), {"a": [1]}, {"a": [1]}),
    ],
)
def test_texts_are_taken_for_every_type(target, given, value):
    found = from_wire(target, given)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", FieldKind)
@pytest.mark.parametrize("given", [None, ""])
def test_an_empty_text_is_null_for_every_type(kind, given):
    assert from_wire(field(kind), given) is None


@pytest.mark.parametrize(
    ("target", "given", "code"),
    [
        (field(FieldKind.INT), "1.5", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.INT), True, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.INT), "1e400000000", "NUMBER_OUTSIDE_VALID_RANGE"),
        (field(FieldKind.DOUBLE), "NaN", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.DOUBLE), "Infinity", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.DOUBLE), [], "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (MONEY, "99999999999999999", "NUMBER_OUTSIDE_VALID_RANGE"),
        (MONEY, "9999999999999999.999", "NUMBER_OUTSIDE_VALID_RANGE"),
        (MONEY, "1e999999999", "NUMBER_OUTSIDE_VALID_RANGE"),
        (field(FieldKind.BOOLEAN), "yes", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.DATE), "2024-02-30", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.DATE), 20240131, "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.DATETIME), "0001-01-01T00:00:00+14:00", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.TIME), "25:00", "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        (field(FieldKind.EMAIL), "nobody", "INVALID_EMAIL_ADDRESS"),
        (field(FieldKind.STRING, length=3), "abcd", "STRING_TOO_LONG"),
        (field(FieldKind.PICKLIST, restricted_picklist=True), "x", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        (field(FieldKind.REFERENCE, reference_to=("Account",)), 5, "MALFORMED_ID"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_field(target, given, code):
    with pytest.raises(BadValue) as refused:
        from_wire(target, given)
    assert (refused.value.error.code, refused.value.error.fields) == (code, ("X",))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from([kind for kind in FieldKind if kind is not FieldKind.JSON]), JSON)
def test_nothing_that_json_can_say_breaks_the_reader(kind, given):
    message = ""
    try:
        from_wire(field(kind, precision=6, scale=2, length=10), given)
    except BadValue as refused:
        message = refused.error.message
    assert message.encode() is not None


@pytest.mark.parametrize(
    ("target", "value", "wire"),
    [
        (field(FieldKind.STRING), "", None),
        (field(FieldKind.BOOLEAN), False, False),
        (MONEY, Decimal("1.005"), 1.0),
        (field(FieldKind.DATE), date(2026, 6, 1), "2026-06-01"),
        (
            field(FieldKind.DATETIME),
            datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2))),
            "2026-06-01T10:00:00.123Z",
        ),
        (field(FieldKind.TIME), time(1, 2, 3), "01:02:03.000Z"),
        (field(FieldKind.REFERENCE, reference_to=("Account",)), 1, "001000000000001AAA"),
        (field(FieldKind.REFERENCE), 1, None),
    ],
)
def test_each_type_goes_out_in_one_form(target, value, wire):
    assert to_wire(target, value) == wire
