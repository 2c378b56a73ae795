"""Callouts that are signed with a token on their way."""

import pytest

from callouts import errors, http
from callouts.models import IntegrationLogEntry
from credentials.errors import TokenEndpointRefused
from tests.fault_server import Answer

# Tokens are kept when a transaction has committed.
pytestmark = pytest.mark.django_db(transaction=True)


def told():
    entry = IntegrationLogEntry.objects.get()
    return entry.outcome, entry.status_code, entry.error_code


def test_a_token_is_fetched_once_and_never_shown(oauth_bank, server):
    for _ in range(2):
        answer = http.get("callout:Oauth_Bank/json")
    assert [one.path for one in server.requests] == ["/token", "/json", "/json"]
    assert {one.headers["authorization"] for one in server.requests[1:]} == {"Bearer canary-1"}
    assert "Authorization" not in answer.request.headers
    entries = IntegrationLogEntry.objects.all()
    assert {entry.request_headers["Authorization"] for entry in entries} == {"********"}
    assert "canary" not in str([vars(entry) for entry in entries])


def test_after_a_401_the_callout_goes_once_more_with_a_new_token(oauth_bank, server):
    http.get("callout:Oauth_Bank/json")
    server.answers["/picky"] = lambda arrived: Answer(
        401 if arrived.headers["authorization"] == "Bearer canary-1" else 200, arrived.body
    )
    assert http.post("callout:Oauth_Bank/picky", data=b"order").content == b"order"
    assert [one.path for one in server.requests] == ["/token", "/json", "/picky", "/token", "/picky"]


@pytest.mark.parametrize("fault", ["/hang", "/half", "/close-after-request"])
def test_a_token_request_whose_answer_is_lost_leaves_nothing_in_doubt(oauth_bank, server, fault):
    server.faults["/token"] = server.faults[fault]
    with pytest.raises(errors.SigningFailed) as raised:
        http.post("callout:Oauth_Bank/json", json={}, timeout=1)
    assert raised.value.retryable
    assert told() == ("failed", None, "SIGNING_FAILED")
    assert [one.path for one in server.requests] == ["/token"]


def test_a_token_endpoint_that_refuses_ends_the_callout_before_it_is_sent(oauth_bank, server):
    server.answers["/token"] = lambda _: Answer(401, b'{"error": "invalid_client"}')
    with pytest.raises(TokenEndpointRefused):
        http.post("callout:Oauth_Bank/json", json={})
    assert told() == ("failed", None, TokenEndpointRefused.code)
    assert [one.path for one in server.requests] == ["/token"]


def test_a_redirect_within_the_origin_is_signed_anew_and_one_elsewhere_gets_nothing(oauth_bank, server):
    http.get("callout:Oauth_Bank/back-home")
    assert [one.headers.get("authorization") for one in server.requests[1:]] == ["Bearer canary-1"] * 2
    with pytest.raises(errors.RedirectRefused):
        http.get("callout:Oauth_Bank/away")
