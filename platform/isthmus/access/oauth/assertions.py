"""The assertion of the JWT bearer flow: who signed it, and for whom.

What clients send (https://datatracker.ietf.org/doc/html/rfc7523): RS256; `iss` is the client id, `sub` the user name,
`aud` the login address as the client knows it. `exp` comes as a number, as a text of digits, and from one client in
milliseconds; it is read leniently and no longest life is asked for.
"""

import json
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from isthmus import clock
from isthmus.access.conf import AccessOptions
from isthmus.access.models import ApiClient, Approval, Flow
from isthmus.access.oauth.errors import refusal

__all__ = ["public_key", "user_of_assertion"]

_LONGEST = 16_384
_MILLISECONDS_FROM = 10**11
"""As seconds, this would be the year 5138."""


def user_of_assertion(assertion: str, request: Any) -> tuple[ApiClient, AbstractUser, str]:
    """Return the client that signed, the user it acts for, and the scopes that were agreed on. Raises the refusal."""
    if not assertion or len(assertion) > _LONGEST:
        raise refusal("invalid_grant", "invalid assertion", request)
    claims = _claims(assertion)
    client = ApiClient.objects.select_related("user", "sealed_secret").filter(client_id=str(claims.get("iss"))).first()
    if client is None or client.is_expired:
        raise refusal("invalid_client_id", "client identifier invalid", request)
    if not client.allows_flow(Flow.JWT_BEARER) or not client.certificate:
        raise refusal("unauthorized_client", "the JWT bearer flow is not enabled for this client", request)
    _verify(assertion, client)
    if str(claims.get("aud", "")).rstrip("/") not in _audiences():
        raise refusal("invalid_grant", "audience is invalid", request)
    if _expiry(claims.get("exp")) <= clock.now().timestamp():
        raise refusal("invalid_grant", "expired authorization code", request)
    user = get_user_model().objects.filter(username=str(claims.get("sub"))).first()
    if user is None or not user.is_active:
        raise refusal("invalid_grant", "user hasn't approved this consumer", request)
    approval = Approval.objects.filter(client=client, user=user).first()
    if approval is None:
        raise refusal("invalid_grant", "user hasn't approved this consumer", request)
    return client, user, approval.scopes


def _claims(assertion: str) -> Mapping[str, Any]:
    """Return what the assertion says, unverified: its issuer tells by which key to verify it."""
    try:
        found = json.loads(jws.extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError) as error:
        raise refusal("invalid_grant", "invalid assertion") from error
    if not isinstance(found, dict):
        raise refusal("invalid_grant", "invalid assertion")
    return found


def _verify(assertion: str, client: ApiClient) -> None:
    try:
        jws.deserialize_compact(assertion, public_key(client.certificate), algorithms=["RS256"])
    except (JoseError, ValueError) as error:
        raise refusal("invalid_grant", "invalid assertion") from error


def public_key(pem: str) -> RSAKey:
    """Return the RSA key of a PEM certificate or public key. Raises `ValueError`."""
    data = pem.strip().encode()
    if b"BEGIN CERTIFICATE" in data:
        key = x509.load_pem_x509_certificate(data).public_key()
    else:
        key = serialization.load_pem_public_key(data)  # type: ignore[assignment]  # any kind; told apart below
    if not isinstance(key, RSAPublicKey):
        raise ValueError("The key is not an RSA key.")  # noqa: TRY004 - the text is at fault, not its type
    told = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return RSAKey.import_key(told)


def _audiences() -> set[str]:
    own = settings.BASE_URL
    usual = {own, f"{own}/services/oauth2/token", "https://login.salesforce.com", "https://test.salesforce.com"}
    return usual | {text.strip().rstrip("/") for text in AccessOptions().jwt_audiences.split(",") if text.strip()}


def _expiry(given: Any) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        return 0
    return seconds / 1000 if seconds >= _MILLISECONDS_FROM else seconds
