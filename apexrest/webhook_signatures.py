"""Who signed a delivery: one class for each way in which senders sign."""

import base64
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.views.decorators.debug import sensitive_variables
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from apexrest.conf import options
from apexrest.errors import WebhookRefused
from apexrest.webhooks import Webhook
from credentials.errors import CredentialError
from credentials.protocols.webhook_signature import key_bytes
from credentials.signing_secrets import signing_secrets
from isthmus import clock
from isthmus.access.policy import system_user
from isthmus.logs import get_logger
from isthmus.vault.secret import Secret

__all__ = ["SCHEMES", "SignatureScheme", "Verified", "user_of", "verify"]

log = get_logger(__name__)

Headers = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What is known of a delivery whose signature is right."""

    delivery_id: str
    """What tells it from other deliveries; the same when it is sent again."""
    signed_at: float | None
    """Seconds since 1970 that were signed; `None` where the scheme signs no time."""


class SignatureScheme(ABC):
    """How one kind of sender signs."""

    @abstractmethod
    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        """Return what the delivery is if the signature is made with `secret`, else `None`."""


def user_of(webhook: Webhook) -> User:
    """Return whom the methods of a webhook run as. Raises `WebhookRefused` when nobody can be."""
    if not webhook.run_as:
        return system_user()
    found = get_user_model().objects.filter(username=webhook.run_as, is_active=True).first()
    if found is None:
        log.error("webhook.no_user", run_as=webhook.run_as)
        raise WebhookRefused
    return found


def verify(webhook: Webhook, headers: Headers, body: bytes) -> Verified:
    """Return what a delivery is. Raises `WebhookRefused`, saying nothing of why: the log does."""
    try:
        secrets = signing_secrets(webhook.principal)
    except CredentialError as error:
        log.warning("webhook.not_configured", principal=webhook.principal, error_code=error.code)
        raise WebhookRefused from error
    scheme = SCHEMES[webhook.scheme]
    for secret in secrets:
        found = scheme.verify(headers, body, secret)
        if found is None:
            continue
        if found.signed_at is not None and not _is_recent(found.signed_at):
            log.warning("webhook.too_old", principal=webhook.principal)
            raise WebhookRefused
        return found
    log.warning("webhook.signature_wrong", principal=webhook.principal)
    raise WebhookRefused


def _is_recent(signed_at: float) -> bool:
    return abs(clock.now().timestamp() - signed_at) <= options.webhook_tolerance_seconds


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@sensitive_variables()
def _is_hex_hmac(secret: Secret, signed: bytes, given: str) -> bool:
    made = hmac.digest(secret.reveal().strip().encode(), signed, hashlib.sha256).hex()
    return hmac.compare_digest(made.encode(), given.encode())


@sensitive_variables()
def _is_standard_hmac(secret: Secret, signed: bytes, encoded: str) -> bool:
    made = base64.b64encode(hmac.digest(key_bytes(secret), signed, hashlib.sha256))
    return hmac.compare_digest(made, encoded.encode())


def _is_ed25519(secret: Secret, signed: bytes, encoded: str) -> bool:
    text = secret.reveal().strip()
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_"), validate=True))
        key.verify(base64.b64decode(encoded, validate=True), signed)
    except (ValueError, InvalidSignature):
        return False
    return True


def _id_in(body: bytes, names: Sequence[str], otherwise: str) -> str:
    """Return the delivery's own id out of its body, or one made of what was signed."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        found = None
    for name in names:
        value = found.get(name) if isinstance(found, dict) else None
        if isinstance(value, str) and value:
            return value
    return hashlib.sha256(otherwise.encode() + body).hexdigest()


class StandardWebhooks(SignatureScheme):
    """https://www.standardwebhooks.com: `v1` with a shared secret, `v1a` with Ed25519."""

    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        message_id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signed_at = _seconds(moment)
        if not message_id or signed_at is None:
            return None
        signed = f"{message_id}.{moment}.".encode() + body
        for one in headers.get("webhook-signature", "").split():
            version, _, encoded = one.partition(",")
            if (version == "v1" and _is_standard_hmac(secret, signed, encoded)) or (
                version == "v1a" and _is_ed25519(secret, signed, encoded)
            ):
                return Verified(delivery_id=message_id, signed_at=signed_at)
        return None


