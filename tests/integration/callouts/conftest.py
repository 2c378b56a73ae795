"""What the tests of callouts share: a server that misbehaves, and a named credential that leads to it."""

import pytest

from credentials.actions import create_external_credential, create_named_credential, create_principal
from tests.fault_server import FaultServer


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
