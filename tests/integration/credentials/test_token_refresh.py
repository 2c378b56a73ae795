"""Tokens in the database: one fetch for all, kept sealed, and each failure known by its name."""

import gc
import json
import threading
from datetime import timedelta

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection, transaction

from credentials import actions
from credentials.errors import (
    AuthenticationFailed,
    TokenAnswerBroken,
    TokenEndpointFailed,
    TokenEndpointRefused,
    TokenTypeUnsupported,
    TokenWaitTimedOut,
)
from credentials.models import Principal, PrincipalKind, PrincipalStatus, StoredToken
from credentials.protocols.base import TokenRequest
from credentials.resolver import resolve
from isthmus.access.policy import system_user
from tests.integration.credentials.token_server import call

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 20
# The pool has 20 connections; a test that needs every one of them at the same time would hang when another keeps one.
TOGETHER = 12


@pytest.fixture
def session():
    with requests.Session() as made:
        made.trust_env = False
        yield made


def in_threads(count, work):
    """Run `work(number)` in `count` threads at once; return the results in the threads' order."""
    results = [None] * count
    barrier = threading.Barrier(count)

    def run(number):
        try:
            barrier.wait(30)
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def fetch_together(token_server, user, count=THREADS):
    """Let many threads look for a token; the endpoint answers when 12 of them have looked."""
    has_looked = threading.Semaphore(0)
    token_server.may_answer.clear()

    def work(_):
        looks = []

        def note(execute, sql, params, many, context):
            found = execute(sql, params, many, context)
            if sql.startswith("SELECT") and "credentials_storedtoken" in sql and not looks:
                looks.append(sql)
                has_looked.release()
            return found

        with requests.Session() as session, connection.execute_wrapper(note):
            session.trust_env = False
            return call(resolve("Acme", user), session)

    def let_answer():
        for _ in range(TOGETHER):
            has_looked.acquire(timeout=30)
        token_server.may_answer.set()

    gate = threading.Thread(target=let_answer)
    gate.start()
    try:
        return in_threads(count, work)
    finally:
        gate.join()


def test_twenty_threads_make_one_token_request(acme, token_server):
    assert fetch_together(token_server, system_user()) == [200] * THREADS
    assert len(token_server.token_requests) == 1
    assert token_server.calls == ["t1"] * THREADS
    assert StoredToken.objects.get().generation == 1


def test_twenty_threads_whose_token_is_rejected_make_one_token_request(acme, token_server, session):
    call(resolve("Acme", system_user()), session)
    token_server.rejected.add("t1")
    assert fetch_together(token_server, system_user()) == [200] * THREADS
    assert len(token_server.token_requests) == 2
    assert StoredToken.objects.get().access_token.reveal() == "t2"


def test_those_who_waited_for_a_refused_request_fail_like_it(acme, token_server):
    """Not one after the other: whoever was under way shares the answer."""
    token_server.planned_answers = [(401, "application/json", b'{"error": "invalid_client"}')] * TOGETHER
    results = fetch_together(token_server, system_user(), count=TOGETHER)
    assert {type(result) for result in results} == {TokenEndpointRefused}
    assert token_server.calls == []
    assert len(token_server.token_requests) == 1


def test_a_token_is_stored_sealed_and_reused(acme, token_server, session):
    user = system_user()
    assert [call(resolve("Acme", user), session) for _ in range(3)] == [200] * 3
    assert token_server.calls == ["t1"] * 3
    assert len(token_server.token_requests) == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token FROM credentials_storedtoken")
        ((text,),) = cursor.fetchall()
    assert text.startswith("v1.")
    row = StoredToken.objects.get()
    assert row.access_token.reveal() == "t1"
    assert (row.token_type, row.refresh_holder, row.failure_code) == ("Bearer", None, "")
    assert (row.expires_at - row.obtained_at).total_seconds() == 3600
    assert Principal.objects.get().status == PrincipalStatus.AUTHENTICATED


def test_a_token_is_replaced_ahead_of_its_end(acme, token_server, session, moving_clock):
    user = system_user()
    call(resolve("Acme", user), session)
    moving_clock.move(timedelta(seconds=3541))
    call(resolve("Acme", user), session)
    assert token_server.calls == ["t1", "t2"]


def test_a_rejected_token_is_replaced_even_after_an_earlier_failure(acme, token_server, session, moving_clock):
    """A token request that failed leaves the old token in place; it stays the same old token."""
    user = system_user()
    call(resolve("Acme", user), session)
    waiting, signed = started(user, acme.url)
    moving_clock.move(timedelta(seconds=3550))
    token_server.planned_answers = [(500, "text/plain", b"")]
    call(resolve("Acme", user), session)
    rejected = requests.Response()
    rejected.status_code = 401
    assert isinstance(waiting.send(rejected), TokenRequest)
    assert signed.headers["Authorization"] == "Bearer t1"
    waiting.close()


def test_new_secrets_fetch_a_new_token(acme, token_server, session):
    call(resolve("Acme", system_user()), session)
    actions.replace_secret(acme.principal, "client_secret", "another")
    call(resolve("Acme", system_user()), session)
    assert token_server.calls == ["t1", "t2"]


