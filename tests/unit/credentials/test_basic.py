"""HTTP Basic and no authentication: the caller's request stays as it is, the copy is signed."""

import base64

import pytest
import requests

from credentials.protocols.base import AuthenticationContext, AuthenticationProtocol
from credentials.protocols.basic import Basic
from credentials.protocols.no_authentication import NoAuthentication
from credentials.testing import InMemoryTokenStore
from isthmus.vault.secret import Secret


def context(**secrets):
    kept = {name: Secret(value) for name, value in secrets.items()}
    return AuthenticationContext(settings={}, secrets=kept, tokens=InMemoryTokenStore())


def prepared(**headers):
    return requests.Request("POST", "https://a.example/x", headers=headers, data=b"body").prepare()


@pytest.mark.parametrize(("username", "password"), [("user", "pass"), ("üser", "p:ä$$ "), ("u", "")])
def test_basic_sends_both_as_utf8(username, password):
    request = prepared()
    (signed,) = Basic(context(username=username, password=password)).flow(request)
    scheme, _, encoded = signed.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded).decode() == f"{username}:{password}"
    assert (signed.method, signed.url, signed.body) == ("POST", "https://a.example/x", b"body")
    assert "Authorization" not in request.headers


def test_basic_replaces_what_the_caller_gave():
    (signed,) = Basic(context(username="u", password="p")).flow(prepared(Authorization="Bearer mine"))
    assert signed.headers["Authorization"].startswith("Basic ")


def test_no_authentication_adds_nothing():
    request = prepared(A="b")
    (sent,) = NoAuthentication(context()).flow(request)
    assert sent is not request
    assert sent.headers == request.headers


def test_a_protocol_without_a_flow_cannot_be_made():
    class Forgotten(AuthenticationProtocol):
        name = label = "forgotten"

    with pytest.raises(TypeError, match="flow"):
        Forgotten(context())
