"""Callouts from end to end: what code gets, and what the integration log says about it."""

import logging
import socket
import time

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from callouts import egress, errors, http, limits
from callouts.models import IntegrationLogEntry
from credentials.actions import create_named_credential
from credentials.errors import OutsideOrigin, PrincipalAccessRefused, UnknownNamedCredential
from isthmus import correlation
from isthmus.access import actions as access
from isthmus.access.policy import system_user

pytestmark = pytest.mark.django_db


def only_entry():
    return IntegrationLogEntry.objects.get()


def told(entry):
    return entry.outcome, entry.status_code, entry.error_code


def test_an_answer_is_returned_and_both_sides_are_logged(bank, server):
    with correlation.bind("order-5"):
        answer = http.post(
            "callout:Bank/echo?page=2",
            params={"api_key": "canary"},
            json={"amount": 5, "password": "canary"},
            headers={"X-Api-Key": "canary", "X-Plain": "seen"},
            operation="Submit application",
            record="001000000000001AAA",
        )
    assert answer.json() == {"amount": 5, "password": "canary"}
    [arrived] = server.requests
    assert arrived.query == {"page": "2", "api_key": "canary"}
    assert arrived.headers["x-api-key"] == "canary"
    assert arrived.headers["x-request-id"] == "order-5"
    assert "cookie" not in arrived.headers
    entry = only_entry()
    assert told(entry) == ("succeeded", 200, "")
    assert (entry.direction, entry.method, entry.operation) == ("outbound", "POST", "Submit application")
    assert (entry.named_credential, entry.principal) == ("Bank", "Open_Door.Anybody")
    assert (entry.user, entry.record_id, entry.correlation_id) == (system_user(), "001000000000001AAA", "order-5")
    assert entry.url == server.url("/echo?page=2&api_key=********")
    assert entry.request_body == '{"amount": 5, "password": "********"}'
    assert entry.request_headers["X-Plain"] == "seen"
    assert entry.duration_ms is not None
    assert "canary" not in str(vars(entry))


@pytest.mark.parametrize("method", ["get", "head", "options", "post", "put", "patch", "delete"])
def test_each_method_has_a_function(bank, server, method):
    content = getattr(http, method)("callout:Bank/json").content
    assert content == (b"" if method == "head" else b'{"ok": true}')
    assert server.requests[0].method == method.upper()


@pytest.mark.parametrize(("path", "status"), [("/error", 500), ("/not-found", 404), ("/unauthorized", 401)])
def test_an_error_status_is_an_answer(bank, path, status):
    answer = http.get(f"callout:Bank{path}")
    assert answer.status_code == status
    assert answer.content
    with pytest.raises(Exception, match=str(status)):
        answer.raise_for_status()
    assert told(only_entry()) == ("failed", status, "")
    assert only_entry().response_body == answer.text


def test_html_is_an_answer_too(bank):
    assert http.get("callout:Bank/html").text == "<html><body>Hello</body></html>"
    assert told(only_entry()) == ("succeeded", 200, "")


@pytest.mark.parametrize(
    ("path", "error", "code"),
    [
        ("/hang", errors.AnswerTimedOut, "ANSWER_TIMED_OUT"),
        ("/drip", errors.AnswerTimedOut, "ANSWER_TIMED_OUT"),
        ("/half", errors.ResponseBroken, "RESPONSE_BROKEN"),
        ("/long-length", errors.ResponseBroken, "RESPONSE_BROKEN"),
        ("/garbage", errors.ResponseBroken, "RESPONSE_BROKEN"),
        ("/reset-after-request", errors.ConnectionLost, "CONNECTION_LOST"),
        ("/close-after-request", errors.ConnectionLost, "CONNECTION_LOST"),
        ("/bomb", errors.AnswerTooLarge, "ANSWER_TOO_LARGE"),
        ("/endless", errors.AnswerTooLarge, "ANSWER_TOO_LARGE"),
    ],
)
def test_a_lost_answer_is_in_doubt(bank, server, path, error, code):
    began = time.monotonic()
    with pytest.raises(errors.CalloutInDoubt) as raised:
        http.post(f"callout:Bank{path}", json={"amount": 5}, timeout=2)
    assert type(raised.value) is error
    assert time.monotonic() - began < 5
    entry = only_entry()
    assert told(entry) == ("in_doubt", None, code)
    assert entry.error_message == raised.value.message
    assert entry.request_body == '{"amount": 5}'
    assert not entry.is_under_way
    assert len(server.requests) == 1


