"""A template reaches its parameters and nothing else; a header that it makes breaks no line."""

import base64
import doctest

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from credentials.errors import SecretRefused, SettingsRefused
from credentials.protocols import templates
from credentials.protocols.base import AuthenticationContext
from credentials.protocols.custom_headers import CustomHeaders
from credentials.protocols.options import cleaned_settings
from credentials.protocols.templates import FUNCTIONS, Template
from credentials.testing import InMemoryTokenStore
from isthmus.vault.secret import Secret

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def test_the_examples_hold():
    assert doctest.testmod(templates).failed == 0


@given(st.lists(st.one_of(texts, names.map(lambda name: (name,))), max_size=8), st.data())
def test_what_is_written_comes_out_with_the_values_in_their_places(pieces, data):
    values = {piece[0]: data.draw(texts) for piece in pieces if isinstance(piece, tuple)}
    written = "".join(
        f"{{{piece[0]}}}" if isinstance(piece, tuple) else piece.replace("{", "{{").replace("}", "}}")
        for piece in pieces
    )
    wanted = "".join(values[piece[0]] if isinstance(piece, tuple) else piece for piece in pieces)
    template = Template.parse(written)
    assert template.parameters == values.keys()
    assert template.render(values) == wanted


@given(st.text(max_size=200))
def test_any_text_is_a_template_or_refused(text):
    try:
        template = Template.parse(text)
    except SettingsRefused:
        return
    assert isinstance(template.render(dict.fromkeys(template.parameters, "v")), str)


@pytest.mark.parametrize(
    "text",
    [
        "{a.b}", "{a[0]}", "{a.__class__}", "{0}", "{}", "{a!r}", "{a:>10}", "{a b}", "{", "}", "{a", "a}", "{{a}",
        "{a|eval}", "{a|base64|nothing}", "{a|}", "{!$User.Id}", "{!$Credential.Acme}", "${a}{", "{_a}",
    ],
)  # fmt: skip
def test_whatever_reaches_further_is_refused(text):
    with pytest.raises(SettingsRefused):
        Template.parse(text)


def test_a_value_is_never_read_as_a_template():
    assert Template.parse("{a}").render({"a": "{b} {a.__class__}"}) == "{b} {a.__class__}"


def test_functions_are_applied_in_their_order():
    assert Template.parse("{a|upper|base64}").render({"a": "x"}) == base64.b64encode(b"X").decode()
    assert {name: function("é?") for name, function in FUNCTIONS.items()} == {
        "base64": "w6k/",
        "base64url": "w6k_",
        "hex": "c3a93f",
        "lower": "é?",
        "upper": "É?",
        "urlencode": "%C3%A9%3F",
    }


def test_a_long_template_is_refused():
    with pytest.raises(SettingsRefused, match="long"):
        Template.parse("x" * 4_001)


# --- as headers -------------------------------------------------------------------------------------------------------
def signed(settings, secrets, url="https://a.example/x?api_key=theirs&page=2"):
    protocol = CustomHeaders(
        AuthenticationContext(
            settings=cleaned_settings(CustomHeaders.options, settings, refuse=CustomHeaders.refuse_settings),
            secrets={name: Secret(value) for name, value in secrets.items()},
            tokens=InMemoryTokenStore(),
        )
    )
    return next(protocol.flow(requests.Request("GET", url, headers={"X-Api-Key": "theirs"}).prepare()))


def test_headers_and_query_carry_the_parameters():
    made = signed(
        {"headers": "X-Api-Key: {Key}\nAuthorization: ApiKey {Key|base64}\n", "query": "api_key={Key}&"},
        {"Key": "k&=y"},
    )
    assert made.headers["X-Api-Key"] == "k&=y"
    assert made.headers["Authorization"] == f"ApiKey {base64.b64encode(b'k&=y').decode()}"
    assert made.url == "https://a.example/x?page=2&api_key=k%26%3Dy%26"


def test_the_parameters_are_the_secrets_that_a_principal_is_asked_for():
    settings = {"headers": "X-A: {User}:{Pass}", "query": "k={Key}"}
    assert [option.name for option in CustomHeaders.secret_options(settings)] == ["Key", "Pass", "User"]
    assert CustomHeaders.masked_names(settings) == {"x-a", "k"}


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "a\rb"])
def test_a_value_with_a_line_break_makes_no_header(value):
    with pytest.raises(SecretRefused) as caught:
        signed({"headers": "X-Api-Key: {Key}"}, {"Key": value})
    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "Give a header"),
        ({"headers": "Host: {Key}"}, "platform's own"),
        ({"headers": "Content-Length: 1"}, "platform's own"),
        ({"headers": "X-A {Key}"}, "Line 1 of headers"),
        ({"headers": "X-A: ok\nX B: {Key}"}, "Line 2 of headers"),
        ({"headers": "X-A: {a}\nx-a: {b}"}, "stands twice"),
        ({"headers": "X-A: {Key.x}"}, "Line 1 of headers"),
        ({"query": "a b={Key}"}, "Line 1 of query"),
        ({"headers": "\n".join(f"X-{i}: a" for i in range(21))}, "More than 20"),
        ({"headers": "X-A: a\rX-B: b"}, "control character"),
    ],
)
def test_settings_that_make_no_header_are_refused(settings, told):
    with pytest.raises(SettingsRefused, match=told):
        cleaned_settings(CustomHeaders.options, settings, refuse=CustomHeaders.refuse_settings)
