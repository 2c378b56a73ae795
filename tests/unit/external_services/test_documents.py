"""Documents are read in any of their forms, or refused with a reason."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.external_services.document.limits import DocumentLimits
from callouts.external_services.document.reading import read
from callouts.external_services.errors import DocumentTooLarge, DocumentUnreadable, VersionUnsupported
from isthmus import clock

MORTGAGES = Path(__file__).parents[2] / "service_documents" / "acme_mortgages.json"
SMALL = {"openapi": "3.0.3", "info": {"title": "Small", "version": "1"}, "paths": {}}


def test_json_and_yaml_say_the_same():
    as_json = read(json.dumps(SMALL))
    as_yaml = read("paths: {}\nopenapi: 3.0.3\ninfo: {version: '1', title: Small}\n")
    assert (as_json.format, as_yaml.format) == ("json", "yaml")
    assert as_json.content == as_yaml.content == SMALL
    assert as_json.digest == as_yaml.digest
    assert (as_json.title, as_json.version, as_json.dialect) == ("Small", "3.0.3", "3.0")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings(encoding):
    text = json.dumps({**SMALL, "info": {"title": "Zürich", "version": "1"}}, ensure_ascii=False)
    assert read(text.encode(encoding)).title == "Zürich"


def test_a_flow_mapping_of_yaml_looks_like_json():
    assert read("{openapi: 3.1.0, info: {title: T, version: '1'}, paths: {},}").format == "yaml"


@pytest.mark.parametrize(
    ("line", "version", "dialect"),
    [
        ("openapi: 3.0", "3.0.0", "3.0"),
        ("openapi: 3.1", "3.1.0", "3.1"),
        ("openapi: '3.1.1'", "3.1.1", "3.1"),
        ("openapi: 3.0.4", "3.0.4", "3.0"),
        ("swagger: '2.0'", "2.0", "2.0"),
        ("swagger: 2.0", "2.0", "2.0"),
    ],
)
def test_versions(line, version, dialect):
    document = read(f"{line}\npaths: {{}}\n")
    assert (document.version, document.dialect) == (version, dialect)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("swagger: '1.2'\npaths: {}\n", "Swagger 1.2"),
        ("openapi: 4.0.0\n", "OpenAPI 4.0.0"),
        ("openapi: 3.2.0\n", "OpenAPI 3.2.0"),
        ("openapi: [3]\n", r"OpenAPI \[3\]"),
        ("paths: {}\n", "names no OpenAPI version"),
    ],
)
def test_other_versions_are_refused(text, told):
    with pytest.raises(VersionUnsupported, match=told) as refused:
        read(text)
    assert refused.value.code == "UNSUPPORTED_OPENAPI_VERSION"


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\x00", b"\x80abc", "[1, 2]", "just text", '{"openapi": NaN}', '{"openapi": 1e999}', '{"a": ']
)
def test_what_is_no_document(text):
    with pytest.raises(DocumentUnreadable):
        read(text)


def test_broken_json_is_told_with_its_place():
    with pytest.raises(DocumentUnreadable, match=r"not JSON: .* \(line 2, column 14\)"):
        read('{"openapi": "3.0.0",\n "paths": {} {} }')


def test_a_key_that_occurs_twice_in_json_is_remembered():
    assert read('{"openapi": "3.0.0", "paths": {}, "x": {"a": 1, "a": 2}}').repeated_keys == ("a",)


def test_size_is_limited():
    with pytest.raises(DocumentTooLarge, match="at most 10 are read"):
        read(json.dumps(SMALL), limits=DocumentLimits(max_bytes=10))


def test_depth_is_limited():
    deep = json.dumps(SMALL)[:-1] + ', "x": ' + "[" * 60 + "]" * 60 + "}"
    assert read(deep, limits=DocumentLimits(max_depth=61)).version == "3.0.3"
    with pytest.raises(DocumentTooLarge, match="deeper than 60 levels"):
        read(deep, limits=DocumentLimits(max_depth=60))
    with pytest.raises(DocumentTooLarge, match="deeper than 200 levels"):
        read('{"x":' + "[" * 100_000 + "]" * 100_000 + "}")


def test_values_are_counted():
    many = json.dumps({**SMALL, "x": list(range(1000))}, separators=(",", ":"))
    with pytest.raises(DocumentTooLarge, match="more than 1000 values"):
        read(many, limits=DocumentLimits(max_nodes=1000))


def test_time_is_limited():
    class Slow:
        """A clock on which every look costs a second."""

        seconds = 0.0

        def now(self):
            return clock.SystemClock().now()

        def monotonic_seconds(self):
            self.seconds += 1
            return self.seconds

    with clock.use(Slow()), pytest.raises(DocumentTooLarge, match=r"within 0\.5 seconds"):
        read(json.dumps(SMALL), limits=DocumentLimits(max_seconds=0.5))


def test_odd_texts_and_numbers_are_read_and_written():
    """U+0000, half a surrogate pair (which is replaced), integers beyond 64 bits: rare, but JSON has them."""
    document = read('{"openapi": "3.0.0", "paths": {}, "x": "\\u0000\\ud800", "n": 123456789012345678901234567890}')
    assert document.content["n"] == 123456789012345678901234567890
    assert document.content["x"] == "\x00?"
    assert json.loads(document.canonical) == document.content


def test_braces_within_texts_do_not_count_as_depth():
    assert read(json.dumps({**SMALL, "x": ["{[" * 500, "}"]})).version == "3.0.3"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=30,
    ),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_the_quick_way_of_reading_says_the_same_as_the_careful_one(extra, indent, is_ascii):
    text = json.dumps({**SMALL, "x-extra": extra}, indent=indent, ensure_ascii=is_ascii)
    assert read(text).content == json.loads(text)


def test_references_are_found_wherever_they_stand():
    content = {**SMALL, "x": [{"$ref": "#/a"}, {"$ref": 7}, {"$ref": 'say "hi"\\'}]}
    assert read(json.dumps(content)).references == {"#/a", 'say "hi"\\'}


def test_the_mortgage_document_is_read_as_it_is_published():
    document = read(MORTGAGES.read_bytes())
    assert (document.title, document.version, document.format) == ("Acme Mortgages", "3.0.0", "json")
