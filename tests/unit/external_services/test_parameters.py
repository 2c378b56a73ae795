"""Parameters are written as OpenAPI's table of styles says."""

import pytest

from callouts.external_services.description.definitions import ParameterDefinition
from callouts.external_services.writing.parameters import (
    UnwritableValue,
    as_cookie,
    as_header,
    as_path,
    as_query,
    from_header,
)

ARRAY = ["blue", "black", "brown"]
OBJECT = {"R": 100, "G": 200, "B": 150}


def parameter(location, style="simple", explode=False, **more):
    return ParameterDefinition(
        name="color", location=location, python_name="color", style=style, explode=explode, **more
    )


@pytest.mark.parametrize(
    ("style", "explode", "value", "text"),
    [
        ("simple", False, "blue", "blue"),
        ("simple", False, ARRAY, "blue,black,brown"),
        ("simple", False, OBJECT, "R,100,G,200,B,150"),
        ("simple", True, OBJECT, "R=100,G=200,B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, ARRAY, ".blue,black,brown"),
        ("label", True, ARRAY, ".blue.black.brown"),
        ("label", True, OBJECT, ".R=100.G=200.B=150"),
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, ARRAY, ";color=blue,black,brown"),
        ("matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
        ("matrix", True, OBJECT, ";R=100;G=200;B=150"),
        ("simple", False, "a/b?c#d %", "a%2Fb%3Fc%23d%20%25"),
        ("simple", False, 7, "7"),
        ("simple", False, True, "true"),
    ],
)
def test_in_a_path(style, explode, value, text):
    assert as_path(parameter("path", style, explode), value) == text


@pytest.mark.parametrize("value", ["", ".", "..", [], {"a": {"b": 1}}])
def test_what_would_be_another_path_is_refused(value):
    with pytest.raises(UnwritableValue):
        as_path(parameter("path"), value)


@pytest.mark.parametrize(
    ("style", "explode", "value", "pairs"),
    [
        ("form", True, "blue", ["color=blue"]),
        ("form", True, ARRAY, ["color=blue", "color=black", "color=brown"]),
        ("form", False, ARRAY, ["color=blue,black,brown"]),
        ("form", True, OBJECT, ["R=100", "G=200", "B=150"]),
        ("form", False, OBJECT, ["color=R,100,G,200,B,150"]),
        ("spaceDelimited", False, ARRAY, ["color=blue%20black%20brown"]),
        ("pipeDelimited", False, ARRAY, ["color=blue%7Cblack%7Cbrown"]),
        ("spaceDelimited", False, OBJECT, ["color=R%20100%20G%20200%20B%20150"]),
        ("pipeDelimited", False, OBJECT, ["color=R%7C100%7CG%7C200%7CB%7C150"]),
        ("tabDelimited", False, ARRAY, ["color=blue%09black%09brown"]),
        ("deepObject", True, OBJECT, ["color%5BR%5D=100", "color%5BG%5D=200", "color%5BB%5D=150"]),
        ("deepObject", True, {"a": {"b": [1, 2]}}, ["color%5Ba%5D%5Bb%5D=1", "color%5Ba%5D%5Bb%5D=2"]),
        ("form", True, "a&b=c d", ["color=a%26b%3Dc%20d"]),
        ("form", True, "", ["color="]),
        ("form", True, [], []),
    ],
)
def test_in_a_query(style, explode, value, pairs):
    assert as_query(parameter("query", style, explode), value) == pairs


def test_reserved_characters_and_json_in_a_query():
    assert as_query(parameter("query", "form", True, allow_reserved=True), "a/b:c") == ["color=a/b:c"]
    assert as_query(parameter("query", "form", True, media_type="application/json"), {"a": [1]}) == [
        "color=%7B%22a%22%3A%5B1%5D%7D"
    ]


def test_in_a_header_and_a_cookie():
    assert as_header(parameter("header"), ARRAY) == "blue,black,brown"
    assert as_header(parameter("header", explode=True), OBJECT) == "R=100,G=200,B=150"
    assert as_cookie(parameter("cookie", "form", True), "a;b") == "color=a%3Bb"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00", "ü"])
def test_a_header_takes_no_second_line(value):
    with pytest.raises(UnwritableValue):
        as_header(parameter("header"), value)


def test_a_parameter_with_content_of_another_type_is_written_as_text():
    plain = parameter("query", "form", True, media_type="text/plain")
    assert as_query(plain, "a b") == ["color=a%20b"]
    assert as_header(parameter("header", media_type="text/plain"), "x") == "x"


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", "integer", 3), ("x", "integer", "x"), ("1.5", "number", 1.5), ("true", "boolean", True),
        ("maybe", "boolean", "maybe"), ("a, b", "array", ["a", "b"]), ("3", "string", "3"), ("3", "", "3"),
    ],
)  # fmt: skip
def test_headers_are_read_in_the_types_of_their_schemas(text, kind, value):
    assert from_header(text, kind) == value
