"""TLS is always verified."""

import ipaddress
import ssl
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from callouts import errors, http
from callouts.models import IntegrationLogEntry
from credentials.actions import create_named_credential
from isthmus import clock
from tests.fault_server import FaultServer

pytestmark = pytest.mark.django_db


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, key, issuer, issuer_key, *, is_authority=False, address="127.0.0.1", ends_in_days=1.0):
    now = clock.now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=ends_in_days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if is_authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path):
    """A certificate authority: its file, and a function that makes servers' contexts."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    root = certificate("Test authority", authority_key, "Test authority", authority_key, is_authority=True)
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def context_for(address, **validity):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = certificate("Server", key, "Test authority", authority_key, address=address, **validity)
        path = tmp_path / f"server-{address}.pem"
        path.write_bytes(
            leaf.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    return str(bundle), context_for


def call(server, open_door, path="/json", **arguments):
    create_named_credential("Safe", url=server.url(), external_credential=open_door, allow_internal_addresses=True)
    return http.post(f"callout:Safe{path}", json={}, **arguments)


def told():
    entry = IntegrationLogEntry.objects.get()
    return entry.outcome, entry.error_code


def test_a_server_that_a_trusted_authority_knows_is_talked_to(authority, open_door, settings):
    settings.ISTHMUS_CALLOUTS_CA_BUNDLE, context_for = authority
    with FaultServer(certificate=context_for("127.0.0.1")) as server:
        assert call(server, open_door).json() == {"ok": True}
    assert told() == ("succeeded", "")


def test_a_server_of_an_unknown_authority_gets_nothing(authority, open_door):
    _, context_for = authority
    with FaultServer(certificate=context_for("127.0.0.1")) as server:
        with pytest.raises(errors.TlsFailed, match="nothing was sent"):
            call(server, open_door)
        assert server.requests == []
    assert told() == ("failed", "TLS_FAILED")


def test_a_server_whose_certificate_has_ended_gets_nothing(authority, open_door, settings):
    settings.ISTHMUS_CALLOUTS_CA_BUNDLE, context_for = authority
    with FaultServer(certificate=context_for("127.0.0.1", ends_in_days=-1)) as server:
        with pytest.raises(errors.TlsFailed, match="certificate has expired"):
            call(server, open_door)
        assert server.requests == []
    assert told() == ("failed", "TLS_FAILED")


def test_a_server_with_another_ones_certificate_gets_nothing(authority, open_door, settings):
    settings.ISTHMUS_CALLOUTS_CA_BUNDLE, context_for = authority
    with FaultServer(certificate=context_for("127.0.0.2")) as server:
        with pytest.raises(errors.TlsFailed):
            call(server, open_door)
        assert server.requests == []


def test_a_server_that_speaks_no_tls(server, open_door):
    server.url = lambda target="": f"https://127.0.0.1:{server.port}{target}"
    with pytest.raises(errors.CalloutFailed):
        call(server, open_door, timeout=2)
    assert told()[0] == "failed"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/hang", errors.AnswerTimedOut),
        ("/drip", errors.AnswerTimedOut),
        ("/close-after-request", errors.ConnectionLost),
    ],
)
def test_a_lost_answer_over_tls_is_in_doubt(authority, open_door, settings, path, error):
    settings.ISTHMUS_CALLOUTS_CA_BUNDLE, context_for = authority
    with FaultServer(certificate=context_for("127.0.0.1")) as server:
        with pytest.raises(error):
            call(server, open_door, path, timeout=1)
        assert len(server.requests) == 1
    assert told()[0] == "in_doubt"
