"""The event bus: publishing against bare inserts, the relay's rate, and the time from commit to subscriber.

All in one run on one database (a fresh SQLite file, or `DATABASE_URL`). The bus that delivers is a process of its own.
"""

import asyncio
import json
import os
import signal
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

from support.own_database import own_database

ROUNDS = 5
EVENTS = 2_000
BATCH = 100
STAGED = 100_000
RATE, SECONDS = 500, 8
TEXT = "x" * 200


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print one line for each figure."""
    from django.conf import settings
    from django.db import connection

    from events.actions import synchronise
    from events.definitions import Number, PlatformEvent, Text
    from events.subscribers import subscriber

    settings.ISTHMUS_EVENTS_HOURLY_PUBLISH_ALLOCATION = 0

    class Measured(PlatformEvent):
        """What is measured."""

        api_name = "Measured__e"
        sent_at = Number("Sent_At__c", precision=18, scale=6)
        text = Text("Text__c", length=255)

    print(connection.vendor)
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "latencies"
        synchronise()
        publishing(Measured)
        relaying(Measured)
        subscriber("Measured__e", name="measuring", one_correlation=False)(_writes_latencies(told))
        synchronise()
        with bus_process():
            latency(Measured, told)


def _writes_latencies(told: Path) -> Callable[[list[Any]], None]:
    def measure_latency(events: list[Any]) -> None:
        now = monotonic()
        with told.open("a") as file:
            file.writelines(f"{now - event.payload['Sent_At__c']}\n" for event in events)

    return measure_latency


# --- publishing -------------------------------------------------------------------------------------------------------
def publishing(event_class: Any) -> None:
    """Compare `publish` with inserting the same rows by hand, one and a hundred a commit."""
    from events import bus
    from events.models import OutboxEvent

    def single() -> None:
        for number in range(EVENTS):
            event_class(sent_at=number, text=TEXT).publish()

    def batches() -> None:
        for start in range(0, EVENTS, BATCH):
            bus.publish([event_class(sent_at=number, text=TEXT) for number in range(start, start + BATCH)])

    ways = {
        ("single", "bare"): lambda: bare_inserts(event_class, 1),
        ("single", "publish"): single,
        (f"{BATCH} a commit", "bare"): lambda: bare_inserts(event_class, BATCH),
        (f"{BATCH} a commit", "publish"): batches,
    }
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, act in ways.items():
            began = perf_counter()
            act()
            if number:
                seconds[way].append(perf_counter() - began)
        OutboxEvent.objects.all().delete()
    for size, goal in (("single", 0.7), (f"{BATCH} a commit", 0.6)):
        bare, published = (EVENTS / statistics.median(seconds[size, who]) for who in ("bare", "publish"))
        share = published / bare
        print(
            f"publish, {size:<14} bare insert {bare:8,.0f}/s   publish {published:8,.0f}/s   share {share:.2f}   "
            f"goal {goal}: {'met' if share >= goal else 'MISSED'}"
        )


def bare_inserts(event_class: Any, size: int) -> None:
    """Insert rows of the outbox through Django's cursor, `size` with each commit."""
    from django.db import connection

    from events import schemas, topics
    from isthmus import clock, ids

    is_sqlite = connection.vendor == "sqlite"
    payload = json.dumps({"CreatedDate": "", "CreatedById": "", "Sent_At__c": 1, "Text__c": TEXT})
    fixed = [
        topics.topic_id("/event/Measured__e"),
        schemas.keep(event_class.event_type.schema),
        payload,
        len(payload),
        "bare",
        connection.ops.adapt_datetimefield_value(clock.now()),
    ]
    places = f"({', '.join(['%s'] * 8)})"
    statement = (
        "INSERT INTO events_outboxevent (event_uuid, topic_id, schema_id, payload, size, correlation_id, created_at, "
        f"transaction_key) VALUES {', '.join([places] * size)}"
    )

    def new_id() -> Any:
        made = ids.new_uuid()
        return made.hex if is_sqlite else made

    with connection.cursor() as cursor:
        for _ in range(0, EVENTS, size):
            cursor.execute(statement, [value for _ in range(size) for value in (new_id(), *fixed, new_id())])


