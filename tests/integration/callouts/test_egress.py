"""The gate against a server that misbehaves: one named error for each fault, and never later than the deadline."""

import os
import socket
import threading
import time

import pytest
import requests

from callouts import egress, errors

LIMIT = 100_000


class Names:
    """A resolver that knows these names only."""

    def __init__(self, **names):
        self.names = {name: list(addresses) for name, addresses in names.items()}
        self.asked = []

    def resolve(self, host, port, *, seconds):
        self.asked.append(host)
        if host not in self.names:
            raise errors.ConnectFailed(f"The name {host!r} could not be found; nothing was sent.")
        return self.names[host]


@pytest.fixture
def gate():
    opened = egress.EgressGate()
    yield opened
    opened.close()


def send(gate, url, *, method="GET", seconds=5.0, allow=True, **arguments):
    request = requests.Request(method, url, **arguments).prepare()
    route = egress.Route(named_credential="Fault", allow_internal_addresses=allow, max_body_bytes=LIMIT)
    return gate.send(request, route=route, deadline=egress.Deadline.within(seconds))


def test_an_ordinary_answer(gate, server):
    answer = send(gate, server.url("/json"))
    assert (answer.status_code, answer.json(), answer.url) == (200, {"ok": True}, server.url("/json"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.reason == "Because"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/hang", errors.AnswerTimedOut),
        ("/hang-after-headers", errors.AnswerTimedOut),
        ("/drip", errors.AnswerTimedOut),
        ("/drip-headers", errors.AnswerTimedOut),
        ("/half", errors.ResponseBroken),
        ("/long-length", errors.ResponseBroken),
        ("/garbage", errors.ResponseBroken),
        ("/broken-chunks", errors.ResponseBroken),
        ("/broken-gzip", errors.ResponseBroken),
        ("/reset-after-request", errors.ConnectionLost),
        ("/close-after-request", errors.ConnectionLost),
        ("/bomb", errors.AnswerTooLarge),
        ("/endless", errors.AnswerTooLarge),
        (f"/large?size={LIMIT + 1}", errors.AnswerTooLarge),
    ],
)
def test_an_answer_that_is_lost_after_the_request_was_sent_leaves_it_in_doubt(gate, server, path, error):
    began = time.monotonic()
    with pytest.raises(errors.CalloutInDoubt) as raised:
        send(gate, server.url(path), method="POST", data=b"order", seconds=0.5)
    assert type(raised.value) is error
    assert raised.value.retryable is False
    assert time.monotonic() - began < 3
    assert [one.body for one in server.requests] == [b"order"]


def test_an_answer_as_long_as_the_limit_is_read(gate, server):
    assert len(send(gate, server.url(f"/large?size={LIMIT}")).content) == LIMIT


def test_what_follows_the_announced_length_is_not_taken_for_the_next_answer(gate, server):
    assert send(gate, server.url("/short-length")).text == "short"
    assert send(gate, server.url("/json")).json() == {"ok": True}


def test_a_port_where_nobody_listens_fails_before_anything_is_sent(gate):
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(errors.ConnectFailed, match="nothing was sent") as raised:
        send(gate, f"http://127.0.0.1:{port}/")
    assert raised.value.retryable is True


def test_a_connection_that_is_never_accepted_fails_within_the_deadline(gate):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            # The queue of one is full now; further connections are left hanging.
            fillers = [socket.socket() for _ in range(3)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            began = time.monotonic()
            with pytest.raises(errors.ConnectFailed, match="nothing was sent"):
                send(gate, f"http://127.0.0.1:{port}/", seconds=0.4)
            assert time.monotonic() - began < 3
            for filler in fillers:
                filler.close()


def test_a_name_that_does_not_exist_fails_before_anything_is_sent(gate):
    with pytest.raises(errors.ConnectFailed, match="could not be found"):
        send(gate, "http://nowhere.invalid/")


def test_an_internal_address_is_refused_unless_allowed(gate, server):
    with pytest.raises(errors.EgressRefused, match="internal address"):
        send(gate, server.url("/json"), allow=False)
    assert server.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::ffff:127.0.0.1]"])
def test_other_spellings_of_an_internal_address_are_refused(gate, server, host):
    with pytest.raises(errors.EgressRefused):
        send(gate, f"http://{host}:{server.port}/json", allow=False)
    assert server.connections == 0


