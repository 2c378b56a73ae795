"""The double that users of the platform use in their tests."""

import pytest

import callouts
from callouts import errors, http
from callouts.models import IntegrationLogEntry
from callouts.testing import UnexpectedCallout
from credentials.errors import UnknownNamedCredential

pytestmark = pytest.mark.django_db


def test_prepared_answers_are_given_and_calls_kept(bank, server, callout_mock):
    callout_mock.post("callout:Bank/loans", status=201, json={"id": 1})
    answer = http.post("callout:Bank/loans", params={"page": 2}, json={"amount": 5}, timeout=3)
    assert (answer.status_code, answer.json(), answer.reason) == (201, {"id": 1}, "Created")
    [call] = callout_mock.calls
    assert (call.method, call.url, call.json()) == ("POST", "callout:Bank/loans?page=2", {"amount": 5})
    assert 2 < call.timeout <= 3
    assert server.connections == 0
    assert IntegrationLogEntry.objects.get().outcome == "succeeded"


def test_several_answers_are_given_in_order_the_last_one_for_ever(bank, callout_mock):
    callout_mock.get("callout:Bank/a", status=503)
    callout_mock.get("callout:Bank/a", body="done", headers={"X-A": "1"})
    assert [http.get("callout:Bank/a").status_code for _ in range(3)] == [503, 200, 200]
    assert http.get("callout:Bank/a").headers["x-a"] == "1"


def test_a_query_counts_where_the_test_names_one(bank, callout_mock):
    callout_mock.get("callout:Bank/a?page=1", body="one")
    assert http.get("callout:Bank/a", params={"page": 1}).text == "one"
    with pytest.raises(UnexpectedCallout):
        http.get("callout:Bank/a", params={"page": 2})


def test_a_call_without_an_answer_is_an_error(bank, callout_mock):
    callout_mock.put("callout:Bank/a")
    with pytest.raises(UnexpectedCallout, match="PUT callout:Bank/a"):
        http.get("callout:Bank/a")


def test_errors_can_be_given(bank, callout_mock):
    callout_mock.patch("callout:Bank/a", error=errors.AnswerTimedOut("late"))
    with pytest.raises(errors.AnswerTimedOut):
        http.patch("callout:Bank/a", json={})
    assert IntegrationLogEntry.objects.get().outcome == "in_doubt"


def test_the_named_credential_must_exist(callout_mock):
    callout_mock.delete("callout:Nowhere/a")
    with pytest.raises(UnknownNamedCredential):
        http.delete("callout:Nowhere/a")
    assert callout_mock.calls == []


def test_token_requests_are_answered_by_their_address(oauth_bank, server, callout_mock):
    callout_mock.post(server.url("/token"), json={"access_token": "t-1", "token_type": "Bearer"})
    callout_mock.get("callout:Oauth_Bank/a")
    assert http.get("callout:Oauth_Bank/a").status_code == 200
    token, signed = callout_mock.calls
    assert token.form()["grant_type"] == "client_credentials"
    assert signed.headers["authorization"] == "Bearer t-1"


def test_queued_callouts_are_answered_too(bank, callout_mock, callout_queue):
    callout_mock.post("callout:Bank/a", status=201)
    callouts.enqueue("Send", http.Request(method="POST", url="callout:Bank/a", data={"x": "1"}))
    [sent] = callout_queue.run_all()
    assert (sent.state, sent.status_code) == ("succeeded", 201)
    assert callout_mock.calls[0].form() == {"x": "1"}