def test_a_token_fetched_with_old_secrets_is_not_stored(acme, token_server, session):
    """The secret is replaced while the token request is on its way."""
    flow = resolve("Acme", system_user()).authentication().flow(requests.Request("GET", acme.url).prepare())
    token_request = next(flow)
    actions.replace_secret(acme.principal, "client_secret", "another")
    signed = flow.send(session.send(token_request))
    assert signed.headers["Authorization"] == "Bearer t1"
    flow.close()
    assert not StoredToken.objects.filter(access_token__isnull=False).exists()


REFUSED = b'{"error": "invalid_client", "error_description": "canary-9f2c"}'
BROKEN = json.dumps({"access_token": "canary-9f2c", "token_type": "mac"}).encode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, "text/plain", b"canary-9f2c"), TokenEndpointFailed),
        ((200, "text/html", b"<html>canary-9f2c</html>"), TokenAnswerBroken),
        ((200, "application/json", b'{"expires_in": 1}'), TokenAnswerBroken),
        ((200, "application/json", BROKEN), TokenTypeUnsupported),
        (
            (401, "application/json", b'{"error": "invalid_client", "error_description": "canary-9f2c"}'),
            TokenEndpointRefused,
        ),
    ],
)
def test_a_failure_is_the_principals_status_until_it_works_again(acme, token_server, session, answer, error):
    token_server.planned_answers = [answer]
    with pytest.raises(AuthenticationFailed) as caught:
        call(resolve("Acme", system_user()), session)
    assert type(caught.value) is error
    assert caught.value.retryable is (error is TokenEndpointFailed)
    principal, row = Principal.objects.get(), StoredToken.objects.get()
    assert (principal.status, principal.status_reason) == (PrincipalStatus.FAILED, caught.value.message)
    assert (row.failure_code, row.failure_reason) == (error.code, caught.value.message)
    assert row.refresh_holder is None
    assert "canary-9f2c" not in caught.value.message
    assert token_server.calls == []
    assert call(resolve("Acme", system_user()), session) == 200
    principal.refresh_from_db()
    assert (principal.status, principal.status_reason) == (PrincipalStatus.AUTHENTICATED, "")


def test_each_user_has_their_own_token_and_their_own_trouble(acme, token_server, session):
    Principal.objects.update(kind=PrincipalKind.PER_USER)
    principal = Principal.objects.get()
    users = [User.objects.create_superuser(name) for name in ("one", "two")]
    for user in users:
        actions.replace_secrets(principal, {"client_id": user.username, "client_secret": "s"}, user=user)
    assert [call(resolve("Acme", user), session) for user in users] == [200, 200]
    assert token_server.calls == ["t1", "t2"]
    actions.discard_tokens(principal, user=users[0])
    token_server.planned_answers = [(401, "application/json", b"{}")]
    with pytest.raises(TokenEndpointRefused):
        call(resolve("Acme", users[0]), session)
    assert call(resolve("Acme", users[1]), session) == 200
    assert Principal.objects.get().status == PrincipalStatus.CONFIGURED
    assert StoredToken.objects.get(user=users[0]).failure_code == "TOKEN_ENDPOINT_REFUSED"


def started(user, url):
    flow = resolve("Acme", user).authentication().flow(requests.Request("GET", url).prepare())
    return flow, next(flow)


def test_a_flow_that_is_dropped_gives_its_claim_back(acme, token_server, session):
    flow, request = started(system_user(), acme.url)
    assert isinstance(request, TokenRequest)
    assert StoredToken.objects.get().refresh_holder is not None
    del flow
    gc.collect()
    assert StoredToken.objects.get().refresh_holder is None
    assert call(resolve("Acme", system_user()), session) == 200


def test_the_claim_of_a_process_that_died_ends_with_its_lease(acme, token_server, session, moving_clock, settings):
    settings.ISTHMUS_CREDENTIALS_TOKEN_WAIT_SECONDS = 0
    dead, _ = started(system_user(), acme.url)
    moving_clock.move(timedelta(seconds=29))
    with pytest.raises(TokenWaitTimedOut):
        call(resolve("Acme", system_user()), session)
    moving_clock.move(timedelta(seconds=1))
    assert call(resolve("Acme", system_user()), session) == 200
    assert token_server.calls == ["t1"]
    dead.close()
    assert StoredToken.objects.get().access_token.reveal() == "t1"


def test_who_comes_back_after_the_lease_uses_their_token_and_keeps_the_newer_one(
    acme, token_server, session, moving_clock
):
    late, token_request = started(system_user(), acme.url)
    moving_clock.move(timedelta(seconds=31))
    call(resolve("Acme", system_user()), session)
    signed = late.send(session.send(token_request))
    assert signed.headers["Authorization"] == "Bearer t2"
    late.close()
    assert StoredToken.objects.get().access_token.reveal() == "t1"


def test_inside_a_transaction_nothing_is_written_before_the_commit(acme, token_server, session):
    user = system_user()
    with transaction.atomic():
        assert call(resolve("Acme", user), session) == 200
        assert StoredToken.objects.count() == 0
    assert StoredToken.objects.get().access_token.reveal() == "t1"
    assert call(resolve("Acme", user), session) == 200
    assert len(token_server.token_requests) == 1


def test_a_rolled_back_transaction_leaves_no_trace(acme, token_server, session):
    user = system_user()
    with transaction.atomic():
        call(resolve("Acme", user), session)
        transaction.set_rollback(True)
    assert StoredToken.objects.count() == 0
    assert Principal.objects.get().status == PrincipalStatus.CONFIGURED
