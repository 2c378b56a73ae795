"""YAML is read by the core schema of YAML 1.2, within limits, and gives nothing that JSON does not know."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.external_services.document import yaml12
from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.errors import DocumentTooLarge, DocumentUnreadable


def load(text, **limits):
    return yaml12.load(text, DocumentLimits(**limits))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("0777", 777),
        ("0o17", 15),
        ("0xFF", 255),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("+12", 12),
        ("-0", 0),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("=", "="),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_scalar_means_what_the_core_schema_says(written, meant):
    value = load(f"x: {written}")["x"]
    assert value == meant
    assert type(value) is type(meant)


def test_keys_are_texts():
    assert load("200: a\ntrue: b\nnull: c\n") == {"200": "a", "true": "b", "null": "c"}


def test_of_a_key_that_occurs_twice_the_last_one_counts_and_it_is_remembered():
    repeated = []
    assert yaml12.load("a: 1\nb: 2\na: 3", DocumentLimits(), repeated) == {"a": 3, "b": 2}
    assert repeated == ["a"]


def test_aliases_repeat_and_merge_keys_merge():
    loaded = load("base: &b {x: 1, y: 2}\nsame: *b\nmore:\n  <<: *b\n  y: 3\n")
    assert loaded == {"base": {"x": 1, "y": 2}, "same": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}}
    assert loaded["base"] is loaded["same"]


def test_an_alias_bomb_is_counted_by_what_it_stands_for():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    with pytest.raises(DocumentTooLarge, match="more than 10000 values"):
        load("\n".join(lines), max_nodes=10_000)


def test_a_circle_of_aliases_is_refused():
    with pytest.raises(DocumentUnreadable, match="contains itself"):
        load("a: &a [*a]")


def test_depth_is_limited():
    with pytest.raises(DocumentTooLarge, match="deeper than 20 levels"):
        load("[" * 50 + "]" * 50, max_depth=20)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: !!python/object:os.system x",
        "a: !own x",
        "--- 1\n--- 2\n",
        "x: .nan",
        "x: 1e999",
        "? [a]\n: b",
        "*x",
        "%",
    ],
)
def test_what_json_does_not_know_is_refused(text):
    with pytest.raises(DocumentUnreadable):
        load(text)


def test_nothing_at_all_is_refused():
    with pytest.raises(DocumentUnreadable, match="empty"):
        load("# only a remark\n")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_json_is_read_as_json(value):
    """YAML 1.2 contains JSON."""
    assert load(json.dumps(value, ensure_ascii=False)) == value


def test_a_quoted_merge_key_is_a_key():
    assert load('"<<": {a: 1}') == {"<<": {"a": 1}}


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        loaded = load(text)
    except (DocumentUnreadable, DocumentTooLarge):
        return
    assert json.loads(json.dumps(loaded, allow_nan=False)) == loaded