def test_an_answer_larger_than_the_limit_is_cut_off(bank, settings):
    settings.ISTHMUS_CALLOUTS_MAX_BODY_BYTES = 2000
    assert len(http.get("callout:Bank/large?size=2000").content) == 2000
    with pytest.raises(errors.AnswerTooLarge):
        http.get("callout:Bank/large?size=2001")


def test_where_nobody_listens_the_callout_failed_and_nothing_is_in_doubt(open_door):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    create_named_credential(
        "Closed", url=f"http://127.0.0.1:{port}", external_credential=open_door, allow_internal_addresses=True
    )
    with pytest.raises(errors.ConnectFailed) as raised:
        http.post("callout:Closed/x", json={})
    assert raised.value.retryable
    assert told(only_entry()) == ("failed", None, "CONNECT_FAILED")


def test_an_internal_address_is_refused(server, open_door):
    create_named_credential("Inside", url=server.url(), external_credential=open_door)
    with pytest.raises(errors.EgressRefused):
        http.get("callout:Inside/json")
    assert told(only_entry()) == ("refused", None, "EGRESS_REFUSED")
    assert server.connections == 0


@pytest.mark.parametrize(
    ("path", "error", "outcome", "code"),
    [
        ("/loop", errors.TooManyRedirects, "failed", "TOO_MANY_REDIRECTS"),
        ("/away", errors.RedirectRefused, "failed", "REDIRECT_REFUSED"),
        ("/to-file", errors.RedirectRefused, "failed", "REDIRECT_REFUSED"),
    ],
)
def test_redirects_that_are_not_followed_to_their_end(bank, server, path, error, outcome, code):
    with pytest.raises(error):
        http.get(f"callout:Bank{path}")
    assert told(only_entry()) == (outcome, 302, code)
    assert {one.path for one in server.requests} == {path}


def test_redirects_within_the_origin_are_followed(bank, server):
    answer = http.get("callout:Bank/back-home")
    assert answer.json() == {"ok": True}
    assert [(one.status_code, one.url) for one in answer.history] == [(302, server.url("/back-home"))]
    assert told(only_entry()) == ("succeeded", 200, "")
    assert only_entry().url == server.url("/json")


def test_a_write_that_is_redirected_as_it_was_keeps_its_body(bank, server):
    assert http.post("callout:Bank/again", data=b"order").content == b"order"
    assert [(one.method, one.body) for one in server.requests] == [("POST", b"order")] * 2


def test_a_moved_write_is_not_followed(bank, server):
    assert http.post("callout:Bank/moved", json={}).status_code == 301
    assert len(server.requests) == 1


def test_cookies_are_not_kept(bank, server):
    assert "planted" in http.get("callout:Bank/cookie").headers["Set-Cookie"]
    http.get("callout:Bank/json")
    assert "cookie" not in server.requests[1].headers
    entry = IntegrationLogEntry.objects.get(url=server.url("/cookie"))
    assert entry.response_headers["Set-Cookie"] == "********"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ({"url": "https://bank.example/"}, errors.InvalidCallout),
        ({"url": "callout:Bank/a\r\nX-Evil: 1"}, errors.InvalidCallout),
        ({"url": "callout:Bank/json", "headers": {"X-A": "1\r\nX-Evil: 1"}}, errors.InvalidCallout),
        ({"url": "callout:Bank/json", "timeout": 0}, errors.InvalidCallout),
        ({"url": "callout:Bank/json", "timeout": 121}, errors.InvalidCallout),
        ({"url": "callout:Bank/json", "data": b"x" * (6 * 1024 * 1024 + 1)}, errors.BodyTooLarge),
        ({"url": "callout:Nowhere/json"}, UnknownNamedCredential),
        ({"url": "callout:Bank/../admin"}, OutsideOrigin),
        ({"url": "callout:Bank//evil.example/"}, OutsideOrigin),
    ],
)
def test_what_never_leaves_is_refused_and_logged(bank, server, call, error):
    url = call.pop("url")
    with pytest.raises(error) as raised:
        http.post(url, **call)
    assert told(only_entry()) == ("refused", None, raised.value.code)
    assert server.connections == 0