class Stripe(SignatureScheme):
    """https://docs.stripe.com/webhooks#verify-manually: `Stripe-Signature: t=…,v1=…`."""

    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        parts = [part.strip().partition("=") for part in headers.get("Stripe-Signature", "").split(",")]
        moment = next((value for name, _, value in parts if name == "t"), "")
        signed_at = _seconds(moment)
        if signed_at is None:
            return None
        signed = f"{moment}.".encode() + body
        if not any(name == "v1" and _is_hex_hmac(secret, signed, value) for name, _, value in parts):
            return None
        return Verified(delivery_id=_id_in(body, ["id"], moment), signed_at=signed_at)


class GitHub(SignatureScheme):
    """`X-Hub-Signature-256` over the body; no time is signed.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries. `X-GitHub-Delivery` is not signed:
    a delivery is told by its body, so that nobody makes two of one by changing a header.
    """

    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        scheme, _, given = headers.get("X-Hub-Signature-256", "").partition("=")
        if scheme != "sha256" or not _is_hex_hmac(secret, body, given):
            return None
        return Verified(delivery_id=hashlib.sha256(body).hexdigest(), signed_at=None)


class Slack(SignatureScheme):
    """https://api.slack.com/authentication/verifying-requests-from-slack: `v0:<time>:<body>`."""

    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        moment = headers.get("X-Slack-Request-Timestamp", "")
        signed_at = _seconds(moment)
        version, _, given = headers.get("X-Slack-Signature", "").partition("=")
        if signed_at is None or version != "v0" or not _is_hex_hmac(secret, f"v0:{moment}:".encode() + body, given):
            return None
        return Verified(delivery_id=_id_in(body, ["event_id"], moment), signed_at=signed_at)


class DetachedJws(SignatureScheme):
    """A JSON web signature whose payload is the body (RFC 7515, appendix F), in `X-JWS-Signature`.

    The secret is the sender's public key in PEM, or a shared secret for HS256. `iat` of the protected header, where it
    is there, is the time that was signed, and `jti` the delivery's id.
    """

    _LONGEST = 16_384

    def verify(self, headers: Headers, body: bytes, secret: Secret) -> Verified | None:
        given = headers.get("X-JWS-Signature", "")
        protected, dot, signature = given.partition("..")
        if not dot or not signature or len(given) > self._LONGEST:
            return None
        payload = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
        try:
            key, algorithms = _key_of(secret)
            # Senders add header members of their own; what must be understood (`crit`) is refused here as anywhere.
            registry = JWSRegistry(algorithms=algorithms, strict_check_header=False)
            found = jws.deserialize_compact(f"{protected}.{payload}.{signature}", key, registry=registry)
        except (JoseError, ValueError):
            return None
        header = found.headers()
        if "crit" in header:
            return None
        moment, name = header.get("iat"), header.get("jti")
        signed_at = float(moment) if isinstance(moment, int | float) and not isinstance(moment, bool) else None
        own_id = name if isinstance(name, str) else ""
        return Verified(delivery_id=own_id or hashlib.sha256(given.encode()).hexdigest(), signed_at=signed_at)


@sensitive_variables()
def _key_of(secret: Secret) -> tuple[Key, list[str]]:
    """Return the key, and the algorithms that fit it: never one that the delivery itself could choose."""
    text = secret.reveal().strip()
    if "-----BEGIN" not in text:
        return OctKey.import_key(text), ["HS256", "HS512"]
    kinds: tuple[tuple[type[RSAKey | ECKey | OKPKey], list[str]], ...] = (
        (RSAKey, ["RS256", "PS256"]),
        (ECKey, ["ES256", "ES384"]),
        (OKPKey, ["EdDSA", "Ed25519"]),
    )
    for kind, algorithms in kinds:
        try:
            return kind.import_key(text), algorithms
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("The signing key is of no kind that is known here.")


SCHEMES: Mapping[str, SignatureScheme] = {
    "standard": StandardWebhooks(),
    "stripe": Stripe(),
    "github": GitHub(),
    "slack": Slack(),
    "jws": DetachedJws(),
}
