"""Canaries: secrets and tokens are planted, everything goes wrong, and nobody finds them in what was said about it."""

import io
import logging
import sys
import traceback

import pytest
import requests
import structlog
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import DatabaseError, connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.debug import ExceptionReporter

from credentials import actions
from credentials.errors import CredentialError
from credentials.models import ExternalCredential, NamedCredential, Principal, PrincipalSecret, StoredToken
from credentials.resolver import resolve
from isthmus.access.policy import system_user
from isthmus.errors import IsthmusError
from isthmus.keys import new_encryption_key
from tests.integration.credentials.token_server import call

pytestmark = pytest.mark.django_db(transaction=True)

ID, SECRET, TOKEN, NEW = "canary-id-4417", "canary-secret-9f2c", "canary-token-77aa", "canary-new-1b1b"
CANARIES = (ID, SECRET, TOKEN, NEW)


@pytest.fixture
def planted(acme):
    actions.replace_secrets(acme.principal, {"client_id": ID, "client_secret": SECRET})
    return acme


@pytest.fixture
def said(caplog):
    """Everything that is logged, rendered as in production."""
    with caplog.at_level(logging.DEBUG):
        yield lambda: caplog.text + "".join(str(record.__dict__) for record in caplog.records)


def report_of(error, request=None):
    """Render an error in each way that the platform or Django may render it.

    Django's reports hold the variables of every frame; those of the tests, which know the canaries, are left out.
    """
    exc_info = (type(error), error, error.__traceback__)
    reporter = ExceptionReporter(request or RequestFactory().get("/"), *exc_info, is_email=True)
    frames = [frame for frame in reporter.get_traceback_frames() if "/tests/" not in frame.get("filename", "")]
    assert frames
    return "\n".join(
        [
            repr(error),
            str(error),
            "".join(traceback.format_exception(error)),
            structlog.processors._format_exception(exc_info),
            reporter.get_traceback_text(),
            "".join(shown(value) for frame in frames for _, value in frame["vars"]),
            str(error.as_body()) if isinstance(error, IsthmusError) else "",
        ]
    )


def shown(value):
    """What a report shows of a variable; one whose own `repr` fails (a query on a broken table) shows the failure."""
    try:
        return repr(value)
    except Exception as error:
        return repr(error)


def assert_clean(text):
    for canary in CANARIES:
        assert canary not in text


def echo(status, content_type="application/json"):
    """A token endpoint that repeats everything it should not."""
    body = f'{{"error": "{SECRET}", "error_description": "{ID} {SECRET}", "access_token": ["{TOKEN}"]}}'
    return status, content_type, body.encode()


TOKEN_OF_ANOTHER_TYPE = f'{{"access_token": "{TOKEN}", "token_type": "mac"}}'.encode()


@pytest.mark.parametrize(
    "answer",
    [
        echo(500),
        echo(400),
        echo(401),
        echo(200),
        (200, "text/html", f"<html>{SECRET}{TOKEN}</html>".encode()),
        (200, "application/json", TOKEN_OF_ANOTHER_TYPE),
        (200, "application/json", f'{{"access_token": "{TOKEN}\\u0000"}}'.encode()),
        (302, "text/plain", TOKEN.encode()),
    ],
)
def test_failing_flows_say_nothing(planted, token_server, said, answer):
    token_server.planned_answers = [answer]
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(CredentialError) as caught:
            call(resolve("Acme", system_user()), session)
    assert_clean(report_of(caught.value))
    assert_clean(said())
    principal, token = Principal.objects.get(), StoredToken.objects.get()
    assert_clean(principal.status_reason + token.failure_reason + repr(vars(principal)) + repr(vars(token)))


def test_an_unreachable_token_endpoint_says_nothing(planted, token_server, said):
    def unreachable(_request, **_options):
        raise requests.ConnectionError("refused")

    session = requests.Session()
    session.send = unreachable
    with pytest.raises(requests.ConnectionError) as caught:
        call(resolve("Acme", system_user()), session)
    assert_clean(report_of(caught.value))
    assert_clean(said() + StoredToken.objects.get().failure_reason)


