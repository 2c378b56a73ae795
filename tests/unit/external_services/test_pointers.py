"""JSON pointers follow RFC 6901."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.external_services.document import pointers

EXAMPLE = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", EXAMPLE), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3),
        ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_the_examples_of_the_standard(pointer, value):
    assert pointers.resolve(EXAMPLE, pointer) == value


@pytest.mark.parametrize(
    "pointer", ["/foo/2", "/foo/01", "/foo/-", "/foo/-1", "/nothing", "/foo/0/x", "/foo/99999999999"]
)
def test_nothing_there(pointer):
    with pytest.raises(pointers.PointsNowhere):
        pointers.resolve(EXAMPLE, pointer)


@pytest.mark.parametrize("text", ["foo", "/a~", "/a~2", "#/a"])
def test_what_is_no_pointer(text):
    with pytest.raises(pointers.InvalidPointer):
        pointers.parse(text)


PARTS = st.lists(st.text(), max_size=5)


@given(PARTS)
def test_joined_parts_are_parsed_back(parts):
    assert pointers.parse(pointers.join(*parts)) == parts


@given(PARTS.filter(bool), st.integers())
def test_what_is_placed_is_found(parts, value):
    pointer = pointers.join(*parts)
    assert pointers.resolve(pointers.placed(None, pointer, value), pointer) == value


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(VALUES, st.lists(st.text(max_size=3) | st.sampled_from(["0", "1", "-"]), min_size=1, max_size=4))
def test_placing_changes_nothing_but_the_place(document, parts):
    """The given document stays as it is, whatever happens."""
    before = repr(document)
    with suppress(pointers.PointsNowhere):
        pointers.placed(document, pointers.join(*parts), "here")
    assert repr(document) == before


def test_placing_keeps_what_is_beside_it():
    assert pointers.placed({"a": {"b": 1}}, "/a/c/d", 2) == {"a": {"b": 1, "c": {"d": 2}}}
    assert pointers.placed({"a": [1]}, "/a/-", 2) == {"a": [1, 2]}
    assert pointers.placed({"a": [1]}, "/a/0", 2) == {"a": [2]}


@pytest.mark.parametrize(
    ("document", "pointer"), [({"a": 1}, "/a/b"), ({"a": [1]}, "/a/5"), ({"a": [1]}, "/a/x/y"), ("text", "/a")]
)
def test_a_place_that_is_taken_by_something_else(document, pointer):
    with pytest.raises(pointers.PointsNowhere):
        pointers.placed(document, pointer, 1)
