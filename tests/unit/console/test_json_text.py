"""JSON is shown as it came: moved about, never changed, always escaped."""

import json

import pytest
from django.utils.html import escape, strip_tags
from hypothesis import given
from hypothesis import strategies as st

from isthmus.console.json_text import LONGEST_HIGHLIGHTED, highlighted, indented

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_indenting_changes_no_value(value):
    assert json.loads(indented(json.dumps(value))) == value


@given(st.text())
def test_whatever_came_no_markup_of_it_reaches_the_page(text):
    shown = str(highlighted(text))
    without_ours = shown.replace("</span>", "")
    for css_class in ("key", "text", "value", "mark"):
        without_ours = without_ours.replace(f'<span class="json-{css_class}">', "")
    assert "<" not in without_ours
    assert ">" not in without_ours


def test_a_number_keeps_its_digits():
    assert indented('{"rate": 1.10, "big": 100000000000000000000, "small": 1e-7}') == (
        '{\n  "rate": 1.10,\n  "big": 100000000000000000000,\n  "small": 1e-7\n}'
    )


def test_empty_containers_stay_on_one_line():
    assert indented({"a": [], "b": {}}) == '{\n  "a": [],\n  "b": {}\n}'


def test_marks_within_texts_are_text():
    assert indented('{"a": "x, {y}: \\"z\\""}') == '{\n  "a": "x, {y}: \\"z\\""\n}'


@pytest.mark.parametrize("text", ["not json", "<b>bold</b>", '{"cut off', "", "[" * 5000])
def test_what_is_not_json_is_shown_as_it_is(text):
    assert indented(text) == text
    assert highlighted(text) == escape(text)


def test_a_very_long_body_is_shown_plain():
    text = json.dumps(["x" * LONGEST_HIGHLIGHTED])
    assert indented(text) == text


def test_keys_texts_and_values_are_told_apart():
    shown = str(highlighted('{"a": "b", "c": true}'))
    assert '<span class="json-key">&quot;a&quot;</span>' in shown
    assert '<span class="json-text">&quot;b&quot;</span>' in shown
    assert '<span class="json-value">true</span>' in shown
    assert strip_tags(shown).startswith("{")