def test_secrets_that_do_not_open_say_nothing(planted, settings, said):
    settings.ISTHMUS_ENCRYPTION_KEYS = new_encryption_key()
    with pytest.raises(IsthmusError) as caught:
        next(resolve("Acme", system_user()).authentication().flow(requests.Request("GET", planted.url).prepare()))
    assert_clean(report_of(caught.value))
    assert_clean(said())


def test_secrets_that_are_refused_say_nothing(planted, said):
    with pytest.raises(CredentialError) as caught:
        actions.replace_secrets(planted.principal, {"client_secret": NEW + "\n"})
    assert_clean(report_of(caught.value))
    assert_clean(said())


@pytest.fixture
def broken_table(planted):
    """Tokens cannot be dropped, because their table is gone: secrets are half saved when that is found out."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credentials_storedtoken RENAME TO renamed_away")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE renamed_away RENAME TO credentials_storedtoken")


def test_a_database_error_while_saving_a_secret_says_nothing(planted, broken_table, said):
    with pytest.raises(DatabaseError) as caught:
        actions.ensure_principal(planted.external_credential, "Main", secrets={"client_secret": NEW})
    assert_clean(report_of(caught.value))
    assert_clean(said())
    assert PrincipalSecret.objects.get(name="client_secret").value.reveal() == SECRET


def test_a_screen_that_fails_says_nothing(planted, broken_table, said):
    caught = []

    def keep(request, **_):
        caught.append((sys.exc_info()[1], request))

    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    got_request_exception.connect(keep)
    try:
        answer = client.post(
            reverse("admin:credentials_principal_change", args=[planted.principal.pk]),
            {"sequence": 1, "secret__client_secret": NEW},
        )
    finally:
        got_request_exception.disconnect(keep)
    ((error, request),) = caught
    assert answer.status_code == 500
    assert isinstance(error, DatabaseError)
    assert request.POST["secret__client_secret"] == NEW
    assert_clean(report_of(error, request))
    assert_clean(said() + answer.content.decode())


def test_a_successful_flow_leaves_nothing_in_sight(planted, token_server, said):
    token_server.planned_answers = [(200, "application/json", f'{{"access_token": "{TOKEN}"}}'.encode())]
    resolved = resolve("Acme", system_user())
    with requests.Session() as session:
        session.trust_env = False
        assert call(resolved, session) == 200
    assert token_server.calls == [TOKEN]
    shown = [
        resolved,
        vars(resolved),
        resolved.authentication(),
        resolved._context,
        *resolved._context.secrets.values(),
    ]
    shown += [resolved._context.tokens.held(), dict(resolved._context.secrets)]
    rows = [
        row
        for model in (ExternalCredential, NamedCredential, Principal, PrincipalSecret, StoredToken)
        for row in model.objects.all()
    ]
    shown += rows + [vars(row) for row in rows] + [list(type(row).objects.values()) for row in rows]
    assert_clean("".join(f"{each!r}{each}" for each in shown))
    assert_clean(said())


def test_a_dump_of_everything_holds_no_secret(planted, token_server):
    token_server.planned_answers = [(200, "application/json", f'{{"access_token": "{TOKEN}"}}'.encode())]
    with requests.Session() as session:
        session.trust_env = False
        call(resolve("Acme", system_user()), session)
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    assert "Acme_OAuth" in out.getvalue()
    assert_clean(out.getvalue())


def test_every_column_of_every_table_is_clean(planted, token_server):
    token_server.planned_answers = [(200, "application/json", f'{{"access_token": "{TOKEN}"}}'.encode())]
    with requests.Session() as session:
        session.trust_env = False
        call(resolve("Acme", system_user()), session)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert_clean(repr(cursor.fetchall()))


def test_locals_in_a_debugger_hold_secrets_only_behind_their_mask(planted, token_server):
    """Frames that outlive the moment of use: the flow, between a request and its answer."""
    flow = resolve("Acme", system_user()).authentication().flow(requests.Request("GET", planted.url).prepare())
    next(flow)
    held = [flow.gi_frame.f_locals]
    inner = flow.gi_yieldfrom
    while inner is not None:
        held.append(inner.gi_frame.f_locals)
        inner = inner.gi_yieldfrom
    flow_locals = "".join(repr(each) for each in held)
    flow.close()
    assert len(held) == 4
    assert_clean(flow_locals)
    assert sys.exc_info() == (None, None, None)
