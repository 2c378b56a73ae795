"""Workers are killed at every point of a queued callout: nothing is lost, and nothing is repeated unasked.

The receiving program keeps the ledger: what it got, and under which idempotency key.
"""

import signal

import pytest

from tests.engines import postgres_url
from tests.fault_server import Answer, FaultServer
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SET_UP = """
from credentials.actions import create_external_credential, create_named_credential, create_principal
external = create_external_credential("Door", protocol="no_authentication")
create_principal(external, "Anybody", kind="anonymous")
create_named_credential("Bank", url={url!r}, external_credential=external, allow_internal_addresses=True)
"""
ENQUEUE = """
import callouts
from callouts import http
from django.db import transaction
for point in {points!r}:
    for key in (None, "key" + point):
        with transaction.atomic():
            request = http.Request(method="POST", url="callout:Bank" + point, json={{"key": key}}, timeout=2)
            callouts.enqueue(point, request, idempotency_key=key)
"""
STATES = "SELECT operation, idempotency_key, state FROM callout_queue_queuedcallout ORDER BY id"
OPEN = "SELECT count(*) FROM callout_queue_queuedcallout WHERE state IN ('waiting', 'sending', 'held')"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("point", ["/before-send", "/after-send", "/before-log", "/after-log"])
def test_a_killed_worker_loses_nothing_and_repeats_nothing_unasked(engine, point, tmp_path):
    postgres = postgres_url()
    if engine == "postgresql" and not postgres:
        pytest.skip("There is no PostgreSQL here.")
    ledger = []
    with (
        FaultServer() as server,
        migrated_instance(
            engine,
            tmp_path,
            postgres=postgres or "",
            ISTHMUS_APPS="tests.crash_points",
            ISTHMUS_CALLOUT_QUEUE_POLL_SECONDS="0.05",
            ISTHMUS_CALLOUT_QUEUE_LEASE_MARGIN_SECONDS="1",
            # One after the other, so that each death belongs to one callout.
            ISTHMUS_CALLOUT_QUEUE_THREADS="1",
        ) as instance,
    ):
        workers = []

        def note(arrived):
            ledger.append(arrived.headers.get("idempotency-key", ""))
            is_first = ledger.count(ledger[-1]) == 1
            if is_first and (point == "/after-send" or (point == "/after-log" and ledger[-1])):
                # In the second case the callout before this one is logged, and its worker dies now.
                workers[-1].kill_group(signal.SIGKILL)
            return Answer(201, b"{}")

        server.answers[point] = note
        instance.python(SET_UP.format(url=server.url()))
        instance.python(ENQUEUE.format(points=[point]))

        def is_over():
            if not workers or not workers[-1].is_running:
                for worker in workers[-1:]:
                    worker.end()
                workers.append(instance.start("worker"))
            return instance.rows(OPEN) == [(0,)]

        wait_until(is_over, "both callouts have come to rest", timeout_seconds=180)
        states = {key: state for _, key, state in instance.rows(STATES)}
        assert len(workers) > 1
    key = f"key{point}"
    expected = {
        # It may have left, for all the log can tell: a person decides. With a key it goes again.
        "/before-send": ("in_doubt", 0, 1),
        "/after-send": ("in_doubt", 1, 2),
        "/before-log": ("in_doubt", 1, 2),
        "/after-log": ("succeeded", 1, 2),
    }[point]
    assert states == {"": expected[0], key: "succeeded"}
    assert ledger.count("") == expected[1]
    # What is repeated carries the key by which the other side knows it.
    assert ledger.count(key) == expected[2]
    assert set(ledger) <= {"", key}
