"""Identity tokens (OpenID Connect): signed statements about who signed in, and the keys to verify them by."""

import base64
import hashlib
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from joserfc import jwt
from joserfc.jwk import RSAKey

from isthmus import clock, ids
from isthmus.access.identity import identity_url
from isthmus.access.models import ApiClient, SigningKey

__all__ = ["issue", "public_keys"]

_LIFE_SECONDS = 120
_BITS = 2048


def issue(user: AbstractBaseUser, client: ApiClient, *, nonce: str | None, access_token: str) -> str:
    """Return an identity token about `user` for `client`, repeating the `nonce` it gave, if it did."""
    key = _current_key()
    now = int(clock.now().timestamp())
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    claims: dict[str, Any] = {
        "iss": settings.BASE_URL,
        "sub": identity_url(user),
        "aud": client.client_id,
        "iat": now,
        "exp": now + _LIFE_SECONDS,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }
    if nonce:
        claims["nonce"] = nonce
    private = RSAKey.import_key(key.private_key.reveal())
    return jwt.encode({"alg": "RS256", "kid": str(key.pk)}, claims, private)


def public_keys() -> dict[str, Any]:
    """Return the keys that verify identity tokens, as a JSON web key set."""
    return {"keys": [key.public_key for key in SigningKey.objects.order_by("-created_at")]}


def _current_key() -> SigningKey:
    found = SigningKey.objects.order_by("-created_at").first()
    if found is not None:
        return found
    made = RSAKey.generate_key(_BITS)
    key_id = ids.new_uuid()
    public = {**made.as_dict(private=False), "kid": str(key_id), "use": "sig", "alg": "RS256"}
    with transaction.atomic():
        # Two that come at once may both make one; both keys are published, either signs.
        return SigningKey.objects.create(id=key_id, private_key=made.as_pem(private=True).decode(), public_key=public)
