"""JSON bodies become typed arguments, or one refusal that names everything wrong."""

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, Literal

import pytest

from apexrest.errors import BodyUnreadable, EndpointMisdeclared, FieldsRefused
from apexrest.json_bodies import read
from apexrest.signatures import Endpoint


class Urgency(Enum):
    LOW = "low"
    HIGH = "high"


class Level(IntEnum):
    ONE = 1
    TWO = 2


@dataclass
class Line:
    sku: str
    quantity: int
    price: Decimal
    note: str | None = None


@dataclass(kw_only=True)
class Order:
    number: str
    placed: date
    seen: datetime
    lines: list[Line]
    weight: float
    express: bool
    urgency: Urgency
    level: Level = Level.ONE
    channel: Literal["web", "shop", 3] = "web"
    labels: dict[str, int] = field(default_factory=dict)
    extra: Any = None
    made: int = field(init=False, default=7)


@dataclass
class Branch:
    name: str
    branches: "list[Branch]" = field(default_factory=list)


@dataclass
class Rule:
    first: int
    last: int

    def __post_init__(self):
        if self.last < self.first:
            raise ValueError("last comes before first")


def endpoint(**annotations):
    """Return the endpoint of a method with these parameters."""

    def create(self, **_): ...

    parameters = ", ".join(annotations)
    scope = {}
    exec(f"def create(self, {parameters}): ...", {}, scope)
    scope["create"].__annotations__.update(annotations)
    return Endpoint.of(type("Resource", (), {}), "create", scope["create"], "POST")


