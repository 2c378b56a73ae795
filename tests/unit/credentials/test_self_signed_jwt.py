"""A token that is signed here says what it should, for as long as it should, under the certificate's key."""

import json

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from credentials import certificates
from credentials.errors import PrincipalNotConfigured
from credentials.protocols.base import AuthenticationContext, SigningKey
from credentials.protocols.options import cleaned_settings
from credentials.protocols.self_signed_jwt import SelfSignedJwt
from credentials.testing import InMemoryTokenStore


def key_of(key_type):
    pair = certificates.self_signed(certificates.new_private_key(key_type), "signer", days=5)
    facts = certificates.facts_of(pair.certificate_pem)
    return SigningKey(
        name="Signer",
        certificate_pem=pair.certificate_pem,
        private_key_pem=pair.private_key_pem,
        fingerprint=facts.fingerprint,
    )


def signed(key, user=None, **settings):
    given = {"certificate": "Signer", "issuer": "isthmus", "subject": "robot", **settings}
    protocol = SelfSignedJwt(
        AuthenticationContext(
            settings=cleaned_settings(SelfSignedJwt.options, given, refuse=SelfSignedJwt.refuse_settings),
            secrets={},
            tokens=InMemoryTokenStore(),
            user=user or {},
            certificates={"certificate": key},
        )
    )
    request = requests.Request("GET", "https://api.example:8443/v1/x?y=1").prepare()
    return next(protocol.flow(request)).headers["Authorization"].removeprefix("Bearer ")


def opened(token, key, algorithm):
    certificate = x509.load_pem_x509_certificate(key.certificate_pem.encode())
    pem = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    loaded = (RSAKey if algorithm == "RS256" else ECKey).import_key(pem)
    return jwt.decode(token, loaded, algorithms=[algorithm])


@pytest.mark.parametrize(("key_type", "algorithm"), [("rsa-2048", "RS256"), ("ec-p256", "ES256")])
def test_the_key_chooses_the_algorithm_and_anybody_can_verify(key_type, algorithm, moving_clock):
    key = key_of(key_type)
    token = opened(signed(key), key, algorithm)
    now = int(moving_clock.now().timestamp())
    assert {name: token.claims[name] for name in ("iss", "sub", "aud", "iat", "exp")} == {
        "iss": "isthmus",
        "sub": "robot",
        "aud": "https://api.example:8443",
        "iat": now,
        "exp": now + 180,
    }
    assert token.header["alg"] == algorithm
    assert token.header["x5t#S256"]


def test_further_claims_audience_key_id_and_user_come_along():
    key = key_of("ec-p256")
    token = opened(
        signed(
            key,
            user={"username": "ada", "email": "ada@example.org", "id": "7"},
            subject="{username}|{id}",
            audience="warehouse",
            claims=json.dumps({"scope": "read", "n": 1}),
            key_id="ours-2026",
            lifetime_seconds=60,
        ),
        key,
        "ES256",
    )
    assert (token.claims["sub"], token.claims["aud"], token.claims["scope"]) == ("ada|7", "warehouse", "read")
    assert token.header["kid"] == "ours-2026"


def test_no_two_tokens_are_the_same():
    key = key_of("ec-p256")
    first, second = (opened(signed(key), key, "ES256").claims["jti"] for _ in range(2))
    assert first != second


def test_without_a_user_a_subject_that_needs_one_is_refused():
    with pytest.raises(PrincipalNotConfigured, match="username"):
        signed(key_of("ec-p256"), subject="{username}")
