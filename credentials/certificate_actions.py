"""Making and replacing certificates. A replaced one keeps its name, so whatever uses it goes on."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from credentials import certificates
from credentials.certificates import KeyPair
from credentials.errors import CertificateRefused, CredentialInvalid
from credentials.models import Certificate, validate_api_name
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.vault.secret import Secret

__all__ = ["begin_signing_request", "finish_signing_request", "generate_self_signed", "import_pem", "import_pkcs12"]


@sensitive_variables()
def import_pem(
    name: str, *, certificate_pem: str, private_key_pem: str, passphrase: str = "", label: str = ""
) -> Certificate:
    """Keep an uploaded certificate under `name`, replacing what is there. Raises `CertificateRefused`."""
    return _kept(name, label, certificates.key_pair_from_pem(certificate_pem, private_key_pem, passphrase))


@sensitive_variables()
def import_pkcs12(name: str, *, data: bytes, passphrase: str, label: str = "") -> Certificate:
    """Keep what a `.p12` or `.pfx` file holds under `name`. Raises `CertificateRefused`."""
    return _kept(name, label, certificates.key_pair_from_pkcs12(data, passphrase))


def generate_self_signed(
    name: str, *, common_name: str = "", key_type: str = "rsa-2048", days: int = 365, label: str = ""
) -> Certificate:
    """Make a key and a certificate that vouches for itself. Raises `CertificateRefused`."""
    if not 1 <= days <= 3650:
        raise CertificateRefused("A certificate is valid for 1 to 3650 days.")
    key = certificates.new_private_key(key_type)
    return _kept(name, label, certificates.self_signed(key, common_name or name, days=days))


def begin_signing_request(
    name: str, *, common_name: str = "", organisation: str = "", key_type: str = "rsa-2048", label: str = ""
) -> Certificate:
    """Make a key and a signing request for an authority; a certificate that is there goes on until it is replaced."""
    _refuse_name(name)
    key = certificates.new_private_key(key_type)
    request = certificates.signing_request(key, common_name or name, organisation=organisation)
    with transaction.atomic():
        found = Certificate.objects.select_for_update().filter(name=name).first()
        if found is not None and found.certificate_pem:
            raise CertificateRefused(f"{name} is in use. Make the request under another name, then switch.")
        made = found or Certificate(name=name)
        made.label = label or made.label
        made.private_key, made.signing_request_pem = key, request
        made.replaced_at = clock.now()
        made.save()
        audit.record("credentials.certificate_replaced", target=name, details={"how": "signing request"})
    return made


def finish_signing_request(name: str, *, certificate_pem: str) -> Certificate:
    """Keep the certificate that the authority signed. Raises `CertificateRefused` when it is not for our key."""
    waiting = Certificate.objects.filter(name=name).exclude(signing_request_pem="").first()
    if waiting is None:
        raise CertificateRefused(f"{name} waits for no certificate.")
    pair = certificates.key_pair_from_pem(certificate_pem, _revealed(waiting.private_key))
    return _kept(name, waiting.label, pair)


def _kept(name: str, label: str, pair: KeyPair) -> Certificate:
    _refuse_name(name)
    facts = certificates.facts_of(pair.certificate_pem)
    with transaction.atomic():
        row = Certificate.objects.select_for_update().filter(name=name).first() or Certificate(name=name)
        row.label = label or row.label
        row.certificate_pem, row.private_key = pair.certificate_pem, pair.private_key_pem
        row.signing_request_pem = ""
        row.subject, row.issuer, row.serial_number = facts.subject, facts.issuer, facts.serial_number
        row.key_type, row.fingerprint = facts.key_type, facts.fingerprint
        row.not_before, row.not_after = facts.not_before, facts.not_after
        row.replaced_at = clock.now()
        row.save()
        audit.record(
            "credentials.certificate_replaced",
            target=name,
            details={"fingerprint": facts.fingerprint, "not_after": facts.not_after.isoformat()},
        )
    return row


def _refuse_name(name: str) -> None:
    try:
        validate_api_name(name)
    except ValidationError as error:
        raise CredentialInvalid(" ".join(error.messages), fields=["name"]) from None


@sensitive_variables()
def _revealed(key: Secret) -> str:
    return key.reveal()
