"""Users, credentials and a real token server."""

import pytest
from django.contrib.auth.models import User

from credentials.actions import create_external_credential, create_named_credential, create_principal
from isthmus.access.actions import assign, ensure_permission_set
from tests.integration.credentials.token_server import TokenServer


@pytest.fixture
def user(db):
    """Somebody without any rights."""
    return User.objects.create_user("clerk")


@pytest.fixture
def allow():
    """Give a user the use of a principal."""

    def give(user, target):
        assign(ensure_permission_set("Callers", "Callers", grants=[("principal", "use", target)]), user)
        return User.objects.get(pk=user.pk)

    return give


@pytest.fixture
def token_server():
    with TokenServer() as server:
        yield server


@pytest.fixture
def acme(token_server):
    """A named credential with client credentials at the token server."""
    external = create_external_credential(
        "Acme_OAuth", protocol="oauth_client_credentials", settings={"token_url": token_server.token_url}
    )
    principal = create_principal(external, "Main", secrets={"client_id": "id", "client_secret": "s3cret"})
    return create_named_credential(
        "Acme",
        url=token_server.api_url,
        external_credential=external,
        principal=principal,
        allow_internal_addresses=True,
    )
