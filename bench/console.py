"""How long the console's lists take over a million exchanges, a million events and 200,000 operations.

Each list, and each page that reads much, is asked for as people ask: its first page, a page deep inside, with each of
its usual filters, with a search that finds much, little and nothing. PostgreSQL; the time is that of the whole
request within one process, the middle of several. The promise: each under 300 ms, whatever is asked for. The number
of queries stands beside.
"""

import os
from datetime import timedelta
from statistics import median
from time import perf_counter

from support.own_database import on_postgresql

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LIMIT = 300.0
ROLLED_UP = timedelta(days=8)
"""What charts show, and a day before it."""


def main() -> None:
    # What a chart shows is read anew for every request.
    os.environ["ISTHMUS_CONSOLE_CHART_SECONDS"] = "0"
    on_postgresql(lambda _: measure())


def measure() -> None:
    """Print the lines."""
    from django.contrib.auth.models import User
    from django.test import Client
    from support.many_rows import fill

    began = perf_counter()
    fill()
    print(f"filled in {perf_counter() - began:.0f} s")
    print(f"{ROLLED_UP.days} days of figures rolled up in {roll_up():.0f} s")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.create_superuser("bench"))
    worst = 0.0
    for address in addresses():
        milliseconds, queries = took(client, address)
        worst = max(worst, milliseconds)
        print(f"{milliseconds:7.0f} ms {queries:3} queries  {address}{'' if milliseconds < LIMIT else '  SLOW'}")
    print(f"the slowest took {worst:.0f} ms (promise: under {LIMIT:.0f}) {'met' if worst < LIMIT else 'MISSED'}")


def roll_up() -> float:
    """Roll the figures of the last days up, as the job does; return the seconds that it took."""
    from isthmus import clock
    from isthmus.console.rollups.models import SeriesProgress
    from isthmus.console.rollups.periods import HOUR, beginning
    from isthmus.console.rollups.rolling import roll_up_everything
    from isthmus.console.rollups.series import all_series

    began, now = perf_counter(), clock.now()
    SeriesProgress.objects.bulk_create(
        SeriesProgress(series=series.name, rolled_until=beginning(now - ROLLED_UP, HOUR), rolled_at=now)
        for series in all_series()
    )
    for _ in roll_up_everything():
        pass
    return perf_counter() - began


def took(client: object, address: str) -> tuple[float, int]:
    """Return the milliseconds and the number of queries of a request."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    spent = []
    for _ in range(ROUNDS):
        began = perf_counter()
        answer = client.get(address)
        spent.append((perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}.")
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    if os.environ.get("BENCH_SHOW_QUERIES") and median(spent) > LIMIT:
        for query in captured.captured_queries:
            if float(query["time"]) > 0.05:
                print(f"        {query['time']} s: {query['sql'][:1500]}")
    return median(spent), len(captured)


def addresses() -> list[str]:
    """Return what is asked for."""
    from callouts.models import IntegrationLogEntry
    from events.models import EventLogEntry, Subscription
    from isthmus import clock
    from isthmus.jobs.models import Job

    week_ago = clock.now() - timedelta(days=20)
    log, jobs, events = "/integration-log/", "/operations/", "/events/log/"
    found = ["/", "/timeline/bench-5000", "/timeline/003000000000500AAA", "/timeline/nothing-of-that-name"]
    for path, row in (
        (log, IntegrationLogEntry.objects.filter(started_at__lt=week_ago).first()),
        (jobs, Job.objects.filter(created_at__lt=week_ago).first()),
    ):
        moment = getattr(row, "started_at" if path == log else "created_at")
        place = f"{int(moment.timestamp() * 1_000_000)}.{row.pk}"
        found += [path, f"{path}?cursor=older.{place}", f"{path}?cursor=newer.{place}", f"{path}{row.pk}/"]
    found += [f"{log}?{query}" for query in (
        "outcome=failed", "outcome=refused", "outcome=in_doubt", "outcome=unresolved", "direction=inbound",
        "direction=noted", "credential=System_7", "credential=Nothing", "since=24h", "since=7d&outcome=failed",
        "direction=noted&outcome=failed", "credential=System_7&outcome=refused", "q=warehouse", "q=orders/999",
        "q=nowhere-to-be-found", "q=bench-5000", "q=003000000000500AAA", "q=HTTP_503", "outcome=failed&q=nowhere",
        "since=7d&q=nowhere",
    )]  # fmt: skip
    found += [f"{jobs}?{query}" for query in (
        "state=live", "state=Failed", "state=Aborted", "state=Holding", "kind=Scheduled", "kind=Nothing", "since=24h",
        "q=submit", "q=no+route", "q=nowhere-to-be-found", "q=bench-5000",
    )]  # fmt: skip
    middle = EventLogEntry.objects.count() // 2
    found += ["/events/", f"/events/subscriptions/{Subscription.objects.order_by('cursor').first().pk}/"]
    found += [events, f"{events}?cursor=older.0.{middle}", f"{events}{middle}/"]
    found += [f"{events}?{query}" for query in (
        "topic=/event/Bench_7__e", "topic=/data/Bench_30__ChangeEvent", "topic=/data/ChangeEvents", "since=24h",
        "since=15m&topic=/event/Bench_7__e", "q=bench-5000", f"q={middle}", "q=nowhere",
    )]  # fmt: skip
    found += [
        "/queued-callouts/", "/queued-callouts/batches/", "/external-services/", "/external-services/invocations/",
        "/external-services/callbacks/", "/api-endpoints/", "/api-endpoints/v1/support-requests/*",
        "/named-credentials/", "/events/parked/", "/operations/schedules/", "/connections/", "/limits/",
        "/named-credentials/System_7/", "/my-connections/", f"{log}?span=7d", f"{jobs}?span=7d", "/events/?span=7d",
        "/why/?record=003000000000500AAA",
    ]  # fmt: skip
    return found


if __name__ == "__main__":
    main()
