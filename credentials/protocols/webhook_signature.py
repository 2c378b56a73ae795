"""Webhook signatures: a secret that both sides know signs each delivery (https://www.standardwebhooks.com).

What comes in is verified with a principal's secrets by the endpoint that takes it (`credentials.signing_secrets`). What
goes out is signed as Standard Webhooks has it.
"""

import base64
import binascii
import hashlib
import hmac

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest

from credentials.protocols.base import AuthenticationProtocol, RequestFlow
from credentials.protocols.options import ProtocolOption
from isthmus import clock, ids
from isthmus.vault.secret import Secret

__all__ = ["WebhookSignature", "key_bytes"]

_PREFIX = "whsec_"


class WebhookSignature(AuthenticationProtocol):
    """Signs id, time and body of each request."""

    name = "webhook_signature"
    label = "Webhook signature"
    options = (
        ProtocolOption(
            name="signing_secret",
            label="Signing secret",
            type="long_text",
            is_required=True,
            is_sensitive=True,
            help_text="As the sender shows it; for JWS and Ed25519 signatures the sender's public key.",
        ),
        ProtocolOption(
            name="previous_signing_secret",
            label="Previous signing secret",
            type="long_text",
            is_sensitive=True,
            help_text="Taken as well while the sender changes to a new one.",
        ),
    )

    def flow(self, request: PreparedRequest) -> RequestFlow:
        signed = request.copy()
        message_id = request.headers.get("webhook-id") or f"msg_{ids.new_token(18)}"
        moment = str(int(clock.now().timestamp()))
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        signature = _signature(self.secrets["signing_secret"], f"{message_id}.{moment}.".encode() + body)
        signed.headers.update(
            {"webhook-id": message_id, "webhook-timestamp": moment, "webhook-signature": f"v1,{signature}"}
        )
        yield signed


@sensitive_variables()
def key_bytes(secret: Secret) -> bytes:
    """Return the key that a signing secret stands for: what is behind `whsec_` in base64, or the text itself."""
    text = secret.reveal().strip()
    if not text.startswith(_PREFIX):
        return text.encode()
    encoded = text.removeprefix(_PREFIX)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return text.encode()


@sensitive_variables()
def _signature(secret: Secret, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key_bytes(secret), signed, hashlib.sha256)).decode()
