"""The key ring: seals texts with AES-256-GCM and opens them again.

A sealed text is `v1.<key id>.<URL-safe base64 of nonce and ciphertext>`. Version, key id and the caller's context are
the associated data, so a sealed text opens only under its own key and in its own place.

>>> ring = KeyRing({"k1": bytes(32)})
>>> sealed = ring.seal("hunter2", context="shop.account.password:7")
>>> sealed.startswith("v1.k1.")
True
>>> ring.open_sealed(sealed, context="shop.account.password:7")
'hunter2'
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from isthmus.vault.errors import KeysMalformed, SealBroken, UnknownKey

__all__ = ["KeyRing", "fingerprint", "is_sealed", "key_id_of"]

_VERSION = "v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SEALED = re.compile(rf"{_VERSION}\.(?P<key_id>[A-Za-z0-9_-]{{1,32}})\.(?P<body>[A-Za-z0-9_-]{{38,}})", re.ASCII)
_HOW = "It takes `key id:key` pairs; `python -m isthmus.keys` prints a good one."


class KeyRing:
    """Keys by id. The first is the primary one: it seals; every one of them opens."""

    def __init__(self, keys: Mapping[str, bytes], *, source: str = "The key ring") -> None:
        """Take 32-byte keys by id, the primary first; `source` names in errors where they come from.

        Raises `KeysMalformed`.
        """
        if not keys:
            raise KeysMalformed(f"{source} holds no key. {_HOW}")
        for number, (key_id, key) in enumerate(keys.items(), start=1):
            if not _KEY_ID.fullmatch(key_id) or len(key) != _KEY_BYTES:
                raise KeysMalformed(f"Entry {number} of {source} is malformed. {_HOW}")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.primary_id = next(iter(keys))

    def __repr__(self) -> str:
        return f"<KeyRing {', '.join(self._ciphers)}>"

    @classmethod
    @sensitive_variables()
    def parse(cls, text: str, *, source: str = "The key ring") -> "KeyRing":
        """Read `kid:base64key,kid2:base64key`. Raises `KeysMalformed`, whose message never quotes the text."""
        keys: dict[str, bytes] = {}
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        for number, entry in enumerate(entries, start=1):
            key_id, colon, encoded = entry.partition(":")
            key = _decoded_key(encoded)
            if not colon or key is None or not _KEY_ID.fullmatch(key_id):
                raise KeysMalformed(f"Entry {number} of {source} is malformed. {_HOW}")
            if key_id in keys:
                raise KeysMalformed(f"Entry {number} of {source} repeats an earlier entry's key id.")
            keys[key_id] = key
        return cls(keys, source=source)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, the primary first."""
        return tuple(self._ciphers)

    @property
    def primary_prefix(self) -> str:
        """What every text sealed with the primary key begins with."""
        return f"{_VERSION}.{self.primary_id}."

    @sensitive_variables()
    def seal(self, plaintext: str, *, context: str) -> str:
        """Return `plaintext` sealed for `context` with the primary key."""
        return self.seal_with(self.primary_id, plaintext, context=context)

    @sensitive_variables()
    def seal_with(self, key_id: str, plaintext: str, *, context: str) -> str:
        """Return `plaintext` sealed for `context` with the key of that id. Raises `UnknownKey`."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey
        # From the operating system, never from isthmus.ids: a nonce that a test could predict is one that could repeat.
        nonce = secrets.token_bytes(_NONCE_BYTES)
        ciphertext = cipher.encrypt(nonce, plaintext.encode(), _associated_data(key_id, context))
        return f"{_VERSION}.{key_id}.{_encode(nonce + ciphertext)}"

    @sensitive_variables()
    def open_sealed(self, sealed: str, *, context: str) -> str:
        """Return the text inside. Raises `UnknownKey` or `SealBroken`."""
        key_id, body = _parts(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey
        try:
            data = _associated_data(key_id, context)
            return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], data).decode()
        except InvalidTag:
            raise SealBroken from None


def key_id_of(sealed: str) -> str:
    """Return the id of the key that sealed this. Raises `SealBroken` when it is no sealed text."""
    return _parts(sealed)[0]


def is_sealed(text: str) -> bool:
    """Return whether `text` has the form of a sealed text (not whether it opens)."""
    return _SEALED.fullmatch(text) is not None


@sensitive_variables()
def fingerprint(plaintext: str) -> str:
    """Return 8 hexadecimal digits by which a person recognises a secret without seeing it.

    Keyed, so that nobody can try likely secrets against it; and with SECRET_KEY, so that it stays the same while the
    encryption keys are rotated.
    """
    key = hashlib.sha256(b"isthmus.vault.fingerprint:" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, plaintext.encode(), hashlib.sha256).hexdigest()[:8]


def _associated_data(key_id: str, context: str) -> bytes:
    return f"{_VERSION}.{key_id}.{context}".encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _decoded_key(encoded: str) -> bytes | None:
    try:
        key = _decode(encoded.rstrip("="))
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == _KEY_BYTES else None


def _parts(sealed: str) -> tuple[str, bytes]:
    """Return key id, and nonce with ciphertext."""
    found = _SEALED.fullmatch(sealed)
    if found is None:
        raise SealBroken
    try:
        body = _decode(found["body"])
    except (binascii.Error, ValueError):
        raise SealBroken from None
    # Base64's last character may have unused bits: only the one spelling that `seal` writes is accepted.
    if _encode(body) != found["body"] or len(body) < _NONCE_BYTES + _TAG_BYTES:
        raise SealBroken
    return found["key_id"], body
