"""What a database cannot do now is told as something to try again, and not as a mistake of the platform."""

from contextlib import contextmanager

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection

from crm.models import Account

pytestmark = pytest.mark.django_db


@contextmanager
def broken(error, cause=None):
    """Let every statement fail like this."""

    def fail(*_):
        raise error from cause

    with connection.execute_wrapper(fail):
        yield


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OperationalError("deadlock detected"), psycopg.errors.DeadlockDetected("deadlock detected")),
        (OperationalError("could not serialize"), psycopg.errors.SerializationFailure("could not serialize")),
        (OperationalError("not available"), psycopg.errors.LockNotAvailable("not available")),
        (OperationalError("database is locked"), None),
    ],
)
def test_who_meets_somebody_else_may_try_again(api, error, cause):
    account = Account.objects.create(name="Acme")
    api.get(f"sobjects/Account/{account.record_id}")
    for method, path, body in (
        ("PATCH", f"sobjects/Account/{account.record_id}", {"Name": "B"}),
        ("POST", "sobjects/Account", {"Name": "B"}),
        ("GET", "query?q=SELECT+Id+FROM+Account", None),
    ):
        with broken(error, cause):
            answer = api.send(method, path, body)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "UNABLE_TO_LOCK_ROW")
        assert answer["Retry-After"] == "1"
    assert Account.objects.get().name == "Acme"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OperationalError("connection failed"), psycopg.OperationalError("connection failed")),
        (InterfaceError("the connection is closed"), psycopg.InterfaceError("the connection is closed")),
        (OperationalError("shut down"), psycopg.errors.AdminShutdown("shut down")),
        (OperationalError("too many"), psycopg.errors.TooManyConnections("too many")),
        (OperationalError("unable to open database file"), None),
    ],
)
@pytest.mark.parametrize("is_known", [True, False])
def test_without_a_database_there_is_no_service(api, error, cause, is_known):
    if is_known:
        api.get("sobjects")
    with broken(error, cause):
        answer = api.get("query", q="SELECT Id FROM Account")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (503, "SERVER_UNAVAILABLE")
    assert answer["Retry-After"] == "5"


def test_other_troubles_are_the_platforms(api):
    with broken(OperationalError("disk I/O error")):
        answer = api.get("query", q="SELECT Id FROM Account")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (500, "UNKNOWN_EXCEPTION")