# --- relaying ---------------------------------------------------------------------------------------------------------
def relaying(event_class: Any) -> None:
    """Move staged events, each of a transaction of its own, into the log."""
    from events.logs import DatabaseEventLog, Retention
    from events.relay import Relay
    from isthmus import clock

    rates = []
    for _ in range(3):
        for _ in range(STAGED // EVENTS):
            bare_inserts(event_class, BATCH)
        began = perf_counter()
        moved = Relay(DatabaseEventLog()).move_all()
        rates.append(moved / (perf_counter() - began))
    goal = 30_000
    rate = statistics.median(rates)
    print(f"relay, one process     {rate:8,.0f} events/s   goal {goal:,}: {'met' if rate >= goal else 'MISSED'}")
    log = DatabaseEventLog()
    while log.trim("/event/Measured__e", Retention(before=clock.now() + timedelta(hours=1)), limit=50_000):
        pass


# --- delivering -------------------------------------------------------------------------------------------------------
@contextmanager
def bus_process() -> Iterator[None]:
    """Run a bus in a process of its own on this database."""
    from django.db import connection, connections

    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()  # two processes must not share what is in it
    process = os.fork()
    if not process:
        from events.bus_process import Bus
        from events.logs import DatabaseEventLog

        bus = Bus(DatabaseEventLog(), name="measured")
        signal.signal(signal.SIGTERM, lambda *_: bus.stop())
        bus.run()
        os._exit(0)
    sleep(2)
    try:
        yield
    finally:
        os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)


def latency(event_class: Any, told: Path) -> None:
    """Publish at a steady rate and print how long after the commit the subscriber had the events."""
    count = RATE * SECONDS
    told.write_text("")
    began = monotonic()
    for number in range(count):
        ahead = began + number / RATE - monotonic()
        if ahead > 0:
            sleep(ahead)
        event_class(sent_at=monotonic(), text=TEXT).publish()
    until = monotonic() + 30
    while monotonic() < until and len(told.read_text().splitlines()) < count:
        sleep(0.2)
    # The first second warms up connections and caches.
    found = sorted(float(line) * 1000 for line in told.read_text().splitlines()[RATE:])
    p50, p99 = (found[int(len(found) * share)] for share in (0.5, 0.99))
    verdicts = " ".join("met" if figure < goal else "MISSED" for figure, goal in ((p50, 5), (p99, 25)))
    print(
        f"commit to subscriber at {RATE} events/s: {len(found) + RATE:,} of {count:,}   "
        f"p50 {p50:.1f} ms   p99 {p99:.1f} ms   goals 5 and 25 ms: {verdicts}"
    )
    peer = asyncio.run(jetstream_latencies())
    peer_p50, peer_p99 = (peer[int(len(peer) * share)] for share in (0.5, 0.99))
    verdicts = " ".join("met" if ours < 3 * theirs else "MISSED" for ours, theirs in ((p50, peer_p50), (p99, peer_p99)))
    print(
        f"NATS JetStream, publish to ordered consumer: p50 {peer_p50:.1f} ms   p99 {peer_p99:.1f} ms   "
        f"ratios x{p50 / peer_p50:.1f} and x{p99 / peer_p99:.1f}   goal 3: {verdicts}"
    )


async def jetstream_latencies() -> list[float]:
    """Return how long events took through JetStream, synced to the disk before they are acknowledged, in order."""
    import nats

    from tests.nats_server import NatsServer

    found: list[float] = []

    async def note(message: Any) -> None:
        found.append((monotonic() - json.loads(message.data)["sent_at"]) * 1000)

    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        client = await nats.connect(server.url)
        stream = client.jetstream()
        await stream.add_stream(name="MEASURED", subjects=["measured"])
        await stream.subscribe("measured", ordered_consumer=True, cb=note)
        began = monotonic()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, began + number / RATE - monotonic()))
            await stream.publish("measured", json.dumps({"sent_at": monotonic(), "text": TEXT}).encode())
        await asyncio.sleep(1)
        await client.close()
        server.kill()
    return sorted(found[RATE:])


if __name__ == "__main__":
    main()
