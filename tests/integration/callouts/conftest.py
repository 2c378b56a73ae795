"""What the tests of callouts share: a server that misbehaves, and a named credential that leads to it."""

import json

import pytest

from credentials.actions import create_external_credential, create_named_credential, create_principal
from tests.fault_server import Answer, FaultServer


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture
def open_door():
    """An external credential that asks for nothing, with its one principal."""
    external = create_external_credential("Open_Door", protocol="no_authentication")
    return create_principal(external, "Anybody", kind="anonymous").external_credential


@pytest.fixture
def bank(server, open_door):
    """`callout:Bank/…` leads to the server."""
    return create_named_credential(
        "Bank", url=server.url(), external_credential=open_door, allow_internal_addresses=True
    )


@pytest.fixture
def oauth_bank(server):
    """`callout:Oauth_Bank/…` leads to the server, which hands out tokens at `/token`."""
    server.answers["/token"] = lambda _: Answer(
        200,
        json.dumps({"access_token": f"canary-{len(server.requests)}", "token_type": "Bearer"}).encode(),
        {"Content-Type": "application/json"},
    )
    external = create_external_credential(
        "Oauth", protocol="oauth_client_credentials", settings={"token_url": server.url("/token")}
    )
    create_principal(external, "Robot", secrets={"client_id": "robot", "client_secret": "canary-secret"})
    return create_named_credential(
        "Oauth_Bank", url=server.url(), external_credential=external, allow_internal_addresses=True
    )
