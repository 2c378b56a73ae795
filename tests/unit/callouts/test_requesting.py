"""What is refused before it could mean two things on the wire."""

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts import errors, requesting
from isthmus import correlation

PLAIN = {
    "params": None, "json": None, "data": None, "headers": None, "idempotency_key": None, "max_body_bytes": 1000,
}  # fmt: skip


def prepare(method="POST", url="https://bank.example/a", **arguments):
    return requesting.prepare(method, url, **{**PLAIN, **arguments})


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("callout:Bank/loans?page=2", ("Bank", "/loans?page=2")),
        ("callout:Bank", ("Bank", "")),
        ("callout:Bank_2?x=1", ("Bank_2", "?x=1")),
    ],
)
def test_a_callout_address_names_a_credential(url, parts):
    assert requesting.parse_callout_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "https://bank.example/", "callout:", "callout:/loans", "callout:2Bank/x", "callout:Bank@evil/x", "bank/loans",
        "callout:Bank:8080/x", "callout:Bank/a b", "callout:Bank/a\nHost: evil", "callout:Bank/a\x00",
        "callout:Bank/a#b",
        "callout:Bank\\evil", "", "CALLOUT:Bank/x",
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    with pytest.raises(errors.InvalidCallout):
        requesting.parse_callout_url(url)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_named_error(text):
    try:
        name, rest = requesting.parse_callout_url(f"callout:{text}")
    except errors.InvalidCallout:
        return
    assert f"{name}{rest}" == text
    assert name.isascii()


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", " a", "a ", "Grüße€", 5, None, b"a"])
def test_a_header_value_that_could_begin_another_header_is_refused(value):
    with pytest.raises(errors.InvalidCallout):
        prepare(headers={"X-Sample": value})


@pytest.mark.parametrize("name", ["X Evil", "X:Evil", "X\r\nEvil", "", "Grüße"])
def test_a_header_name_that_is_none_is_refused(name):
    with pytest.raises(errors.InvalidCallout):
        prepare(headers={name: "x"})


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "Expect"])
def test_the_transports_own_headers_are_refused(name):
    with pytest.raises(errors.InvalidCallout, match="transport"):
        prepare(headers={name: "1"})


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "GET\r\n", "", "BREW"])
def test_other_methods_are_refused(method):
    with pytest.raises(errors.InvalidCallout):
        prepare(method)


def test_the_correlation_id_goes_along():
    with correlation.bind("order-5"):
        assert prepare().headers["X-Request-Id"] == "order-5"


def test_the_callers_own_request_id_is_kept():
    assert prepare(headers={"x-request-id": "theirs"}).headers["X-Request-Id"] == "theirs"


def test_an_idempotency_key_is_a_header():
    assert prepare(idempotency_key="order-5").headers["Idempotency-Key"] == "order-5"
    with pytest.raises(errors.InvalidCallout, match="twice"):
        prepare(idempotency_key="order-5", headers={"idempotency-key": "order-6"})


def test_bodies():
    assert prepare(json={"amount": 5}).body == b'{"amount": 5}'
    assert prepare(data="Grüße").body == "Grüße".encode()
    assert prepare(data={"a": "ü b"}).body == b"a=%C3%BC+b"
    assert prepare(data=[("a", "1"), ("a", "2")]).body == b"a=1&a=2"
    assert prepare().body is None
    assert prepare(json={}).headers["Content-Type"] == "application/json"


def test_a_body_over_the_limit_is_refused():
    assert len(prepare(data=b"x" * 1000).body) == 1000
    with pytest.raises(errors.BodyTooLarge, match="1001 bytes"):
        prepare(data=b"x" * 1001)


@pytest.mark.parametrize(
    "arguments", [{"json": 1, "data": b"x"}, {"data": iter([b"x"])}, {"json": float("nan")}, {"data": 5}]
)
def test_bodies_that_cannot_be_sent_are_refused(arguments):
    with pytest.raises(errors.InvalidCallout):
        prepare(**arguments)


def test_parameters_are_added_to_the_query():
    assert prepare(url="https://bank.example/a?x=1", params={"q": "ü&"}).url == "https://bank.example/a?x=1&q=%C3%BC%26"


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(ANY, ANY, st.dictionaries(st.from_regex(r"[a-z&=?/ ]{1,8}", fullmatch=True), ANY, max_size=4))
def test_whatever_a_value_holds_it_stays_in_its_place(one, other, params):
    """An address has the segments and the parameters that code wrote down, whatever the values are."""
    try:
        url = requesting.filled("https://bank.example/a/{one}/b/{other}/c?fixed=1", {"one": one, "other": other})
    except errors.InvalidCallout:
        assert {one, other} & {"", ".", ".."}
        return
    prepared = prepare(url=url, params=params)
    parts = urlsplit(prepared.url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "bank.example", "")
    segments = [unquote(segment) for segment in parts.path.split("/")]
    assert segments == ["", "a", one, "b", other, "c"]
    asked = parse_qsl(parts.query, keep_blank_values=True)
    assert asked == [("fixed", "1"), *params.items()]


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(), max_size=3))
def test_values_and_places_have_to_agree(path):
    if set(path) == {"a", "b"}:
        assert requesting.filled("callout:X/{a}/{b}", path) == f"callout:X/{path['a']}/{path['b']}"
    else:
        with pytest.raises(errors.InvalidCallout, match="do not agree"):
            requesting.filled("callout:X/{a}/{b}", path)


def test_braces_in_a_query_are_no_places():
    assert requesting.filled("callout:X/{a}?filter={b}", {"a": 1}) == "callout:X/1?filter={b}"
    assert requesting.filled("callout:X/{a}", None) == "callout:X/{a}"
