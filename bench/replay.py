"""A million events replayed to a subscriber: how fast, and how much memory it takes on the way."""

import resource
from time import perf_counter
from typing import Any

from support.own_database import own_database

EVENTS = 1_000_000
WARM = 100_000
GOAL_MIB = 16


def main() -> None:
    with own_database():
        measure()


def measure() -> None:
    """Print the rate, and by how much the process grew from the first hundred thousand events on."""
    from django.db import connection

    from events.actions import synchronise
    from events.definitions import Number, PlatformEvent
    from events.delivery import deliver_batch
    from events.logs import DatabaseEventLog
    from events.models import Subscription
    from events.registry import all_subscribers
    from events.subscribers import subscriber

    class Replayed(PlatformEvent):
        """What is replayed."""

        api_name = "Replayed__e"
        number = Number("Number__c")

    synchronise()
    fill(connection, Replayed.event_type.schema.schema_id)
    seen = 0

    def count(events: list[Any]) -> None:
        nonlocal seen
        seen += len(events)

    subscriber("/event/Replayed__e", name="replaying", start="earliest")(count)
    synchronise()
    Subscription.objects.filter(name="replaying").update(cursor=0)
    log = DatabaseEventLog()
    [replaying] = [each for each in all_subscribers() if each.name == "replaying"]
    warm = 0.0
    began = perf_counter()
    while deliver_batch(log, replaying):
        if not warm and seen >= WARM:
            warm = mebibytes()
    took = perf_counter() - began
    grown = mebibytes() - warm
    verdict = "met" if grown <= GOAL_MIB else "MISSED"
    print(
        f"{connection.vendor}: {seen:,} of {EVENTS:,} events, {seen / took:,.0f}/s, {mebibytes():.0f} MiB at most, "
        f"{grown:.1f} MiB more than after {WARM:,}   goal {GOAL_MIB}: {verdict}"
    )


def mebibytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(connection: Any, schema_id: str) -> None:
    """Write the events into the log past the relay, in one statement."""
    is_postgresql = connection.vendor == "postgresql"
    numbers = (
        f"SELECT n FROM generate_series(1, {EVENTS}) AS n"
        if is_postgresql
        else f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {EVENTS}) SELECT n FROM c"
    )
    event_uuid = (
        "md5(n::text)::uuid" if is_postgresql else "printf('%%032x', n)"  # any value that is nobody else's
    )
    nobody = "'00000000000000000000000000000000'" + ("::uuid" if is_postgresql else "")
    now = "now()" if is_postgresql else "'2026-01-01 00:00:00'"
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM events_topic WHERE name = %s", ["/event/Replayed__e"])
        (topic,) = cursor.fetchone()
        cursor.execute(
            "INSERT INTO events_eventlogentry (replay_id, topic_id, event_uuid, schema_id, payload, size, created_at, "
            f"published_at, correlation_id, transaction_key, sequence_number) SELECT n, {topic}, {event_uuid}, "
            f"'{schema_id}', '{{\"Number__c\":' || n || '}}', 20, {now}, {now}, '', {nobody}, 1 FROM ({numbers}) AS s",
            [] if not is_postgresql else None,
        )
        cursor.execute(
            "UPDATE events_topic SET last_replay_id = %s, kept_events = %s, logged_events = %s WHERE id = %s",
            [EVENTS, EVENTS, EVENTS, topic],
        )
        # As the server does by itself after a while.
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    main()