def parse(annotation, value):
    """Parse what a client would send for the single parameter `item`."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return endpoint(item=annotation).arguments(read(body, max_depth=50))["item"]


ORDER = {
    "number": "A1",
    "placed": "2026-02-28",
    "seen": "2026-02-28T13:00:00.250+0100",
    "lines": [{"sku": "x", "quantity": 2, "price": 12.30}, {"sku": "y", "quantity": 1, "price": "0.10", "note": "n"}],
    "weight": 3,
    "express": False,
    "urgency": "high",
    "level": 2,
    "channel": 3,
    "labels": {"a.b": 1},
    "extra": {"any": [1, None]},
}


def test_a_whole_object_is_parsed_into_its_types():
    order = parse(Order, ORDER)
    assert order == Order(
        number="A1",
        placed=date(2026, 2, 28),
        seen=datetime(2026, 2, 28, 12, 0, 0, 250_000, tzinfo=UTC),
        lines=[Line("x", 2, Decimal("12.3")), Line("y", 1, Decimal("0.10"), "n")],
        weight=3.0,
        express=False,
        urgency=Urgency.HIGH,
        level=Level.TWO,
        channel=3,
        labels={"a.b": 1},
        extra={"any": [1, None]},
    )
    assert type(order.weight) is float
    assert order.seen.tzinfo is UTC


def test_defaults_stand_in_for_what_is_left_out():
    least = {key: ORDER[key] for key in ("number", "placed", "seen", "weight", "express", "urgency")}
    order = parse(Order, {**least, "lines": []})
    assert (order.level, order.channel, order.labels, order.extra, order.made) == (Level.ONE, "web", {}, None, 7)


def test_everything_wrong_is_told_at_once_with_its_path():
    wrong = {
        **ORDER,
        "lines": [{"sku": 5, "quantity": 1.5, "price": "x"}, "line"],
        "labels": {"a": True},
        "express": "true",
        "made": 1,
    }
    del wrong["number"]
    with pytest.raises(FieldsRefused) as refused:
        parse(Order, wrong)
    assert refused.value.code == "JSON_PARSER_ERROR"
    assert refused.value.status == 400
    assert refused.value.message == (
        "lines[0].sku must be a text, not a whole number; lines[0].quantity must be a whole number, not a fraction; "
        "lines[0].price must be a decimal number; lines[1] must be an object, not a text; "
        "express must be true or false, not a text; labels.a must be a whole number, not true; "
        "made is not known here; number is missing"
    )
    assert refused.value.fields == (
        "lines[0].sku",
        "lines[0].quantity",
        "lines[0].price",
        "lines[1]",
        "express",
        "labels.a",
        "made",
        "number",
    )


def test_only_missing_fields_have_salesforces_code_and_sentence():
    with pytest.raises(FieldsRefused) as refused:
        parse(Line, {"sku": "x"})
    assert refused.value.code == "REQUIRED_FIELD_MISSING"
    assert refused.value.message == "Required fields are missing: [quantity, price]"
    assert refused.value.fields == ("quantity", "price")


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        (str, None, "must be a text, not null"),
        (str, 1, "must be a text, not a whole number"),
        (int, True, "must be a whole number, not true"),
        (int, "1", "must be a whole number, not a text"),
        (int, 1.0, "must be a whole number, not a fraction"),
        (int, 2**63, "is out of range"),
        (float, "1", "must be a number, not a text"),
        (float, b"1e390", "is out of range"),
        (float, b"1" + b"0" * 390, "is out of range"),
        (bool, 0, "must be true or false, not a whole number"),
        (Decimal, True, "must be a decimal number, not true"),
        (Decimal, "NaN", "must be a decimal number"),
        (Decimal, "1e9", "must be a decimal number"),
        (date, "2026-2-1", "must be a date: YYYY-MM-DD"),
        (date, "20260201", "must be a date: YYYY-MM-DD"),
        (date, "2026-02-30", "is not a day of the calendar"),
        (date, 20260201, "must be a date, not a whole number"),
        (datetime, "2026-02-01", "must be a time: YYYY-MM-DDTHH:MM:SS and Z or ±HH:MM"),
        (datetime, "2026-02-01T10:00:00", "needs an offset from UTC (Z or ±HH:MM)"),
        (datetime, "2026-02-01T25:00:00Z", "is not a time of the calendar"),
        (datetime, "0001-01-01T00:00:00+14:00", "is not a time of the calendar"),
        (datetime, 5, "must be a time, not a whole number"),
        (Urgency, "HIGH", 'must be one of "low", "high"'),
        (Level, True, "must be one of 1, 2"),
        (Level, "1", "must be one of 1, 2"),
        (Literal["a", True] | None, ["a"], 'must be one of "a", true'),
        (Literal["a", True] | None, 1, 'must be one of "a", true'),
        (list[int], {"0": 1}, "must be an array, not an object"),
        (dict[str, int], [1], "must be an object, not an array"),
        (Rule, {"first": 2, "last": 1}, "is refused: last comes before first"),
    ],
)
def test_nothing_is_guessed(annotation, value, text):
    with pytest.raises(FieldsRefused) as refused:
        parse(annotation, value)
    assert refused.value.message == f"The request body {text}"
    assert refused.value.fields == ()


@pytest.mark.parametrize(
    ("annotation", "value", "parsed"),
    [
        (str, "", ""),
        (str | None, None, None),
        (int, -(2**63), -(2**63)),
        (float, 0.1, 0.1),
        (Decimal, b"0.1000000000000000000000001", Decimal("0.1000000000000000000000001")),
        (Decimal, 10**30, Decimal(10**30)),
        (datetime, "2026-02-01T10:00:00Z", datetime(2026, 2, 1, 10, tzinfo=UTC)),
        (datetime, "2026-02-01T10:00:00.123456-05:30", datetime(2026, 2, 1, 15, 30, 0, 123456, tzinfo=UTC)),
        (Literal["a", True] | None, None, None),
        (Literal[1, True], True, True),
        (Any, [{"x": 1}], [{"x": 1}]),
        (list[list[int]], [[1], []], [[1], []]),
    ],
)
def test_what_fits_is_taken(annotation, value, parsed):
    found = parse(annotation, value)
    assert found == parsed
    assert type(found) is type(parsed)


def test_a_class_may_contain_itself():
    tree = parse(Branch, {"name": "root", "branches": [{"name": "leaf"}]})
    assert tree == Branch("root", [Branch("leaf")])
    with pytest.raises(FieldsRefused) as refused:
        parse(Branch, {"name": "root", "branches": [{"name": "x", "branches": [{"name": 1}]}]})
    assert refused.value.fields == ("branches[0].branches[0].name",)


def test_many_problems_are_counted_not_listed():
    with pytest.raises(FieldsRefused) as refused:
        parse(list[int], ["x"] * 100_000)
    assert refused.value.message.endswith("; and 99950 more")
    assert len(refused.value.fields) == 50


# --- one parameter, several parameters ------------------------------------------------------------------------------


def arguments(body, **annotations):
    return endpoint(**annotations).arguments(read(json.dumps(body).encode(), max_depth=50))


LINE = {"sku": "x", "quantity": 1, "price": 1}


def test_a_single_parameter_is_the_body_or_stands_in_it_under_its_name():
    assert arguments(LINE, requestBody=Line) == arguments({"requestBody": LINE}, requestBody=Line)
    assert arguments([1], numbers=list[int]) == arguments({"numbers": [1]}, numbers=list[int]) == {"numbers": [1]}
    assert arguments({"a": 1}, counts=dict[str, int]) == {"counts": {"a": 1}}


@pytest.mark.parametrize("body", [{"sku": "x"}, {"requestBody": {"sku": "x"}}])
def test_paths_are_the_same_in_both_forms(body):
    with pytest.raises(FieldsRefused) as refused:
        arguments(body, requestBody=Line)
    assert refused.value.fields == ("quantity", "price")


def test_nothing_stands_beside_the_envelope():
    with pytest.raises(FieldsRefused) as refused:
        arguments({"requestBody": LINE, "other": 1}, requestBody=Line)
    assert refused.value.message == "other is not known here"


def test_a_parameter_named_like_a_field_of_its_class_has_no_envelope():
    assert arguments(LINE, sku=Line) == {"sku": Line("x", 1, Decimal(1))}


def test_several_parameters_take_one_key_each():
    assert arguments({"count": 2, "line": LINE}, line=Line, count=int) == {"count": 2, "line": Line("x", 1, Decimal(1))}
    with pytest.raises(FieldsRefused) as refused:
        arguments({"line": {**LINE, "sku": 1}, "x": 1}, line=Line, count=int)
    assert refused.value.fields == ("line.sku", "x", "count")
    with pytest.raises(FieldsRefused, match="must be an object with the keys line, count"):
        arguments([], line=Line, count=int)


# --- what cannot be an endpoint -------------------------------------------------------------------------------------


@dataclass
class WithSet:
    items: set[int]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (WithSet, r"Resource\.create: item\.items has the type set\[int\]"),
        (int | str, "has the type int | str"),
        (dict[int, str], "has the type dict"),
        (bytes, "has the type <class 'bytes'>"),
        (list[tuple[int, int]], r"item\[\] has the type tuple"),
        (Literal[b"x"], "A Literal of an endpoint holds texts"),
        (Enum("Odd", {"A": 1.5}), "neither text nor a number"),
    ],
)
def test_a_type_that_json_cannot_fill_is_refused_when_the_class_is_made(annotation, text):
    with pytest.raises(EndpointMisdeclared, match=text):
        endpoint(item=annotation)


# --- reading JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Expecting property name enclosed in double quotes at [line:1, column:2]"),
        (b'{"a": 1} x', "Extra data at [line:1, column:10]"),
        (b"\xff", "The request body is not UTF-8: byte 0 is invalid."),
        (b"[NaN]", "NaN is not a JSON value."),
        (b"[-Infinity]", "-Infinity is not a JSON value."),
        (b'{"a": {"b": 1, "b": 2}}', 'The key "b" appears more than once in an object.'),
        (b"1" * 401, f"The number {'1' * 60}… is out of range."),
        (b"1e401", "The number 1e401 is out of range."),
        (b"1e99999999999999999999", "The number 1e99999999999999999999 is out of range."),
        (b"0e-99999999999999999999", "The number 0e-99999999999999999999 is out of range."),
        (b"[" * 6 + b"]" * 6, "The request body is nested more than 5 levels deep."),
        (b"[" * 100_000, "The request body is nested more than 5 levels deep."),
        (rb'{"a": ["x", "\u0000"]}', "a[1] holds a character that is not text"),
        (rb'{"a": {"\ud800": 1}}', "a has a key with a character that is not text"),
        (rb'"\udfff"', "The request body holds a character that is not text"),
    ],
)
def test_only_clean_json_is_read(body, message):
    with pytest.raises(BodyUnreadable) as refused:
        read(body, max_depth=5)
    assert refused.value.message == message
    assert refused.value.code == "JSON_PARSER_ERROR"


def test_good_json_is_read_exactly():
    assert read(b'\xef\xbb\xbf {"a": [1, 1.50, "\\ud83d\\ude00", true, null]} ', max_depth=2) == {
        "a": [1, Decimal("1.50"), "😀", True, None]
    }
    assert read(b"[[[[[]]]]]", max_depth=5) == [[[[[]]]]]
