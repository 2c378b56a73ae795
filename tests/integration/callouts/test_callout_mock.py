"""The double that users of the platform use in their tests."""

import json

import pytest

import callouts
from callouts import egress, errors, http
from callouts.models import IntegrationLogEntry
from callouts.testing import Answer, CalloutMock, UnexpectedCallout
from credentials.errors import UnknownNamedCredential
from tests.fault_server import Answer as FaultAnswer

pytest_plugins = ["pytester"]

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


def test_an_answer_is_made_by_a_function_of_the_call(bank, callout_mock):
    callout_mock.post("callout:Bank/loans", respond=lambda call: Answer(status=201, json={"for": call.json()["name"]}))
    assert http.post("callout:Bank/loans", json={"name": "Ada"}).json() == {"for": "Ada"}
    callout_mock.get("callout:Bank/never")
    assert callout_mock.unused() == ["GET callout:Bank/never"]


def test_files_arrive_at_the_double_whole(bank, callout_mock, tmp_path):
    callout_mock.post("callout:Bank/papers")
    paper = tmp_path / "paper.txt"
    paper.write_bytes(b"words")
    with paper.open("rb") as file:
        http.post("callout:Bank/papers", data=file)
    assert callout_mock.calls[0].body == b"words"


def test_a_hard_coded_address_fails(bank, callout_mock):
    with pytest.raises(errors.InvalidCallout):
        http.get("https://bank.example/a")


@pytest.fixture
def recorded(bank, server, tmp_path, monkeypatch):
    """A conversation that was recorded against the real server."""
    path = tmp_path / "recordings" / "bank.json"
    server.answers["/loans"] = lambda _: FaultAnswer(201, b'{"id": 7, "token": "canary"}', {"Set-Cookie": "s=canary"})
    mock = CalloutMock()
    monkeypatch.setenv("ISTHMUS_RECORD_CALLOUTS", "1")
    with egress.use(mock):
        mock.replay(path)
        converse()
        mock.finish()
    monkeypatch.delenv("ISTHMUS_RECORD_CALLOUTS")
    server.requests.clear()
    return path


def converse(amount=5):
    made = http.post("callout:Bank/loans", json={"amount": amount, "password": "canary"})
    return made, http.get("callout:Bank/json", params={"page": 1})


def test_a_recording_is_replayed_without_the_service_and_holds_no_secret(recorded, server, callout_mock):
    callout_mock.replay(recorded)
    made, read = converse()
    assert (made.status_code, made.json()["id"], read.json()) == (201, 7, {"ok": True})
    assert server.requests == []
    assert "canary" not in recorded.read_text()
    first, second = json.loads(recorded.read_text())
    assert (first["method"], first["url"], second["url"]) == ("POST", "callout:Bank/loans", "callout:Bank/json?page=1")


def test_a_replay_is_strict(recorded, server):
    mock = CalloutMock()
    with egress.use(mock):
        mock.replay(recorded)
        with pytest.raises(AssertionError, match="its body was"):
            converse(amount=6)
    mock = CalloutMock()
    with egress.use(mock):
        mock.replay(recorded)
        http.post("callout:Bank/loans", json={"password": "canary", "amount": 5})
        with pytest.raises(UnexpectedCallout, match=r"GET callout:Bank/json\?page=1 was not called"):
            mock.finish()
        http.get("callout:Bank/json?page=1")
        with pytest.raises(AssertionError, match="one call too many"):
            http.get("callout:Bank/json?page=1")


def test_a_recording_that_is_missing_says_how_to_make_it(tmp_path):
    with pytest.raises(UnexpectedCallout, match="ISTHMUS_RECORD_CALLOUTS=1"):
        CalloutMock().replay(tmp_path / "none.json")


def test_other_machines_are_out_of_reach(pytester):
    pytester.makeconftest("from callouts.testing import real_network_refused")
    pytester.makepyfile(
        """
        import socket
        import pytest
        from callouts.testing import RealNetworkRefused

        def test_far():
            with pytest.raises(RealNetworkRefused, match="192.0.2.1"):
                socket.create_connection(("192.0.2.1", 80), timeout=1)

        def test_near():
            with socket.create_server(("127.0.0.1", 0)) as server:
                socket.create_connection(server.getsockname()).close()
        """
    )
    pytester.runpytest("-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:django").assert_outcomes(passed=2)
