"""Every fault that another system can have: what the caller gets, what the log says, and how much memory it takes."""

import socket
import struct
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest

from callouts import errors, http
from callouts.models import IntegrationLogEntry
from credentials.actions import create_named_credential

pytestmark = pytest.mark.django_db

FAULTS = [
    ("/hang", errors.AnswerTimedOut, "in_doubt"),
    ("/hang-after-headers", errors.AnswerTimedOut, "in_doubt"),
    ("/drip", errors.AnswerTimedOut, "in_doubt"),
    ("/drip-headers", errors.AnswerTimedOut, "in_doubt"),
    ("/continues", errors.ResponseBroken, "in_doubt"),
    ("/half", errors.ResponseBroken, "in_doubt"),
    ("/long-length", errors.ResponseBroken, "in_doubt"),
    ("/garbage", errors.ResponseBroken, "in_doubt"),
    ("/broken-chunks", errors.ResponseBroken, "in_doubt"),
    ("/broken-gzip", errors.ResponseBroken, "in_doubt"),
    ("/many-headers", errors.ResponseBroken, "in_doubt"),
    ("/long-header", errors.ResponseBroken, "in_doubt"),
    ("/split-header", errors.ResponseBroken, "in_doubt"),
    ("/two-lengths", errors.ResponseBroken, "in_doubt"),
    ("/reset-after-request", errors.ConnectionLost, "in_doubt"),
    ("/close-after-request", errors.ConnectionLost, "in_doubt"),
    ("/bomb", errors.AnswerTooLarge, "in_doubt"),
    ("/endless", errors.AnswerTooLarge, "in_doubt"),
    ("/ten-gigabytes", errors.AnswerTooLarge, "in_doubt"),
    ("/ten-gigabytes-in-chunks", errors.AnswerTooLarge, "in_doubt"),
    ("/loop", errors.TooManyRedirects, "failed"),
    ("/away", errors.RedirectRefused, "failed"),
]
ANSWERS = [
    ("/continue", b"at last"),
    ("/short-length", b"short"),
    ("/negative-length", b"short"),
    ("/cookies", b"set"),
    ("/garbage-charset", b"\xff\xfe\xfd"),
    ("/unknown-encoding", b"\x00\x01\x02"),
]


@pytest.mark.parametrize(("path", "error", "outcome"), FAULTS)
def test_each_fault_has_its_name(bank, server, path, error, outcome):
    # A read is sent again over a new connection only when a kept one had ended; here each connection is new.
    method = "GET" if path in {"/loop", "/away"} else "POST"
    with pytest.raises(error):
        http.request(method, f"callout:Bank{path}", timeout=1)
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.error_code) == (outcome, error.code)
    assert entry.duration_ms < 3_000


@pytest.mark.parametrize(("path", "body"), ANSWERS)
def test_what_is_odd_and_can_be_read_is_an_answer(bank, server, path, body):
    answer = http.get(f"callout:Bank{path}", timeout=5)
    assert answer.content == body
    assert not answer.cookies
    assert IntegrationLogEntry.objects.get().outcome == "succeeded"


@contextmanager
def resetting():
    """Listen, and end every connection with a reset before anything is read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_an_early_reset_is_never_a_success(open_door):
    with resetting() as port:
        create_named_credential(
            "Bank", url=f"http://127.0.0.1:{port}", external_credential=open_door, allow_internal_addresses=True
        )
        with pytest.raises((errors.ConnectionLost, errors.ConnectFailed)) as caught:
            http.post("callout:Bank/a", data=b"x" * 1_000_000)
    outcome = IntegrationLogEntry.objects.get().outcome
    # Whether a byte had left before the reset came is a matter of microseconds; the log says which.
    assert outcome == ("in_doubt" if isinstance(caught.value, errors.CalloutInDoubt) else "failed")


def test_a_long_set_cookie_is_masked_in_the_log(bank, server):
    http.get("callout:Bank/cookies")
    assert "x" * 100 not in str(IntegrationLogEntry.objects.get().response_headers)


MEASURE = """
    import resource, sys
    sys.path[:0] = {path!r}
    import django
    django.setup()
    import requests
    from callouts import egress, errors

    MEBIBYTE = 1024 * 1024
    gate = egress.EgressGate()
    def call(path, streamed):
        request = requests.Request("GET", {url!r} + path).prepare()
        route = egress.Route(
            named_credential="Fault", allow_internal_addresses=True, max_body_bytes=12 * MEBIBYTE, is_streamed=streamed
        )
        try:
            answer = gate.send(request, route=route, deadline=egress.Deadline.within(30))
            if streamed:
                for _ in answer.iter_content(65536):
                    pass
        except errors.AnswerTooLarge:
            return
        raise SystemExit(f"{{path}} was read")

    try:
        gate.send(
            requests.Request("GET", {url!r} + "/json").prepare(),
            route=egress.Route(named_credential="Fault", allow_internal_addresses=True, max_body_bytes=1000),
            deadline=egress.Deadline.within(5),
        )
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in {paths!r}:
            for streamed in (False, True):
                call(path, streamed)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024)
    finally:
        gate.close()
"""


def test_memory_stays_within_64_mebibytes(server):
    script = textwrap.dedent(MEASURE).format(
        path=[path for path in sys.path if path],
        url=server.url(),
        paths=["/ten-gigabytes", "/ten-gigabytes-in-chunks", "/bomb", "/endless"],
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert int(done.stdout) < 64