def test_the_metadata_service_is_refused_even_where_internal_addresses_are_allowed(gate):
    with pytest.raises(errors.EgressRefused, match="metadata"):
        send(gate, "http://169.254.169.254/latest/meta-data/", allow=True)


def test_a_name_with_one_internal_address_among_public_ones_is_refused():
    gate = egress.EgressGate(Names(**{"mixed.example": ["93.184.216.34", "10.0.0.1"]}))
    with pytest.raises(errors.EgressRefused, match=r"mixed.example is 10\.0\.0\.1"):
        send(gate, "http://mixed.example/", allow=False)


def test_a_name_is_looked_up_once_for_a_connection_and_again_for_the_next(server):
    """DNS rebinding: the second connection goes where the name leads then, and is refused there."""
    names = Names(**{"rebinding.example": ["127.0.0.1"]})
    gate = egress.EgressGate(names)
    assert send(gate, f"http://rebinding.example:{server.port}/json").json() == {"ok": True}
    assert names.asked == ["rebinding.example"]
    assert server.requests[0].headers["host"] == f"rebinding.example:{server.port}"
    gate.close()
    names.names["rebinding.example"] = ["169.254.169.254"]
    with pytest.raises(errors.EgressRefused):
        send(gate, f"http://rebinding.example:{server.port}/json")
    assert names.asked == ["rebinding.example"] * 2
    assert len(server.requests) == 1


def test_the_next_address_is_tried_when_the_first_does_not_answer(server):
    gate = egress.EgressGate(Names(**{"two.example": ["::1", "127.0.0.1"]}))
    assert send(gate, f"http://two.example:{server.port}/json").json() == {"ok": True}
    gate.close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
def test_only_http_goes_out(gate, url):
    with pytest.raises(errors.InvalidCallout):
        send(gate, url)


def test_a_connection_is_kept_and_used_again(gate, server):
    for _ in range(3):
        send(gate, server.url("/json"))
    assert server.connections == 1


def test_connections_are_not_shared_between_named_credentials(gate, server):
    for name in ("One", "Two"):
        route = egress.Route(named_credential=name, allow_internal_addresses=True, max_body_bytes=LIMIT)
        gate.send(
            requests.Request("GET", server.url("/json")).prepare(), route=route, deadline=egress.Deadline.within(5)
        )
    assert server.connections == 2


def test_a_connection_that_was_opened_to_an_allowed_internal_address_does_not_serve_who_may_not(gate, server):
    send(gate, server.url("/json"), allow=True)
    with pytest.raises(errors.EgressRefused):
        send(gate, server.url("/json"), allow=False)
    assert len(server.requests) == 1


def test_a_read_goes_again_when_a_kept_connection_had_ended(gate, server):
    for _ in range(2):
        assert send(gate, server.url("/close-when-kept")).text == "first"
    assert [one.connection for one in server.requests] == [1, 1, 2]


def test_a_write_does_not_go_again_when_a_kept_connection_ends_after_it(gate, server):
    send(gate, server.url("/close-when-kept"), method="POST")
    with pytest.raises(errors.ConnectionLost):
        send(gate, server.url("/close-when-kept"), method="POST")
    assert len(server.requests) == 2


def test_a_connection_that_waited_too_long_is_not_used_again(gate, server, settings):
    settings.ISTHMUS_CALLOUTS_IDLE_CONNECTION_SECONDS = 0.0
    for _ in range(2):
        send(gate, server.url("/json"))
    assert server.connections == 2


def test_proxies_of_the_environment_are_not_used(gate, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert send(gate, server.url("/json")).status_code == 200


def test_a_head_request_has_no_body(gate, server):
    answer = send(gate, server.url("/json"), method="HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert send(gate, server.url("/json")).json() == {"ok": True}


def test_a_child_process_does_not_speak_on_its_parents_connections(gate, server):
    send(gate, server.url("/json"))
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if send(gate, server.url("/json")).json() == {"ok": True} else 1
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert [one.connection for one in server.requests] == [1, 2]


def test_threads_share_the_gate_and_get_their_own_answers(gate, server):
    answers = {}

    def ask(number):
        answers[number] = send(gate, server.url("/echo"), method="POST", data=str(number), seconds=20).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number) for number in range(20)}
