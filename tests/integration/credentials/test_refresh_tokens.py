"""A rotated refresh token is never lost, never used twice, and one refresh serves everybody."""

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from callouts import http
from callouts.errors import SigningFailed
from credentials import recent_resolutions
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.errors import (
    TokenAnswerBroken,
    TokenEndpointFailed,
    TokenEndpointRefused,
    TokenNeedsCommit,
)
from credentials.models import ConnectionState, IdentityProvider, Principal, PrincipalStatus, StoredToken
from credentials.token_store import DatabaseTokenStore
from credentials.tokens import TokenAnswer
from isthmus import clock
from isthmus.vault.secret import Secret
from tests.integration.credentials.rotating_server import RotatingServer
from tests.processes import migrated_instance

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server():
    with RotatingServer() as running:
        yield running


def set_up(server):
    provider = IdentityProvider.objects.create(
        name="Login",
        authorization_endpoint=f"{server.url}/authorize",
        token_endpoint=f"{server.url}/token",
        client_id="web",
        client_secret="web-secret",
        allow_internal_addresses=True,
    )
    external = create_external_credential("Acme", protocol="oauth_authorization_code", identity_provider=provider)
    principal = create_principal(external, "Main")
    create_named_credential(
        "Acme_Api", url=server.url, external_credential=external, principal=principal, allow_internal_addresses=True
    )
    StoredToken.objects.create(
        principal=principal,
        refresh_token=server.valid,
        access_token="old",
        obtained_at=clock.now() - timedelta(hours=2),
        expires_at=clock.now() - timedelta(hours=1),
        connected_at=clock.now(),
    )
    return principal


@pytest.fixture
def principal(server):
    return set_up(server)


def call():
    return http.get("callout:Acme_Api/x", operation="call").status_code


def expire():
    StoredToken.objects.update(expires_at=clock.now() - timedelta(seconds=1))


def held():
    row = StoredToken.objects.get()
    return row.refresh_token.reveal() if row.refresh_token else None


def test_what_a_refresh_brings_is_kept_with_the_one_before(server, principal):
    first = server.valid
    assert call() == 200
    row = StoredToken.objects.get()
    assert (row.refresh_token.reveal(), row.previous_refresh_token.reveal()) == (server.valid, first)
    assert row.state == ConnectionState.CONNECTED


def test_fifty_threads_refresh_once(server, principal):
    results, barrier = [], threading.Barrier(50)

    def work():
        try:
            barrier.wait(30)
            results.append(call())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [200] * 50
    assert server.refreshes == 1
    assert held() == server.valid


@pytest.mark.processes
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_fifty_threads_of_several_processes_refresh_once(engine, request, tmp_path):
    address = request.getfixturevalue("postgres") if engine == "postgres" else ""
    with RotatingServer() as server, migrated_instance(engine, tmp_path, postgres=address) as instance:
        setup = f"""
from types import SimpleNamespace
from tests.integration.credentials.test_refresh_tokens import set_up
set_up(SimpleNamespace(url={server.url!r}, valid={server.valid!r}))
"""
        instance.python(setup)
        work = """
import json, threading
from callouts import http
from callouts.errors import SigningFailed
from django.db import connection
results = []
def work():
    try:
        results.append(http.get("callout:Acme_Api/x").status_code)
    except Exception as error:
        results.append(repr(error))
    finally:
        connection.close()
threads = [threading.Thread(target=work) for _ in range(25)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(results))
"""
        script = tmp_path / "work.py"
        script.write_text(work)
        running = [instance.start("shell", "--command", f"exec(open({str(script)!r}).read(), {{}})") for _ in range(2)]
        assert [each.wait(90) for each in running] == [0] * 2
        printed = [json.loads(line) for each in running for line in each.output.splitlines() if line.startswith("[2")]
        assert printed == [[200] * 25] * 2
        assert server.refreshes == 1
        assert not server.is_revoked


# --- in doubt ---------------------------------------------------------------------------------------------------------
def test_a_lost_answer_leaves_the_grant_in_doubt_and_what_is_held_in_place(server, principal):
    server.plan = ["lose"]
    before = held()
    with pytest.raises(SigningFailed):
        call()
    row = StoredToken.objects.get()
    assert row.in_doubt_since is not None
    assert row.state == ConnectionState.IN_DOUBT
    assert held() == before


def test_a_lost_answer_is_made_good_where_the_server_repeats_itself(principal, server):
    server.has_grace = True
    server.plan = ["lose"]
    with pytest.raises(SigningFailed):
        call()
    assert call() == 200
    row = StoredToken.objects.get()
    assert (row.state, row.in_doubt_since) == (ConnectionState.CONNECTED, None)
    assert held() == server.valid


def test_a_lost_answer_of_a_strict_server_ends_in_a_clear_word(principal, server):
    server.plan = ["lose"]
    with pytest.raises(SigningFailed):
        call()
    with pytest.raises(TokenEndpointRefused):
        call()
    row = StoredToken.objects.get()
    assert "The answer to an earlier refresh was lost" in row.failure_reason
    assert "Connect again" in row.failure_reason
    assert Principal.objects.get().status == PrincipalStatus.FAILED


def test_where_the_newest_is_not_known_to_the_server_the_one_before_is_tried(server, principal):
    """The server was restored from a moment before it gave the newest."""
    StoredToken.objects.all().delete()
    row = StoredToken(principal=principal, connected_at=clock.now())
    row.refresh_token, row.previous_refresh_token = Secret("never-stored"), Secret(server.valid)
    row.save()
    server.token = _without_revoking(server)
    assert call() == 200
    assert held() == server.valid


