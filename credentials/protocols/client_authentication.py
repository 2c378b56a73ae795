"""How an OAuth client proves itself to a token endpoint (https://www.rfc-editor.org/rfc/rfc6749#section-2.3)."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

from authlib.oauth2.rfc6749.parameters import prepare_token_request
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from django.views.decorators.debug import sensitive_variables
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from credentials.errors import PrincipalNotConfigured, SettingsRefused
from credentials.protocols.base import SigningKey, TokenRequest
from isthmus import clock, ids
from isthmus.vault.secret import Secret

__all__ = [
    "BODY",
    "CLIENT_AUTHENTICATION_CHOICES",
    "HEADER",
    "JWT_ALGORITHMS",
    "NONE",
    "PRIVATE_KEY_JWT",
    "OAuthClient",
    "algorithm_of",
    "client_request",
    "signed_jwt",
    "token_request",
]

HEADER, BODY, PRIVATE_KEY_JWT, NONE = "header", "body", "private_key_jwt", "none"
CLIENT_AUTHENTICATION_CHOICES = (
    (HEADER, "Secret in the Authorization header"),
    (BODY, "Secret in the body"),
    (PRIVATE_KEY_JWT, "Signed assertion (private_key_jwt)"),
)
JWT_ALGORITHMS = ("RS256", "ES256", "ES384", "ES512")

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, kw_only=True)
class OAuthClient:
    """Who asks a token endpoint, and how it proves that."""

    client_id: Secret
    authentication: str = HEADER
    """One of `header`, `body`, `private_key_jwt`, `none`."""
    client_secret: Secret | None = None
    signing_key: SigningKey | None = None
    assertion_audience: str = ""
    """Whom an assertion is for; "" means the address of the token endpoint."""
    key_id: str = ""
    """How the server knows our key (`kid`); "" means its thumbprint."""


@sensitive_variables()
def token_request(url: str, client: OAuthClient | None, grant_type: str, fields: Mapping[str, str]) -> TokenRequest:
    """Return the request for a token; empty fields are left out, and a `client` of `None` proves nothing.

    Raises `PrincipalNotConfigured` when the client lacks what proves it.
    """
    headers: dict[str, str] = {}
    sent = _proven(url, client, fields, headers)
    return _prepared(url, headers, prepare_token_request(grant_type, **sent))


@sensitive_variables()
def client_request(url: str, client: OAuthClient, fields: Mapping[str, str]) -> TokenRequest:
    """Return what else a client asks an issuer: to revoke a token, say. Raises as `token_request` does."""
    headers: dict[str, str] = {}
    sent = _proven(url, client, fields, headers)
    return _prepared(url, headers, urlencode(sent))


@sensitive_variables()
def signed_jwt(key: SigningKey, claims: Mapping[str, object], *, lifetime_seconds: int, key_id: str = "") -> str:
    """Return a JWT (https://www.rfc-editor.org/rfc/rfc7519) signed with the key of a certificate.

    `iat`, `exp` and `jti` are set here. `x5t#S256` names the certificate, `kid` the key: `key_id`, or "" for its
    thumbprint (https://www.rfc-editor.org/rfc/rfc7638).
    """
    algorithm = algorithm_of(key)
    certificate = x509.load_pem_x509_certificate(key.certificate_pem.encode())
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
    now = int(clock.now().timestamp())
    timed = {"iat": now, "exp": now + lifetime_seconds, "jti": str(ids.new_uuid()), **claims}
    pem = key.private_key_pem.reveal()
    loaded = RSAKey.import_key(pem) if algorithm == "RS256" else ECKey.import_key(pem)
    header = {
        "alg": algorithm,
        "typ": "JWT",
        "kid": key_id or loaded.thumbprint(),
        "x5t#S256": thumbprint.rstrip(b"=").decode(),
    }
    return jwt.encode(header, timed, loaded, algorithms=list(JWT_ALGORITHMS))


@sensitive_variables()
def algorithm_of(key: SigningKey) -> str:
    """Return the algorithm that the key signs with. Raises `SettingsRefused` for a key that signs no JWT."""
    private_key = load_pem_private_key(key.private_key_pem.reveal().encode(), None)
    if isinstance(private_key, rsa.RSAPrivateKey):
        return "RS256"
    if isinstance(private_key, ec.EllipticCurvePrivateKey) and private_key.curve.name in _CURVES:
        return _CURVES[private_key.curve.name]
    raise SettingsRefused(f"The key of the certificate {key.name} signs no JWT: it takes RSA or a NIST curve.")


@sensitive_variables()
def _proven(url: str, client: OAuthClient | None, fields: Mapping[str, str], headers: dict[str, str]) -> dict[str, str]:
    given = {name: value for name, value in fields.items() if value}
    return given | _proof(url, client, headers) if client else given


@sensitive_variables()
def _prepared(url: str, headers: dict[str, str], body: str) -> TokenRequest:
    request = TokenRequest()
    request.prepare(
        method="POST",
        url=url,
        headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded", **headers},
        data=body,
    )
    return request


@sensitive_variables()
def _proof(url: str, client: OAuthClient, headers: dict[str, str]) -> dict[str, str]:
    """Return the fields that prove the client; a header is put into `headers`."""
    client_id = client.client_id.reveal()
    if client.authentication == NONE:
        return {"client_id": client_id}
    if client.authentication == PRIVATE_KEY_JWT:
        if client.signing_key is None:
            raise PrincipalNotConfigured("The signed assertion needs a certificate with a private key.")
        claims = {"iss": client_id, "sub": client_id, "aud": client.assertion_audience or url}
        assertion = signed_jwt(client.signing_key, claims, lifetime_seconds=_ASSERTION_SECONDS, key_id=client.key_id)
        return {"client_id": client_id, "client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
    if client.client_secret is None:
        raise PrincipalNotConfigured("The client secret is missing.")
    secret = client.client_secret.reveal()
    if client.authentication == BODY:
        return {"client_id": client_id, "client_secret": secret}
    # Both are form-encoded first, https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1; Authlib leaves that out.
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return {}
