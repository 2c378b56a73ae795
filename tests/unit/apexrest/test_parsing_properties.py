"""Whatever is sent, the parser answers with the value or with a refusal; what is written is read back the same."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apexrest.errors import BodyUnreadable, FieldsRefused
from apexrest.json_bodies import read
from apexrest.parsing import REFUSED, parser_for
from apexrest.problems import Problems
from apexrest.serialising import dumps


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Leaf:
    text: str
    number: int
    fraction: float
    amount: Decimal
    day: date
    moment: datetime
    flag: bool
    colour: Colour
    size: Literal["s", "m"]


@dataclass
class Tree:
    leaf: Leaf | None
    leaves: list[Leaf]
    named: dict[str, Leaf]
    trees: "list[Tree]"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
leaves = st.builds(
    Leaf,
    text=texts,
    number=st.integers(-(2**63), 2**63 - 1),
    fraction=st.floats(allow_nan=False, allow_infinity=False),
    amount=st.decimals(min_value=-(10**15), max_value=10**15, places=4),
    day=st.dates(),
    # The wire form has milliseconds.
    moment=st.datetimes(timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    ),
    flag=st.booleans(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(["s", "m"]),
)
trees = st.recursive(
    st.builds(Tree, leaf=leaves | st.none(), leaves=st.just([]), named=st.just({}), trees=st.just([])),
    lambda below: st.builds(
        Tree,
        leaf=leaves | st.none(),
        leaves=st.lists(leaves, max_size=2),
        named=st.dictionaries(texts, leaves, max_size=2),
        trees=st.lists(below, max_size=2),
    ),
    max_leaves=4,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=12,
)
parse_tree = parser_for(Tree, "Tree")
parse_leaf = parser_for(Leaf, "Leaf")


@given(trees)
def test_what_is_written_is_read_back_the_same(tree):
    problems = Problems()
    assert parse_tree(read(dumps(tree), max_depth=50), "", problems) == tree
    assert not problems


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    with suppress(BodyUnreadable):
        read(body, max_depth=10)


@given(json_values)
def test_any_json_is_taken_or_refused_with_a_reason(value):
    try:
        body = read(json.dumps(value).encode(), max_depth=50)
    except BodyUnreadable:
        return
    problems = Problems()
    parsed = parse_tree(body, "", problems)
    assert (parsed is REFUSED) == bool(problems)


@given(leaves, st.sampled_from(list(Leaf.__dataclass_fields__)), json_values)
def test_one_spoilt_field_is_named_alone(leaf, name, value):
    body = json.loads(dumps(leaf))
    body[name] = value
    try:
        body = read(json.dumps(body).encode(), max_depth=50)
    except BodyUnreadable:
        return
    problems = Problems()
    parsed = parse_leaf(body, "", problems)
    if parsed is REFUSED:
        with pytest.raises(FieldsRefused) as refused:
            problems.raise_if_any()
        assert refused.value.fields == (name,)
    else:
        assert isinstance(parsed, Leaf)
        assert not problems
