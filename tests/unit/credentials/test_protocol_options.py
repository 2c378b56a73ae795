"""Settings and secrets are validated against the options that a protocol declares."""

import pytest

from credentials.errors import SecretRefused, SettingsRefused, UnknownProtocol
from credentials.protocols.basic import Basic
from credentials.protocols.no_authentication import NoAuthentication
from credentials.protocols.oauth_client_credentials import OAuthClientCredentials
from credentials.protocols.options import ProtocolOption, cleaned_secrets, cleaned_settings
from credentials.registry import all_protocols, get_protocol, register_protocol, register_protocol_temporarily

OAUTH = OAuthClientCredentials.options
URL = "https://login.acme.example/token"


def test_defaults_are_filled_in():
    assert cleaned_settings(OAUTH, {"token_url": URL}) == {
        "token_url": URL,
        "client_authentication": "header",
        "certificate": "",
        "assertion_audience": "",
        "key_id": "",
        "scope": "",
        "audience": "",
    }


@pytest.mark.parametrize(
    ("settings", "field", "sentence"),
    [
        ({}, "token_url", "Token URL is required"),
        ({"token_url": 1}, "token_url", "takes a url value"),
        ({"token_url": True}, "token_url", "takes a url value"),
        ({"token_url": "/token"}, "token_url", "not an absolute address"),
        ({"token_url": "ftp://a.example"}, "token_url", "not an absolute address"),
        ({"token_url": "https://"}, "token_url", "not an absolute address"),
        ({"token_url": "https://a b.example"}, "token_url", "not an absolute address"),
        ({"token_url": "https://a.example:x"}, "token_url", "not an absolute address"),
        ({"token_url": "https://u:p@a.example"}, "token_url", "user name, password"),
        ({"token_url": "https://a.example#f"}, "token_url", "fragment"),
        ({"token_url": URL + "\n"}, "token_url", "control character"),
        ({"token_url": URL, "client_authentication": "query"}, "client_authentication", "one of: header, body"),
        ({"token_url": URL, "client_authentication": ""}, "client_authentication", "is required"),
        ({"token_url": URL, "scope": 'a"b'}, "scope", "without quotes"),
        ({"token_url": URL, "scope": "a" * 8001}, "scope", "longer than 8,000"),
        ({"token_url": URL, "colour": "red"}, "colour", "The protocol knows: token_url"),
        ({"token_url": URL, "client_secret": "s"}, "client_secret", "Unknown"),
    ],
)
def test_what_does_not_fit_is_named(settings, field, sentence):
    with pytest.raises(SettingsRefused, match=sentence) as caught:
        cleaned_settings(OAUTH, settings)
    assert caught.value.fields == (field,)


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(SettingsRefused) as caught:
        cleaned_settings(OAUTH, {"scope": "é"})
    assert caught.value.fields == ("token_url", "scope")


@pytest.mark.parametrize(
    ("secrets", "field"),
    [
        ({"username": "a:canary"}, "username"),
        ({"password": "canary\n"}, "password"),
        ({"password": "can\0ary"}, "password"),
        ({"password": ""}, "password"),
        ({"password": 7}, "password"),
        ({"canary": "canary"}, "canary"),
    ],
)
def test_a_secret_that_does_not_fit_is_never_quoted(secrets, field):
    with pytest.raises(SecretRefused) as caught:
        cleaned_secrets(Basic.options, secrets)
    assert caught.value.fields == (field,)
    assert "canary" not in caught.value.message.replace("Unknown: canary", "")


@pytest.mark.parametrize("mask", ["***", "********", "•••••", "●●●", "*" * 40])
def test_a_mask_that_is_sent_back_is_no_secret(mask):
    with pytest.raises(SecretRefused, match="mask") as caught:
        cleaned_secrets(Basic.options, {"password": mask})
    assert caught.value.fields == ("password",)


def test_secrets_may_be_given_one_at_a_time_and_hold_any_text():
    assert cleaned_secrets(Basic.options, {"password": " pä$$: 🔑 "}) == {"password": " pä$$: 🔑 "}


def test_numbers_and_checkboxes_are_no_texts():
    options = (
        ProtocolOption(name="port", label="Port", type="number", default=1),
        ProtocolOption(name="strict", label="Strict", type="checkbox", default=False),
    )
    assert cleaned_settings(options, {}) == {"port": 1, "strict": False}
    with pytest.raises(SettingsRefused):
        cleaned_settings(options, {"port": True})
    with pytest.raises(SettingsRefused):
        cleaned_settings(options, {"strict": 1})


def test_every_option_of_every_protocol_is_fit_for_a_form():
    for protocol in all_protocols():
        for option in protocol.options:
            assert option.label
            assert not (option.is_sensitive and option.default)
            assert option.is_sensitive or option.problem_with(option.default) is None or option.is_required


def test_protocols_are_found_by_name():
    assert get_protocol("basic") is Basic
    with pytest.raises(UnknownProtocol, match="there are: aws_signature_v4, basic, custom_headers, no_auth"):
        get_protocol("Basic")


def test_a_protocol_is_registered_once_and_declares_each_option_once():
    with pytest.raises(ValueError, match="registered already"):
        register_protocol(Basic)

    class Twice(NoAuthentication):
        name = "twice"
        options = (ProtocolOption(name="a", label="A"), ProtocolOption(name="a", label="A"))

    with pytest.raises(ValueError, match="an option twice"):
        register_protocol(Twice)

    class Mine(NoAuthentication):
        name = "mine"

    with register_protocol_temporarily(Mine):
        assert get_protocol("mine") is Mine
    with pytest.raises(UnknownProtocol):
        get_protocol("mine")
