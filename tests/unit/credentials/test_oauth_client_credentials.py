"""Client credentials: what is asked, when a token is reused, replaced, and what a failure leaves behind."""

import base64
import json
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
import requests

from credentials.errors import TokenEndpointFailed, TokenEndpointRefused, TokenWaitTimedOut
from credentials.protocols.base import AuthenticationContext, TokenRequest
from credentials.protocols.oauth_client_credentials import OAuthClientCredentials
from credentials.protocols.options import cleaned_settings
from credentials.testing import InMemoryTokenStore, drive
from isthmus import clock
from isthmus.vault.errors import SealBroken
from isthmus.vault.secret import Secret

TOKEN_URL = "https://login.acme.example/token?tenant=a"


class AcmeSystem:
    """The other side: a token endpoint that numbers its tokens, and an API that takes the newest."""

    def __init__(self):
        self.token_requests = []
        self.calls = []
        self.token_answers = []
        self.accepts = lambda token: True
        self.lifetime = 3600

    def send(self, request):
        if isinstance(request, TokenRequest):
            self.token_requests.append(request)
            planned = self.token_answers.pop(0) if self.token_answers else None
            if isinstance(planned, Exception):
                raise planned
            number = len(self.token_requests)
            body = {"access_token": f"t{number}", "token_type": "Bearer", "expires_in": self.lifetime}
            return self.answer(*(planned or (200, body)))
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.calls.append(token)
        return self.answer(200 if self.accepts(token) else 401, {})

    @staticmethod
    def answer(status, body):
        response = requests.Response()
        response.status_code = status
        response._content = json.dumps(body).encode()
        return response


@pytest.fixture
def acme():
    return AcmeSystem()


@pytest.fixture
def store():
    return InMemoryTokenStore()


def protocol(store, secrets=None, **settings):
    return OAuthClientCredentials(
        AuthenticationContext(
            settings=cleaned_settings(OAuthClientCredentials.options, {"token_url": TOKEN_URL, **settings}),
            secrets=secrets or {"client_id": Secret("id+1"), "client_secret": Secret("s:ecret ü")},
            tokens=store,
        )
    )


def prepared(data=b"body"):
    return requests.Request("POST", "https://api.acme.example/x", data=data).prepare()


def call(store, acme, data=b"body"):
    return drive(protocol(store), prepared(data), acme.send).status_code


def test_client_id_and_secret_go_into_the_header_form_encoded(store):
    request = protocol(store, scope="read write").token_request()
    assert (request.method, request.url) == ("POST", TOKEN_URL)
    assert parse_qs(request.body) == {"grant_type": ["client_credentials"], "scope": ["read write"]}
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"
    pair = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert pair == "id%2B1:s%3Aecret+%C3%BC"


def test_or_into_the_body(store):
    request = protocol(store, client_authentication="body", audience="https://api").token_request()
    assert "Authorization" not in request.headers
    assert parse_qs(request.body) == {
        "grant_type": ["client_credentials"],
        "audience": ["https://api"],
        "client_id": ["id+1"],
        "client_secret": ["s:ecret ü"],
    }


def test_a_token_is_fetched_once_and_reused(moving_clock, store, acme):
    assert [call(store, acme) for _ in range(3)] == [200, 200, 200]
    assert len(acme.token_requests) == 1
    assert acme.calls == ["t1", "t1", "t1"]


def test_the_callers_request_never_holds_the_token(store, acme):
    request = prepared()
    drive(protocol(store), request, acme.send)
    assert "Authorization" not in request.headers


def test_a_token_is_replaced_a_minute_before_its_end(moving_clock, store, acme):
    call(store, acme)
    moving_clock.move(timedelta(seconds=3539))
    call(store, acme)
    moving_clock.move(timedelta(seconds=1))
    call(store, acme)
    assert acme.calls == ["t1", "t1", "t2"]


def test_a_token_without_a_lifetime_lives_for_five_minutes(moving_clock, store, acme):
    acme.lifetime = None
    call(store, acme)
    moving_clock.move(timedelta(seconds=239))
    call(store, acme)
    moving_clock.move(timedelta(seconds=1))
    call(store, acme)
    assert acme.calls == ["t1", "t1", "t2"]


def test_a_short_lived_token_is_used_for_half_its_life(moving_clock, store, acme):
    acme.lifetime = 30
    call(store, acme)
    moving_clock.move(timedelta(seconds=14))
    call(store, acme)
    moving_clock.move(timedelta(seconds=1))
    call(store, acme)
    assert acme.calls == ["t1", "t1", "t2"]


