"""Processes are killed between submit, answer, callback and handler: one application, one effect.

The receiving program keeps the ledger: what it got, and under which idempotency key.
"""

import http.client
import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.engines import postgres_url
from tests.fault_server import Answer, FaultServer
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

POINTS = ("before-send", "after-send", "before-log")
BODY = {"content": {"application/json": {"schema": {"type": "object"}}}}
DONE = {"done": {"{$request.body#/url}": {"post": {"requestBody": BODY, "responses": {"200": {"description": ""}}}}}}
DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Ledger", "version": "1"},
    "paths": {
        f"/{point}": {
            "post": {
                "operationId": point,
                "parameters": [{"name": "Idempotency-Key", "in": "header", "required": True}],
                "requestBody": BODY,
                "responses": {"202": {"description": "", **BODY}},
                "callbacks": DONE,
            }
        }
        for point in (*POINTS, "plain")
    },
}
SET_UP = """
import json
from credentials.actions import create_external_credential, create_named_credential, create_principal
from callouts.external_services.actions import register
external = create_external_credential("Door", protocol="no_authentication")
create_principal(external, "Anybody", kind="anonymous")
create_named_credential("Bank", url={url!r}, external_credential=external, allow_internal_addresses=True)
register("Ledger", {document!r}, named_credential="Bank")
"""
ENQUEUE = """
from tests.crash_points.jobs import submit
submit.enqueue(operation={operation!r}, reference={reference!r})
"""
SUBMIT = """
from callouts.external_services import external_service
from tests.crash_points.callbacks import Deadly
for number in range({count}):
    external_service("Ledger").plain(body={{"n": number}}, callback=Deadly, reference=f"r{{number}}")
"""
STATES = "SELECT state, count(*) FROM external_services_invocation GROUP BY state ORDER BY state"
RECEIPTS = "SELECT state, count(*) FROM external_services_callbackreceipt GROUP BY state ORDER BY state"
EFFECTS = "SELECT last_name FROM crm_contact ORDER BY last_name"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    if request.param == "postgresql" and not postgres_url():
        pytest.skip("There is no PostgreSQL here.")
    return request.param


class Web:
    """The web process on a port of its own."""

    def __init__(self, instance):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._instance, self.process = instance, None

    def start(self):
        self.process = self._instance.start_python(
            "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1", "--no-ws", "isthmus.asgi:application", name="web",
        )  # fmt: skip
        wait_until(self.answers, "the web process answers")

    def answers(self):
        try:
            return self.post("/healthz", method="GET") == 200
        except OSError:
            return False

    def post(self, url, body=None, method="POST"):
        """Return the status of the answer; raises `OSError` where the process dies instead."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request(method, urlsplit(url).path, json.dumps(body or {}), {"Content-Type": "application/json"})
            return link.getresponse().status
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            link.close()


def instance_for(engine, tmp_path):
    return migrated_instance(
        engine,
        tmp_path,
        postgres=postgres_url() or "",
        ISTHMUS_APPS="tests.crash_points",
        ISTHMUS_CALLBACKS_ADOPT_AFTER_SECONDS="0",
        ISTHMUS_JOBS_LEASE_SECONDS="1.5",
        ISTHMUS_JOBS_HEARTBEAT_SECONDS="0.3",
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_is_killed_submits_one_application(engine, point, tmp_path):
    ledger, workers, urls = [], [], []
    with FaultServer() as server, instance_for(engine, tmp_path) as instance:

        def note(arrived):
            ledger.append(arrived.headers["idempotency-key"])
            urls.append(json.loads(arrived.body)["url"])
            if point == "after-send" and len(ledger) == 1:
                workers[-1].kill_group(signal.SIGKILL)
            return Answer(202, b"{}", {"Content-Type": "application/json"})

        server.answers[f"/{point}"] = note
        instance.python(SET_UP.format(url=server.url(), document=json.dumps(DOCUMENT)))
        instance.python(ENQUEUE.format(operation=point.replace("-", "_"), reference="only"))

        def is_answered():
            if not workers or not workers[-1].is_running:
                for worker in workers[-1:]:
                    worker.end()
                workers.append(instance.start("worker"))
            return instance.rows(STATES) == [("Waiting", 1)]

        wait_until(is_answered, "the one invocation waits for its callback", timeout_seconds=180)
        if point != "after-send":
            assert list((tmp_path / "data").glob(f"{point}-*")), "nobody was killed"
        web = Web(instance)
        web.start()
        assert [web.post(urls[-1]) for _ in range(2)] == [200, 200]
        assert instance.rows(EFFECTS) == [("only",)]
        assert instance.rows(STATES) == [("Completed", 1)]
    # What is repeated carries the key and the address by which the other side knows it.
    assert len(ledger) == (1 if point == "before-send" else 2)
    assert (len(set(ledger)), len(set(urls))) == (1, 1)


@pytest.mark.parametrize("count", [1, 8])
def test_a_web_process_that_is_killed_in_a_handler_loses_no_callback_and_repeats_no_effect(engine, count, tmp_path):
    """One by one the job that was committed with the callback runs again; many at once are adopted."""
    urls = []
    with FaultServer() as server, instance_for(engine, tmp_path) as instance:

        def note(arrived):
            urls.append(json.loads(arrived.body)["url"])
            return Answer(202, b"{}", {"Content-Type": "application/json"})

        server.answers["/plain"] = note
        instance.python(SET_UP.format(url=server.url(), document=json.dumps(DOCUMENT)))
        instance.python(SUBMIT.format(count=count))
        web = Web(instance)
        web.start()

        def deliver(url):
            try:
                return web.post(url, {"die": True})
            except OSError:
                return None

        with ThreadPoolExecutor(count) as pool:
            told = list(pool.map(deliver, urls))
        assert None in told
        web.process.end()
        accepted = sum(number for state, number in instance.rows(RECEIPTS))
        assert accepted >= told.count(200)
        worker = instance.start("worker")
        # The worker's own adopter looks every second here, and gives a job to whatever has none.
        done = told.count(200)
        wait_until(
            lambda: dict(instance.rows(STATES)).get("Completed", 0) >= max(accepted, done),
            "every accepted callback is handled",
            timeout_seconds=90,
        )
        web.start()
        with ThreadPoolExecutor(count) as pool:
            assert list(pool.map(deliver, urls)) == [200] * count
        assert instance.rows(EFFECTS) == [(f"r{number}",) for number in range(count)]
        assert instance.rows(STATES) == [("Completed", count)]
        worker.end()


def test_a_web_process_that_is_killed_after_the_handler_has_run_is_told_again(engine, tmp_path):
    urls = []
    with FaultServer() as server, instance_for(engine, tmp_path) as instance:

        def note(arrived):
            urls.append(json.loads(arrived.body)["url"])
            return Answer(202, b"{}", {"Content-Type": "application/json"})

        server.answers["/plain"] = note
        instance.python(SET_UP.format(url=server.url(), document=json.dumps(DOCUMENT)))
        instance.python(SUBMIT.format(count=1))
        web = Web(instance)
        web.start()
        link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        link.request("POST", urlsplit(urls[0]).path, "{}", {"Content-Type": "application/json"})
        wait_until(lambda: instance.rows(STATES) == [("Completed", 1)], "the handler has run")
        web.process.kill_group(signal.SIGKILL)
        web.process.end()
        link.close()
        web.start()
        assert web.post(urls[0]) == 200
        assert instance.rows(EFFECTS) == [("r0",)]
        assert instance.rows(RECEIPTS) == [("processed", 1), ("repeated", 1)]
