"""What a method returns, as JSON."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest

from apexrest.errors import AnswerUnserialisable
from apexrest.serialising import dumps


class Colour(Enum):
    RED = "red"


@dataclass
class Inner:
    when: datetime
    colour: Colour


@dataclass
class Outer:
    inner: Inner
    items: list[object]


def test_an_answer_keeps_the_names_and_takes_salesforces_forms():
    moment = datetime(2026, 2, 1, 12, 30, 0, 1_999, tzinfo=timezone(timedelta(hours=1)))
    answer = Outer(Inner(moment, Colour.RED), [date(2026, 2, 1), (1, None), {"é": True}, UUID(int=1), 0.5])
    assert dumps(answer).decode() == (
        '{"inner":{"when":"2026-02-01T11:30:00.001+0000","colour":"red"},'
        '"items":["2026-02-01",[1,null],{"é":true},"00000000-0000-0000-0000-000000000001",0.5]}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.30", "12.3"),
        ("5", "5"),
        ("5.00", "5"),
        ("0.1000000000000000000000001", '"0.1000000000000000000000001"'),
        ("9007199254740993", '"9007199254740993"'),
        ("1e400", '"1E+400"'),
    ],
)
def test_a_decimal_is_a_number_where_its_digits_survive(value, text):
    assert dumps(Decimal(value)).decode() == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "The answer is a number that JSON does not have"),
        (Decimal("Infinity"), "The answer is a number that JSON does not have"),
        ([{"a": {1, 2}}], r"The answer\[0\]\.a is a set"),
        ({1: 2}, "The answer is a key that is a int"),
        (datetime(2026, 2, 1), "The answer is a time without a time zone"),  # noqa: DTZ001 - that is the point
        ("\ud800", "lone surrogate"),
        (Outer(Inner(datetime(2026, 1, 1, tzinfo=UTC), Colour.RED), [b""]), r"The answer\.items\[0\] is a bytes"),
        (Outer, "The answer is a type"),
    ],
)
def test_what_json_cannot_hold_is_named(value, text):
    with pytest.raises(AnswerUnserialisable, match=text):
        dumps(value)
