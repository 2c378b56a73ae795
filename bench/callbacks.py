"""Callbacks a second that two web processes accept, against the same processes' health page in the same run.

Each callback is checked against the document, kept with its job, and handled: the handler writes a contact, in one
transaction with the state of the invocation. The promise, on PostgreSQL and two cores: at least 500 a second, and the
slowest of a hundred within 250 ms at that rate. The load is made on the same two cores.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

from support.own_database import own_database

CALLBACKS = int(os.environ.get("BENCH_CALLBACKS", "5000"))
CONNECTIONS = 64
PORTS = (8141, 8142)
PROMISE, PROMISED_P99_MS = 500.0, 250.0
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print the lines."""
    from django.db import connection

    from callouts.external_services.models import Invocation

    paths = make_invocations(2 * CALLBACKS)
    web = [start_web(connection.settings_dict, port) for port in PORTS]
    try:
        for port in PORTS:
            wait_for(port)
        health = rate_of(["/healthz"] * 2_000, None)[0]
        flat_out, slow = rate_of(paths[:CALLBACKS], body)
        steady, latencies = rate_of(paths[CALLBACKS:], body, at=PROMISE)
    finally:
        for process in web:
            process.terminate()
        for process in web:
            process.wait(30)
    wrong = 2 * CALLBACKS - Invocation.objects.filter(state="Completed").count()
    p99 = percentile(latencies, 99)
    is_met = flat_out >= PROMISE and p99 <= PROMISED_P99_MS and not wrong
    verdict = "shown" if connection.vendor == "sqlite" else "met" if is_met else "MISSED"
    print(f"{connection.vendor}: {CALLBACKS:,} callbacks over {CONNECTIONS} connections, {wrong} not processed")
    print(f"  flat out {flat_out:,.0f} a second, {flat_out / health:.2f} of the health page's {health:,.0f};"
          f" p50 {percentile(slow, 50):.0f} ms, p99 {percentile(slow, 99):.0f} ms")  # fmt: skip
    print(
        f"  at {PROMISE:,.0f} a second: {steady:,.0f} reached, p50 {percentile(latencies, 50):.0f} ms, p99 {p99:.0f} ms"
    )
    print(f"  (promise on PostgreSQL: {PROMISE:,.0f} a second, p99 {PROMISED_P99_MS:.0f} ms) {verdict}")


def make_invocations(count: int) -> list[str]:
    """Make invocations that wait; return the paths of their callbacks."""
    from callouts.callbacks.addresses import token_digest
    from callouts.external_services.actions import register
    from callouts.external_services.models import ExternalService, Invocation
    from isthmus import clock, ids

    register("Bank", (ROOT / "tests" / "service_documents" / "acme_mortgages.json").read_bytes())
    service = ExternalService.objects.get()
    operation = service.active_version.operations.get()
    now = clock.now()
    tokens = [ids.new_token(32) for _ in range(count)]
    Invocation.objects.bulk_create(
        [
            Invocation(
                service=service, version=service.active_version, operation=operation, reference=f"r{number}",
                idempotency_key=str(ids.new_uuid()), callback_token=token, callback_token_digest=token_digest(token),
                handler="support.handling.Approved", state="Waiting", request={}, request_digest="0" * 64,
                submitted_at=now, expires_at=now + timedelta(hours=1), correlation_id=f"c{number}",
            )
            for number, token in enumerate(tokens)
        ],
        batch_size=500,
    )  # fmt: skip
    return [f"/services/callbacks/{token}/applicationOutcomeApproved" for token in tokens]


def body(number: int) -> bytes:
    return json.dumps({"applicationNumber": f"A-{number}", "status": "approved"}).encode()


def rate_of(
    paths: list[str], make: Callable[[int], bytes] | None, *, at: float | None = None
) -> tuple[float, list[float]]:
    """Return the answers a second and how long each took, in milliseconds, from when it was due; `at` paces them."""
    began = monotonic() + 0.2

    def run(lane: int) -> list[float]:
        link = http.client.HTTPConnection("127.0.0.1", PORTS[lane % len(PORTS)], timeout=30)
        took = []
        for number in range(lane, len(paths), CONNECTIONS):
            due = began + number / at if at else monotonic()
            if (early := due - monotonic()) > 0:
                sleep(early)
            if make is None:
                link.request("GET", paths[number])
            else:
                link.request("POST", paths[number], make(number), {"Content-Type": "application/json"})
            answer = link.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{paths[number]} answered {answer.status}.")
            took.append((monotonic() - due) * 1000)
        return took

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        took = [one for lane in pool.map(run, range(CONNECTIONS)) for one in lane]
    return len(paths) / (monotonic() - began), took


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def start_web(database: dict[str, object], port: int) -> "subprocess.Popen[bytes]":
    """Start one web process on the bench's database."""
    name, user, password = database["NAME"], database["USER"], database["PASSWORD"]
    is_sqlite = str(database["ENGINE"]).endswith("sqlite3")
    host = f"{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}"
    login = f"{user}:{password}@" if password else f"{user}@"
    url = f"sqlite:///{name}" if is_sqlite else f"postgres://{login}{host}/{name}"
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "ISTHMUS_LOG_LEVEL": "WARNING",
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "platform", ROOT / "bench"])),
    }
    command = [
        sys.executable, "-m", "granian", "--interface", "asginl", "--host", "127.0.0.1", "--port", str(port),
        "--no-ws", "--log-level", "error", "isthmus.asgi:application",
    ]  # fmt: skip
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def wait_for(port: int) -> None:
    """Return when the process answers."""
    for _ in attempts():
        try:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            link.request("GET", "/healthz")
            if link.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("The web process does not answer.")


def attempts() -> Iterator[int]:
    yield from range(300)


if __name__ == "__main__":
    main()
