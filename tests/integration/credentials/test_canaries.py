"""Unique secrets go in through every door, are used and made to fail; then everything that can be read is searched."""

import base64
import io
import json
import logging
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.views.debug import ExceptionReporter

from callouts import http
from callouts.models import IntegrationLogEntry
from callouts.queue.enqueueing import enqueue
from callouts.queue.models import QueuedCallout
from callouts.queue.testing import run_all as run_queue
from credentials import actions, certificate_actions, certificates, manifest
from credentials.errors import CredentialError
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    StoredToken,
)
from credentials.provider_actions import ensure_identity_provider
from isthmus.access.actions import create_api_client
from isthmus.errors import IsthmusError
from isthmus.jobs.models import Job
from tests.integration.credentials.rotating_server import RotatingServer
from tests.integration.credentials.token_server import TokenServer

pytestmark = pytest.mark.django_db(transaction=True)

CANARIES = {
    name: f"cnry-{name}-{'x7Q9' * 3}"
    for name in ("basic", "form", "api_key", "client", "provider", "filled", "refused", "subject", "passphrase")
}


def spellings(secret):
    """The ways in which a text turns up in files and answers."""
    raw = secret.encode()
    yield secret
    yield base64.b64encode(raw).decode().rstrip("=")[:-1]
    # Inside a longer text the first characters of Base64 differ; from one of three offsets on, they are the same.
    for offset in (1, 2):
        yield base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")[4:-2]
    yield raw.hex()
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield secret[::-1]


def found_in(text, secrets):
    return sorted(name for name, secret in secrets.items() if any(each in text for each in spellings(secret)))