def _without_revoking(server):
    strict = server.token

    def token(form):
        answer = strict(form)
        server.is_revoked = False
        return answer

    return token


def test_a_process_that_died_while_it_refreshed_holds_nobody_up_for_ever(server, principal):
    StoredToken.objects.update(
        refresh_holder="11111111-1111-1111-1111-111111111111",
        refresh_lease_expires_at=clock.now() - timedelta(seconds=1),
        in_doubt_since=clock.now() - timedelta(seconds=31),
    )
    assert StoredToken.objects.get().state == ConnectionState.IN_DOUBT
    assert call() == 200
    assert StoredToken.objects.get().state == ConnectionState.CONNECTED


def test_an_answer_that_comes_after_the_lease_is_kept_all_the_same(principal, moving_clock):
    """The provider was slow; somebody else has begun to refresh with the token that is rotated away by now."""
    ours, theirs = DatabaseTokenStore(principal, None), DatabaseTokenStore(principal, None)
    slow = ours.claim(ours.held())
    moving_clock.move(timedelta(seconds=31))
    quick = theirs.claim(theirs.held())
    assert quick is not None
    ours.keep(slow, TokenAnswer(access_token=Secret("a"), expires_in_seconds=60, refresh_token=Secret("rotated")))
    theirs.fail(quick, TokenEndpointRefused(is_grant_invalid=True))
    assert held() == "rotated"
    assert StoredToken.objects.get().state == ConnectionState.CONNECTED


@pytest.mark.parametrize(("planned", "error"), [("html", TokenAnswerBroken), ("down", TokenEndpointFailed)])
def test_an_answer_that_is_no_token_overwrites_nothing(server, principal, planned, error):
    server.plan = [planned]
    before = held()
    with pytest.raises(error):
        call()
    assert held() == before
    assert server.calls == 0
    assert call() == 200


def test_a_token_without_an_end_is_used_for_a_while(server, principal):
    server.plan = ["silent"]
    assert call() == 200
    row = StoredToken.objects.get()
    assert row.expires_at - row.obtained_at == timedelta(seconds=300)


def test_a_refresh_never_happens_inside_a_transaction_that_may_be_undone(server, principal):
    with transaction.atomic(), pytest.raises(TokenNeedsCommit):
        call()
    assert server.refreshes == 0
    assert call() == 200
    with transaction.atomic():
        assert call() == 200


def test_a_rejected_access_token_is_renewed_and_the_call_repeated_once(server, principal):
    assert call() == 200
    server.access.clear()
    assert call() == 200
    assert (server.refreshes, server.calls) == (2, 3)


# --- what a process remembers -----------------------------------------------------------------------------------------
@pytest.fixture
def remembering(settings):
    settings.ISTHMUS_CREDENTIALS_RESOLUTION_SECONDS = 1.0
    recent_resolutions.forget()
    yield
    recent_resolutions.forget()


def test_a_burst_of_callouts_asks_the_database_nothing_about_its_credential(
    remembering, server, principal, django_assert_num_queries
):
    from credentials.resolver import resolve
    from isthmus.access.policy import system_user

    user = system_user()
    assert call() == 200
    call()
    with django_assert_num_queries(0):
        resolve("Acme_Api", user).authentication()


def test_a_token_that_another_process_renewed_is_found_when_ours_is_rejected(remembering, server, principal):
    assert call() == 200
    server.access.clear()
    fresh = server.token({"refresh_token": server.valid})
    answer = json.loads(fresh[1])
    row = StoredToken.objects.get()
    row.access_token, row.refresh_token = answer["access_token"], answer["refresh_token"]
    row.generation += 1
    row.token_generation = row.generation
    # As another process writes it: this one is not told.
    StoredToken.objects.filter(pk=row.pk).update(
        access_token=row.access_token.as_sealed(),
        refresh_token=row.refresh_token.as_sealed(),
        generation=row.generation,
        token_generation=row.generation,
    )
    assert call() == 200
    assert server.refreshes == 2


def test_a_change_made_here_counts_at_once(remembering, server, principal):
    from credentials.errors import CredentialDisabled
    from credentials.models import NamedCredential

    assert call() == 200
    named = NamedCredential.objects.get()
    named.is_enabled = False
    named.save()
    with pytest.raises(CredentialDisabled):
        call()


def test_a_grant_that_is_withdrawn_here_counts_at_once(remembering, server, principal):
    from django.contrib.auth.models import User

    from credentials.errors import PrincipalAccessRefused
    from isthmus.access.actions import assign, ensure_permission_set, unassign

    user = User.objects.create_user("clerk")
    callers = ensure_permission_set("Callers", "Callers", [("principal", "use", principal.target)])
    assign(callers, user)
    assert http.get("callout:Acme_Api/x", user=user).status_code == 200
    unassign(callers, user)
    with pytest.raises(PrincipalAccessRefused):
        http.get("callout:Acme_Api/x", user=user)


def test_what_a_transaction_saw_is_not_remembered(remembering, server, principal):
    from credentials.errors import UnknownNamedCredential
    from credentials.models import NamedCredential
    from credentials.resolver import resolve
    from isthmus.access.policy import system_user

    user = system_user()
    with transaction.atomic():
        named = NamedCredential.objects.get()
        named.pk, named.name = None, "Short_Lived"
        named.save()
        assert resolve("Short_Lived", user)
        transaction.set_rollback(True)
    with pytest.raises(UnknownNamedCredential):
        resolve("Short_Lived", user)