def test_a_rejected_token_is_replaced_once(store, acme):
    call(store, acme)
    acme.accepts = lambda token: token != "t1"
    assert call(store, acme) == 200
    assert acme.calls == ["t1", "t1", "t2"]
    assert len(acme.token_requests) == 2


def test_a_second_rejection_is_the_answer(store, acme):
    call(store, acme)
    acme.accepts = lambda token: False
    assert call(store, acme) == 401
    assert acme.calls == ["t1", "t1", "t2"]


def test_a_new_token_that_is_rejected_is_not_replaced(store, acme):
    """What was fetched for this very request is not stale."""
    acme.accepts = lambda token: False
    assert call(store, acme) == 401
    assert acme.calls == ["t1"]
    assert len(acme.token_requests) == 1


def test_a_body_that_cannot_be_sent_again_is_not(store, acme):
    call(store, acme)
    acme.accepts = lambda token: token != "t1"
    assert call(store, acme, data=iter([b"once"])) == 401
    assert acme.calls == ["t1", "t1"]


def test_a_refusal_is_told_and_recorded(moving_clock, store, acme):
    acme.token_answers = [(401, {"error": "invalid_client"})]
    with pytest.raises(TokenEndpointRefused):
        call(store, acme)
    assert acme.calls == []
    assert isinstance(store.failure, TokenEndpointRefused)
    assert store.holder is None
    assert call(store, acme) == 200
    assert store.failure is None


def test_a_token_that_still_works_is_used_when_its_replacement_fails(moving_clock, store, acme):
    call(store, acme)
    moving_clock.move(timedelta(seconds=3550))
    acme.token_answers = [(500, {})]
    assert call(store, acme) == 200
    assert acme.calls == ["t1", "t1"]
    assert isinstance(store.failure, TokenEndpointFailed)


def test_after_such_a_failure_the_endpoint_is_left_alone_for_a_while(moving_clock, store, acme):
    call(store, acme)
    moving_clock.move(timedelta(seconds=3550))
    acme.token_answers = [(500, {})]
    call(store, acme)
    moving_clock.move(timedelta(seconds=4))
    call(store, acme)
    assert len(acme.token_requests) == 2
    moving_clock.move(timedelta(seconds=1))
    call(store, acme)
    assert acme.calls == ["t1", "t1", "t1", "t3"]


def test_no_answer_of_the_token_endpoint_is_recorded_without_its_text(store, acme):
    acme.token_answers = [OSError("canary-9f2c")]
    with pytest.raises(OSError, match="canary-9f2c"):
        call(store, acme)
    assert store.failure.message == "The token endpoint gave no answer (OSError)."
    assert store.failure.retryable
    assert store.holder is None


def test_a_flow_that_is_closed_gives_its_claim_back(store):
    flow = protocol(store).flow(prepared())
    assert isinstance(next(flow), TokenRequest)
    assert store.holder is not None
    flow.close()
    assert store.holder is None
    assert store.failure is None


def test_a_secret_that_does_not_open_gives_the_claim_back(store):
    broken = {"client_id": Secret("id"), "client_secret": Secret(None, sealed="v1.broken", context="x")}
    with pytest.raises(SealBroken):
        next(protocol(store, broken).flow(prepared()))
    assert store.holder is None
    assert store.failure is None


def test_who_cannot_claim_uses_the_token_that_still_works(moving_clock, store, acme):
    call(store, acme)
    moving_clock.move(timedelta(seconds=3550))
    store.claimed_until = clock.now() + timedelta(seconds=30)
    assert call(store, acme) == 200
    assert acme.calls == ["t1", "t1"]


def test_who_waits_too_long_is_told(moving_clock, store, acme):
    store.claimed_until = clock.now() + timedelta(seconds=30)
    with pytest.raises(TokenWaitTimedOut) as caught:
        call(store, acme)
    assert caught.value.retryable
    assert acme.token_requests == []


def test_who_waited_for_a_token_request_that_failed_fails_like_it(moving_clock, acme):
    class FailingMeanwhile(InMemoryTokenStore):
        def wait(self, waited_turns):
            self._end(failure=TokenEndpointRefused("The other one was refused."))
            return True

    store = FailingMeanwhile()
    store.claimed_until = clock.now() + timedelta(seconds=30)
    with pytest.raises(TokenEndpointRefused, match="The other one was refused"):
        call(store, acme)
    assert acme.token_requests == []