@pytest.fixture
def said():
    """Everything that any logger says, at every level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def root_client():
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def plant(root_client, server, tokens, tmp_path):
    """Bring a secret in through every door; return further canaries that were made on the way."""
    made = {}
    common = {"allow_internal_addresses": True}
    basic = actions.create_external_credential("Basic", protocol="basic")
    principal = actions.create_principal(basic, "Main", secrets={"username": "u", "password": CANARIES["basic"]})
    actions.create_named_credential("Basic_Api", url=server.url, external_credential=basic, **common)
    # The screen.
    answer = root_client.post(
        reverse("admin:credentials_principal_change", args=[principal.pk]),
        {"sequence": 1, "secret__password": CANARIES["form"]},
    )
    assert answer.status_code == 302
    root_client.post(
        reverse("admin:credentials_principal_change", args=[principal.pk]),
        {"sequence": 1, "secret__password": CANARIES["refused"] + "\n"},
    )
    key = actions.create_external_credential(
        "Key", protocol="custom_headers", settings={"headers": "X-Plain: {K}\nX-B: {K|base64}", "query": "plain={K}"}
    )
    actions.create_principal(key, "Main", secrets={"K": CANARIES["api_key"]})
    actions.create_named_credential("Key_Api", url=server.url, external_credential=key, **common)
    client = actions.create_external_credential(
        "Client", protocol="oauth_client_credentials", settings={"token_url": tokens.token_url}
    )
    actions.create_principal(client, "Main", secrets={"client_id": "id", "client_secret": CANARIES["client"]})
    actions.create_named_credential("Client_Api", url=tokens.api_url, external_credential=client, **common)
    # An identity provider, a grant with refresh tokens.
    provider = ensure_identity_provider(
        "Login",
        client_id="web",
        client_secret=CANARIES["provider"],
        authorization_endpoint=f"{server.url}/authorize",
        token_endpoint=f"{server.url}/token",
        allow_internal_addresses=True,
    )
    code = actions.create_external_credential("Code", protocol="oauth_authorization_code", identity_provider=provider)
    shared = actions.create_principal(code, "Main")
    StoredToken.objects.create(principal=shared, refresh_token=server.valid, connected_at=shared.status_at)
    actions.create_named_credential("Code_Api", url=server.url, external_credential=code, **common)
    # The command that fills in.
    other = actions.create_external_credential("Other", protocol="custom_headers", settings={"headers": "X-A: {A}"})
    actions.create_principal(other, "Main")
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"Other.Main": {"A": CANARIES["filled"]}}))
    call_command("credentials", "fill-in", "--from-file", str(file), stdout=io.StringIO())
    file.unlink()
    # A certificate by the screen, with a passphrase that is wrong, then one that is made here.
    pair = certificates.self_signed(certificates.new_private_key("ec-p256"), "c", days=9)
    root_client.post(
        reverse("admin:credentials_certificate_add"),
        {
            "name": "Uploaded",
            "how": "pem",
            "uploaded_certificate": pair.certificate_pem,
            "uploaded_key": pair.private_key_pem.reveal(),
            "passphrase": "",
        },
    )
    assert Certificate.objects.filter(name="Uploaded").exists()
    made["uploaded_key"] = pair.private_key_pem.reveal().splitlines()[1]
    root_client.post(
        reverse("admin:credentials_certificate_add"),
        {
            "name": "Wrong",
            "how": "pem",
            "uploaded_certificate": pair.certificate_pem,
            "uploaded_key": "nonsense",
            "passphrase": CANARIES["passphrase"],
        },
    )
    certificate_actions.generate_self_signed("Made")
    made["made_key"] = Certificate.objects.get(name="Made").private_key.reveal().splitlines()[1]
    _, made["api_client"] = create_api_client("Robot", User.objects.get(username="root"))
    return made


def use(server, tokens):
    """Use every secret, let some uses fail; return the errors."""
    errors = []

    def call(url):
        try:
            http.get(url)
        except IsthmusError as error:
            errors.append(error)

    for name in ("Basic_Api", "Key_Api", "Client_Api", "Code_Api"):
        call(f"callout:{name}/x")
    tokens.rejected = {f"t{number}" for number in range(99)}
    call("callout:Client_Api/x")
    StoredToken.objects.filter(principal__external_credential__name="Client").delete()
    tokens.planned_answers = [(400, "text/html", f"<html>{CANARIES['client']} is wrong</html>".encode())]
    call("callout:Client_Api/x")
    server.plan = ["html"]
    server.access.clear()
    call("callout:Code_Api/x")
    NamedCredential.objects.filter(name="Key_Api").update(url="http://127.0.0.1:9")
    call("callout:Key_Api/x")
    for name in ("Basic_Api", "Key_Api", "Client_Api", "Code_Api"):
        enqueue("Queued", http.Request(method="GET", url=f"callout:{name}/x", headers={"X-Plain": "1"}))
    run_queue(ignore_delays=False)
    return errors


def database_texts():
    """The whole database as bytes: on SQLite the files with the write-ahead log, on PostgreSQL every column."""
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        for file in (path, path.with_name(path.name + "-wal")):
            if file.exists():
                yield file.read_bytes().decode("latin-1")
        return
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT CAST(t AS text) FROM {connection.ops.quote_name(table)} AS t")
            yield "\n".join(row[0] for row in cursor.fetchall())


def reports(errors):
    for error in errors:
        exc_info = (type(error), error, error.__traceback__)
        request = RequestFactory().get("/")
        yield "".join(traceback.format_exception(error))
        for debug in (True, False):
            with override_settings(DEBUG=debug):
                reporter = ExceptionReporter(request, *exc_info)
                frames = [
                    frame for frame in reporter.get_traceback_frames() if "/tests/" not in frame.get("filename", "")
                ]
                reporter.get_traceback_frames = lambda frames=frames: frames
                yield reporter.get_traceback_text()
                yield reporter.get_traceback_html()


def pages(client):
    for model in (ExternalCredential, IdentityProvider, NamedCredential, Principal, Certificate):
        name = model._meta.model_name
        yield client.get(reverse(f"admin:credentials_{name}_changelist")).content.decode()
        for row in model.objects.all():
            yield client.get(reverse(f"admin:credentials_{name}_change", args=[row.pk])).content.decode()
            yield client.get(reverse(f"admin:credentials_{name}_history", args=[row.pk])).content.decode()
    for url in ("/", "/integration-log/", "/queued-callouts/", "/operations/", "/named-credentials/",
                "/my-connections/", "/connections/", "/metrics",
                reverse("admin:audit_auditentry_changelist"), reverse("admin:index")):  # fmt: skip
        yield client.get(url).content.decode()
    for queued in QueuedCallout.objects.all():
        yield client.get(reverse("callout_queue:detail", args=[queued.pk])).content.decode()
    for entry in IntegrationLogEntry.objects.all():
        yield client.get(reverse("callouts:entry", args=[entry.pk])).content.decode()
    for named in NamedCredential.objects.all():
        yield client.get(reverse("named_credentials:detail", args=[named.name])).content.decode()
        answer = client.post(reverse("named_credentials:detail", args=[named.name]), {"method": "GET", "path": "/x"})
        yield answer.content.decode()


def commands():
    out, err = io.StringIO(), io.StringIO()
    for arguments in (
        ("credentials", "export"), ("credentials", "fill-in", "--list"), ("credential", "explain", "root", "Key_Api"),
        ("audit", "list"), ("audit", "export"), ("encryption_key", "verify"), ("encryption_key", "status"),
    ):  # fmt: skip
        try:
            call_command(*arguments, stdout=out, stderr=err)
        except CommandError as error:
            err.write(str(error))
    yield out.getvalue() + err.getvalue()
    yield json.dumps(manifest.export())


def test_no_secret_is_found_anywhere(said, root_client, tmp_path, capfd):
    with RotatingServer() as server, TokenServer() as tokens:
        made = plant(root_client, server, tokens, tmp_path)
        errors = use(server, tokens)
        assert errors
        assert all(isinstance(error, CredentialError | IsthmusError) for error in errors)
        secrets = {
            **CANARIES,
            **made,
            "refresh_token": server.valid,
            **{f"access_{number}": token for number, token in enumerate(server.access)},
        }
        places = {
            "logs": [said.getvalue(), *capfd.readouterr()],
            "errors": reports(errors),
            "pages": pages(root_client),
            "commands": commands(),
            "jobs": [str(row) for row in Job.objects.values()],
            "dump": [
                serializers.serialize("json", model._default_manager.all())
                for model in apps.get_models()
                if model._meta.managed
            ],
            "database": database_texts(),
        }
        leaks = {place: found for place, texts in places.items() if (found := found_in("\n".join(texts), secrets))}
    assert leaks == {}


def test_the_search_finds_what_is_there(said, root_client):
    """The control: a secret that was put somewhere in the clear is found, in each spelling and in each place."""
    secret = CANARIES["basic"]
    for spelling in spellings(secret):
        assert found_in(f"…{spelling}…", CANARIES) == ["basic"]
    longer = base64.b64encode(f"user:{secret}:more".encode()).decode()
    assert found_in(longer, CANARIES) == ["basic"]
    logging.getLogger("control").debug("password=%s", secret)
    assert found_in(said.getvalue(), CANARIES) == ["basic"]
    user = User.objects.get(username="root")
    user.last_name = secret
    user.save()
    assert found_in("\n".join(database_texts()), CANARIES) == ["basic"]
    assert "basic" in found_in(
        root_client.get(reverse("admin:auth_user_change", args=[user.pk])).content.decode(), CANARIES
    )