def test_a_user_without_the_grant_is_refused(bank, server):
    user = get_user_model().objects.create_user("ada")
    with pytest.raises(PrincipalAccessRefused, match=r"Open_Door\.Anybody"):
        http.get("callout:Bank/json", user=user)
    assert told(only_entry()) == ("refused", None, "INSUFFICIENT_ACCESS")
    assert only_entry().user == user
    assert server.connections == 0


def test_a_user_with_the_grant_gets_through(bank):
    user = get_user_model().objects.create_user("ada")
    holding = access.ensure_permission_set("Bank", "Bank", grants=[("principal", "use", "Open_Door.Anybody")])
    access.assign(holding, user)
    assert http.get("callout:Bank/json", user=user).json() == {"ok": True}
    assert only_entry().user == user


def test_the_limit_on_callouts_in_a_transaction(bank, server, settings):
    settings.ISTHMUS_CALLOUTS_MAX_CALLOUTS = 2
    with limits.transaction_context():
        for _ in range(2):
            http.get("callout:Bank/json")
        with pytest.raises(errors.LimitExceeded):
            http.get("callout:Bank/json")
    assert len(server.requests) == 2
    assert told(IntegrationLogEntry.objects.first()) == ("refused", None, "LIMIT_EXCEEDED")


def test_the_time_that_is_left_in_the_transaction_limits_the_callout(bank, settings):
    settings.ISTHMUS_CALLOUTS_MAX_CUMULATIVE_SECONDS = 0.4
    began = time.monotonic()
    with limits.transaction_context():
        with pytest.raises(errors.AnswerTimedOut):
            http.get("callout:Bank/hang", timeout=60)
        with pytest.raises(errors.LimitExceeded):
            http.get("callout:Bank/json")
    assert time.monotonic() - began < 3


@pytest.mark.django_db(transaction=True)
def test_the_entry_is_there_while_the_request_is_under_way(bank, server):
    """Whoever dies while sending leaves an entry that says so."""
    seen = []

    def look(arrived):
        seen.extend(IntegrationLogEntry.objects.values_list("outcome", "duration_ms", "status_code"))
        connection.close()
        return type(server.answers["/json"](arrived))(204)

    server.answers["/look"] = look
    assert http.post("callout:Bank/look", json={}).status_code == 204
    assert seen == [("in_doubt", None, None)]
    assert told(only_entry()) == ("succeeded", 204, "")


def test_an_interruption_leaves_the_callout_in_doubt(bank, server):
    class Interrupting:
        def send(self, request, *, route, deadline, timing=None):
            raise KeyboardInterrupt

    with egress.use(Interrupting()), pytest.raises(KeyboardInterrupt):
        http.post("callout:Bank/json", json={})
    assert told(only_entry()) == ("in_doubt", None, "UNKNOWN_EXCEPTION")
    assert only_entry().error_message == "KeyboardInterrupt"


def test_the_structured_log_tells_of_it_without_bodies(bank, caplog):
    with caplog.at_level(logging.INFO):
        http.post("callout:Bank/echo", json={"password": "canary"}, headers={"Authorization": "Bearer canary"})
    assert "integration.exchange" in caplog.text
    assert "canary" not in caplog.text


def test_a_library_that_wants_a_session_gets_one(bank, server):
    session = http.CalloutSession(operation="By library")
    session.params = {"a": "1"}
    answer = session.post("callout:Bank/cookie?x=0", params={"b": "2"}, json={"c": 3}, headers={"X-D": "4"}, timeout=5)
    assert answer.text == "set"
    assert server.requests[0].query == {"x": "0", "a": "1", "b": "2"}
    assert server.requests[0].body == b'{"c": 3}'
    assert server.requests[0].headers["x-d"] == "4"
    session.get("callout:Bank/json", timeout=(1, 2))
    assert "cookie" not in server.requests[1].headers
    assert not session.cookies
    assert {entry.operation for entry in IntegrationLogEntry.objects.all()} == {"By library"}


def test_a_session_sends_nowhere_else(bank, server):
    session = http.CalloutSession()
    with pytest.raises(Exception, match="No connection adapters"):
        session.get(server.url("/json"))
    with pytest.raises(errors.InvalidCallout):
        session.get("callout:Bank/json", verify=False)
    assert server.connections == 0
