"""Mutual TLS with a real nginx: the right certificate, none, a foreign one, a replaced one; keys never on a disk."""

import os
import shutil
import socket
import subprocess
import time
from datetime import timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate

from callouts import http
from callouts.errors import TlsFailed
from credentials import certificate_actions, certificates
from credentials.actions import (
    create_external_credential,
    create_named_credential,
    create_principal,
    save_named_credential,
)
from credentials.errors import CertificateRefused
from credentials.models import Certificate
from isthmus import clock

pytestmark = pytest.mark.django_db

CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl; server_name localhost;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    ssl_client_certificate {folder}/ca.pem; ssl_verify_client on;
    location / {{ default_type application/json; return 200 '{{"subject":"$ssl_client_s_dn"}}'; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def nginx(authority, tmp_path_factory):
    """The port of an nginx that wants a certificate of the authority."""
    if not shutil.which("nginx"):
        reason = "nginx is not installed (Debian's package `nginx-light`)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(str(folder / "server.key"))
    for number, blob in enumerate(own.cert_chain_pems):
        blob.write_to_path(str(folder / "server.pem"), append=number > 0)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "nginx.conf").write_text(CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture
def named(nginx, authority):
    """`callout:Bank/…` at nginx, trusting its authority."""
    external = create_external_credential("Open", protocol="no_authentication")
    principal = create_principal(external, "Anybody", kind="anonymous")
    made = create_named_credential(
        "Bank",
        url=f"https://localhost:{nginx}",
        external_credential=external,
        principal=principal,
        allow_internal_addresses=True,
    )
    made.ca_bundle = authority.cert_pem.bytes().decode()
    return save_named_credential(made)


def keep(leaf, name="Client"):
    return certificate_actions.import_pem(
        name,
        certificate_pem=b"".join(blob.bytes() for blob in leaf.cert_chain_pems).decode(),
        private_key_pem=leaf.private_key_pem.bytes().decode(),
    )


def show(named, certificate):
    named.client_certificate = certificate
    save_named_credential(named)


def test_the_certificate_is_shown_and_the_system_knows_us(named, authority):
    show(named, keep(authority.issue_cert("client.isthmus.test", common_name="isthmus")))
    answer = http.get("callout:Bank/")
    assert answer.status_code == 200
    assert "CN=isthmus" in answer.json()["subject"]


def test_without_a_certificate_the_system_refuses(named):
    assert http.get("callout:Bank/").status_code == 400


def test_a_certificate_of_a_foreign_authority_is_refused(named):
    show(named, keep(trustme.CA().issue_cert("client.isthmus.test")))
    assert http.get("callout:Bank/").status_code == 400


def test_a_replaced_certificate_is_the_one_that_is_shown_from_then_on(named, authority):
    show(named, keep(authority.issue_cert("client.isthmus.test", common_name="before")))
    assert "CN=before" in http.get("callout:Bank/").json()["subject"]
    keep(authority.issue_cert("client.isthmus.test", common_name="after"))
    assert "CN=after" in http.get("callout:Bank/").json()["subject"]


def test_a_request_signed_by_the_authority_proves_us(named, authority):
    waiting = certificate_actions.begin_signing_request("Client", common_name="isthmus", organisation="Isthmus")
    assert "BEGIN CERTIFICATE REQUEST" in waiting.signing_request_pem
    # trustme signs for keys of its own only, so the authority signs here with its key itself.
    signed = _sign(waiting.signing_request_pem, authority)
    show(named, certificate_actions.finish_signing_request("Client", certificate_pem=signed))
    assert "CN=isthmus" in http.get("callout:Bank/").json()["subject"]


def test_a_system_with_an_unknown_authority_is_not_trusted(named):
    named.ca_bundle = ""
    save_named_credential(named)
    with pytest.raises(TlsFailed, match="could not prove"):
        http.get("callout:Bank/")


def test_authorities_that_cannot_be_read_are_told(named):
    named.ca_bundle = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"
    save_named_credential(named)
    with pytest.raises(TlsFailed, match="cannot be read"):
        http.get("callout:Bank/")


def test_no_file_holds_the_key(named, authority, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    show(named, keep(authority.issue_cert("client.isthmus.test")))
    http.get("callout:Bank/")
    assert list(tmp_path.iterdir()) == []


# --- reading and making -----------------------------------------------------------------------------------------------
def _sign(request_pem, authority):
    request = x509.load_pem_x509_csr(request_pem.encode())
    issuer = load_pem_x509_certificate(authority.cert_pem.bytes())
    key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    made = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256"])
def test_a_self_signed_certificate_says_what_it_is(key_type):
    made = certificate_actions.generate_self_signed("Ours", common_name="isthmus", key_type=key_type, days=10)
    assert made.subject == made.issuer == "CN=isthmus"
    assert made.key_type.startswith(key_type[:2].upper())
    assert (made.not_after - made.not_before).days == 10
    assert load_pem_x509_certificate(made.certificate_pem.encode())
    assert len(made.fingerprint) == 64


def test_a_pkcs12_file_with_its_passphrase_is_taken(authority):
    leaf = authority.issue_cert("client.isthmus.test")
    pair = certificates.key_pair_from_pem(
        leaf.cert_chain_pems[0].bytes().decode(), leaf.private_key_pem.bytes().decode()
    )
    key = load_pem_private_key(pair.private_key_pem.reveal().encode(), None)
    data = pkcs12.serialize_key_and_certificates(
        b"c", key, load_pem_x509_certificate(pair.certificate_pem.encode()), None, BestAvailableEncryption(b"open")
    )
    assert certificate_actions.import_pkcs12("Ours", data=data, passphrase="open").fingerprint
    with pytest.raises(CertificateRefused, match="passphrase is wrong"):
        certificate_actions.import_pkcs12("Other", data=data, passphrase="canary")


def test_a_key_that_belongs_to_another_certificate_is_refused(authority):
    one, other = authority.issue_cert("a.test"), authority.issue_cert("b.test")
    with pytest.raises(CertificateRefused, match="does not belong"):
        certificate_actions.import_pem(
            "Ours",
            certificate_pem=one.cert_chain_pems[0].bytes().decode(),
            private_key_pem=other.private_key_pem.bytes().decode(),
        )
    assert not Certificate.objects.exists()


@pytest.mark.parametrize(
    ("certificate", "key", "told"),
    [("", "", "not PEM"), ("nonsense", "x", "not PEM"), ("x" * 200_000, "", "too long")],
)
def test_what_is_no_certificate_is_refused(certificate, key, told):
    with pytest.raises(CertificateRefused, match=told):
        certificate_actions.import_pem("Ours", certificate_pem=certificate, private_key_pem=key)


def test_a_certificate_in_use_is_not_taken_away_by_a_new_request():
    certificate_actions.generate_self_signed("Ours")
    with pytest.raises(CertificateRefused, match="in use"):
        certificate_actions.begin_signing_request("Ours")


def test_an_answer_for_another_key_is_refused(authority):
    certificate_actions.begin_signing_request("Ours")
    with pytest.raises(CertificateRefused, match="does not belong"):
        certificate_actions.finish_signing_request(
            "Ours", certificate_pem=authority.issue_cert("x.test").cert_chain_pems[0].bytes().decode()
        )
