"""A certified authorization server, and an API that takes its tokens."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.conf import settings

from credentials import certificates
from tests.peers.oidc_provider import OidcProvider, require_oidc_provider

__all__ = ["oidc", "signing_pair"]

REDIRECT_URI = f"{settings.BASE_URL}/services/authcallback/Acme"


@pytest.fixture(scope="module")
def signing_pair():
    """A key and its self-signed certificate."""
    return certificates.self_signed(certificates.new_private_key("rsa-2048"), "isthmus.test", days=30)


@pytest.fixture(scope="module")
def oidc(signing_pair):
    """npm's oidc-provider, once a module."""
    require_oidc_provider()
    key = load_pem_private_key(signing_pair.private_key_pem.reveal().encode(), None).public_key()
    public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with OidcProvider(redirect_uri=REDIRECT_URI, public_key_pem=public) as server:
        yield server
