"""A query becomes the dataclass that names and types its parameters."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Literal

import pytest

from apexrest.errors import EndpointMisdeclared, FieldsRefused
from apexrest.query_parameters import query_parser


class Priority(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Asked:
    text: str = ""
    number: int | None = None
    price: Decimal = Decimal(0)
    is_open: bool | None = None
    size: Literal[1, 2, "all"] = "all"
    priority: Priority = Priority.LOW
    priorities: list[Priority] = field(default_factory=list)
    flags: list[bool] | None = None


def read(**given):
    return query_parser(Asked, "Asked")(
        {name: (texts,) if isinstance(texts, str) else texts for name, texts in given.items()}
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Asked()),
        ({"text": "1"}, Asked(text="1")),
        ({"number": "-7"}, Asked(number=-7)),
        ({"price": "1.50"}, Asked(price=Decimal("1.50"))),
        ({"is_open": "TRUE"}, Asked(is_open=True)),
        ({"size": "2"}, Asked(size=2)),
        ({"size": "all"}, Asked(size="all")),
        ({"priority": "2"}, Asked(priority=Priority.HIGH)),
        ({"priorities": ("2", "1")}, Asked(priorities=[Priority.HIGH, Priority.LOW])),
        ({"flags": "0"}, Asked(flags=[False])),
    ],
)
def test_texts_become_what_they_mean(given, expected):
    assert read(**given) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"number": "1.0"},
        {"number": ("1", "2")},
        {"price": "1e5"},
        {"is_open": "yes"},
        {"size": "3"},
        {"priority": "HIGH"},
    ],
)
def test_what_means_nothing_is_refused(given):
    with pytest.raises(FieldsRefused) as refused:
        read(**given)
    assert list(refused.value.fields) == list(given)


def test_what_one_text_cannot_fill_is_refused_at_the_start():
    @dataclass
    class Nested:
        inner: list[Asked]

    with pytest.raises(EndpointMisdeclared, match="inner is nested"):
        query_parser(Nested, "Nested")
