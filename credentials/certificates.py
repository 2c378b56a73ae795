"""Reads and makes certificates: PEM, PKCS#12, self-signed ones, signing requests. No database, no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.views.decorators.debug import sensitive_variables

from credentials.errors import CertificateRefused
from isthmus import clock
from isthmus.vault.secret import Secret

__all__ = [
    "KEY_TYPES",
    "CertificateFacts",
    "KeyPair",
    "facts_of",
    "key_pair_from_pem",
    "key_pair_from_pkcs12",
    "new_private_key",
    "self_signed",
    "signing_request",
]

KEY_TYPES = {"rsa-2048": "RSA, 2048 bits", "rsa-4096": "RSA, 4096 bits", "ec-p256": "Elliptic curve P-256"}
_MAXIMUM_PEM = 100_000
_PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True, kw_only=True)
class CertificateFacts:
    """What a certificate says, for screens."""

    subject: str
    issuer: str
    serial_number: str
    fingerprint: str
    key_type: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate (followed by those that lead to its authority) and its private key."""

    certificate_pem: str
    private_key_pem: Secret


@sensitive_variables()
def key_pair_from_pem(certificate_pem: str, private_key_pem: str, passphrase: str = "") -> KeyPair:
    """Read PEM texts. Raises `CertificateRefused` when they cannot be read or do not belong together."""
    if len(certificate_pem) > _MAXIMUM_PEM or len(private_key_pem) > _MAXIMUM_PEM:
        raise CertificateRefused("The text is too long for a certificate.")
    try:
        chain = x509.load_pem_x509_certificates(certificate_pem.encode())
    except ValueError:
        raise CertificateRefused("The certificate is not PEM: it begins with `-----BEGIN CERTIFICATE-----`.") from None
    return _pair(_private_key(private_key_pem, passphrase), chain)


@sensitive_variables()
def key_pair_from_pkcs12(data: bytes, passphrase: str) -> KeyPair:
    """Read a PKCS#12 file (`.p12`, `.pfx`). Raises `CertificateRefused`."""
    try:
        key, certificate, others = load_key_and_certificates(data, passphrase.encode() or None)
    except ValueError:
        raise CertificateRefused("This is no PKCS#12 file, or the passphrase is wrong.") from None
    if key is None or certificate is None:
        raise CertificateRefused("The file holds no private key with its certificate.")
    return _pair(key, [certificate, *others])


def new_private_key(key_type: str) -> Secret:
    """Return a new key as PEM. Raises `CertificateRefused` for an unknown type."""
    if key_type == "ec-p256":
        return _as_pem(ec.generate_private_key(ec.SECP256R1()))
    if key_type not in KEY_TYPES:
        raise CertificateRefused(f"There is no key type {key_type!r}; there are: {', '.join(KEY_TYPES)}.")
    return _as_pem(rsa.generate_private_key(public_exponent=65537, key_size=int(key_type.rpartition("-")[2])))


def self_signed(private_key_pem: Secret, common_name: str, *, days: int) -> KeyPair:
    """Return a certificate that vouches for itself, valid from now on."""
    key = _loaded(private_key_pem)
    name = _name(common_name, "")
    now = clock.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate_pem=made.public_bytes(Encoding.PEM).decode(), private_key_pem=private_key_pem)


def signing_request(private_key_pem: Secret, common_name: str, *, organisation: str = "") -> str:
    """Return a certificate signing request (PKCS#10) as PEM."""
    key = _loaded(private_key_pem)
    made = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name, organisation))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def facts_of(certificate_pem: str) -> CertificateFacts:
    """Return what the first certificate of the text says."""
    found = x509.load_pem_x509_certificate(certificate_pem.encode())
    return CertificateFacts(
        subject=found.subject.rfc4514_string()[:500],
        issuer=found.issuer.rfc4514_string()[:500],
        serial_number=f"{found.serial_number:x}"[:60],
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        key_type=_key_type(found.public_key()),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
    )


@sensitive_variables()
def _pair(key: object, chain: Sequence[x509.Certificate]) -> KeyPair:
    if not isinstance(key, _PrivateKey):
        raise CertificateRefused("The private key is neither RSA nor of an elliptic curve.")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        raise CertificateRefused("The RSA key is shorter than 2048 bits.")
    ours = _public_bytes(key.public_key())
    # Whatever the order in the file: the certificate of the key comes first, the others follow.
    own = [each for each in chain if _public_bytes(each.public_key()) == ours]
    if not own:
        raise CertificateRefused("The private key does not belong to the certificate.")
    ordered = [own[0], *(each for each in chain if each is not own[0])]
    pem = "".join(each.public_bytes(Encoding.PEM).decode() for each in ordered)
    return KeyPair(certificate_pem=pem, private_key_pem=_as_pem(key))


@sensitive_variables()
def _private_key(pem: str, passphrase: str) -> object:
    try:
        return load_pem_private_key(pem.encode(), passphrase.encode() or None)
    except TypeError:
        raise CertificateRefused(
            "The private key is encrypted: give its passphrase. (Without encryption, give none.)"
        ) from None
    except ValueError:
        raise CertificateRefused("The private key is not PEM, or the passphrase is wrong.") from None


@sensitive_variables()
def _loaded(private_key_pem: Secret) -> _PrivateKey:
    key = load_pem_private_key(private_key_pem.reveal().encode(), None)
    if not isinstance(key, _PrivateKey):
        raise CertificateRefused("The private key is neither RSA nor of an elliptic curve.")
    return key


@sensitive_variables()
def _as_pem(key: _PrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _name(common_name: str, organisation: str) -> x509.Name:
    try:
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organisation:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    except ValueError:
        raise CertificateRefused("A common name is 1 to 64 characters long.") from None
    return x509.Name(parts)


def _public_bytes(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]  # all kinds have it


def _key_type(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
