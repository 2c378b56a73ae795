"""What becomes of queued callouts: retries, holds, limits of a destination, order, lost workers, doubt."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction

import callouts
from callouts import destinations, errors, http
from callouts.models import BreakerState, Destination, IntegrationLogEntry
from callouts.queue import claiming, dispatching, reaping, sending, transitions
from callouts.queue.models import QueuedCallout
from callouts.retrying import DEFAULT_DELAYS, RetryPolicy
from isthmus import clock
from tests import queue_functions
from tests.fault_server import Answer

pytestmark = pytest.mark.django_db


def enqueue(path="/echo", *, method="POST", **arguments):
    request = http.Request(method=method, url=f"callout:Bank{path}", json={} if method == "POST" else None)
    return callouts.enqueue("Submit", request, **arguments)


def outcomes():
    return list(IntegrationLogEntry.objects.order_by("attempt").values_list("attempt", "outcome", "status_code"))


def fresh(row):
    return QueuedCallout.objects.get(pk=row.pk)


def test_what_failed_before_it_was_sent_climbs_the_whole_ladder(bank, callout_queue, moving_clock):
    bank.url = "http://127.0.0.1:1"
    bank.save()
    Destination.objects.create(named_credential=bank, breaker_threshold=0)
    queued = enqueue()
    waits = []
    for _ in DEFAULT_DELAYS:
        [row] = callout_queue.run_all()
        waits.append((row.due_at - clock.now()).total_seconds())
        moving_clock.move(timedelta(hours=30))
    for waited, expected in zip(waits[:-1], DEFAULT_DELAYS[1:], strict=True):
        assert 0.79 * expected < waited < 1.21 * expected
    row = fresh(queued)
    assert (row.state, row.attempts, row.tries) == ("failed", 11, 11)
    assert row.reason.endswith("That was the last of 11 attempts.")
    assert outcomes() == [(attempt, "failed", None) for attempt in range(1, 12)]


def test_what_is_in_doubt_is_not_tried_again(bank, server, callout_queue, moving_clock):
    enqueue("/close-after-request")
    [row] = callout_queue.run_all()
    moving_clock.move(timedelta(days=2))
    assert callout_queue.run_all() == []
    assert (row.state, row.attempts) == ("in_doubt", 1)
    assert outcomes() == [(1, "in_doubt", None)]
    assert len(server.requests) == 1


def test_what_is_in_doubt_is_tried_again_with_an_idempotency_key(bank, server, callout_queue, moving_clock):
    enqueue("/close-after-request", idempotency_key="order-5")
    [first] = callout_queue.run_all()
    assert first.state == "waiting"
    del server.faults["/close-after-request"]
    server.answers["/close-after-request"] = lambda _: Answer(201)
    moving_clock.move(timedelta(seconds=7))
    assert callout_queue.run_all()[0].state == "succeeded"
    assert outcomes() == [(1, "in_doubt", None), (2, "succeeded", 201)]
    assert [one.headers["idempotency-key"] for one in server.requests] == ["order-5"] * 2


@pytest.mark.parametrize(("acted", "state"), [(True, "succeeded"), (False, "waiting"), (None, "in_doubt")])
def test_a_declared_probe_decides_what_is_in_doubt(bank, callout_queue, jobs, acted, state):
    queue_functions.verdicts[:] = [acted]
    queue_functions.told.clear()
    queued = enqueue("/close-after-request", probe=queue_functions.ask, on_success=queue_functions.told_of_failure)
    callout_queue.run_all()
    jobs.run_all()
    assert fresh(queued).state == state
    assert [what for what, _ in queue_functions.told] == (["probe", "failure"] if acted else ["probe"])
    resolution = {True: "acted", False: "not_acted", None: ""}[acted]
    assert IntegrationLogEntry.objects.get().resolution == resolution


@pytest.mark.parametrize(
    ("status", "method", "key", "state"),
    [
        (503, "POST", None, "waiting"),
        (429, "POST", None, "waiting"),
        (500, "POST", None, "failed"),
        (502, "POST", None, "in_doubt"),
        (504, "POST", None, "in_doubt"),
        (500, "POST", "key", "waiting"),
        (502, "GET", None, "waiting"),
        (400, "POST", "key", "failed"),
        (404, "GET", None, "failed"),
        (409, "POST", "key", "failed"),
        (422, "POST", "key", "failed"),
        (401, "POST", None, "held"),
        (403, "POST", None, "held"),
        (410, "POST", "key", "stopped"),
        (302, "POST", None, "succeeded"),
    ],
)
def test_what_an_answer_means(bank, server, callout_queue, status, method, key, state):
    server.answers["/status"] = lambda _: Answer(status)
    enqueue("/status", method=method, idempotency_key=key)
    assert callout_queue.run_all()[0].state == state
    assert len(server.requests) == 1


def test_a_webhook_that_is_not_wanted_any_more_stops_for_good(bank, server, callout_queue):
    server.answers["/hook"] = lambda _: Answer(503, b"", {"Webhook-Delivery": "disable"})
    enqueue("/hook")
    assert callout_queue.run_all()[0].state == "stopped"


@pytest.mark.parametrize("wish", ["120", "date"])
def test_retry_after_holds_for_the_whole_destination(bank, server, callout_queue, moving_clock, wish):
    later = (clock.now() + timedelta(seconds=120)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answers = [Answer(429, b"", {"Retry-After": later if wish == "date" else wish}), Answer(201), Answer(201)]
    server.answers["/busy"] = lambda _: answers.pop(0)
    first = enqueue("/busy")
    callout_queue.run_all()
    second = enqueue("/busy")
    assert callout_queue.run_all() == []
    assert 118 < (fresh(first).due_at - clock.now()).total_seconds() <= 120
    moving_clock.move(timedelta(seconds=121))
    assert {row.pk for row in callout_queue.run_all()} == {first.pk, second.pk}
    assert len(server.requests) == 3


def test_what_is_refused_with_401_waits_until_a_connection_test_succeeds(bank, server, callout_queue, admin_user):
    from callouts.connection_tests import try_connection

    server.answers["/a"] = lambda _: Answer(401)
    first, second = enqueue("/a"), enqueue("/echo")
    callout_queue.run_all()
    # The second one is not even tried.
    assert [fresh(row).state for row in (first, second)] == ["held", "waiting"]
    held = Destination.objects.get()
    assert (held.held_since is not None, held.hold_reason.startswith("The other side answered 401.")) == (True, True)
    assert [one.path for one in server.requests] == ["/a"]
    server.answers["/a"] = lambda _: Answer(201)
    assert try_connection(bank, admin_user, path="/json").is_well
    assert {row.state for row in callout_queue.run_all()} == {"succeeded"}
    assert Destination.objects.get().held_since is None


def test_one_held_callout_tries_by_itself_now_and_then(bank, server, callout_queue, moving_clock):
    server.answers["/a"] = lambda _: Answer(401)
    for _ in range(3):
        enqueue("/a")
    callout_queue.run_all()
    assert len(server.requests) == 1
    moving_clock.move(timedelta(seconds=901))
    callout_queue.run_all()
    assert len(server.requests) == 2
    server.answers["/a"] = lambda _: Answer(200)
    moving_clock.move(timedelta(seconds=901))
    assert {row.state for row in callout_queue.run_all()} == {"succeeded"}
    assert len(server.requests) == 5


def test_the_breaker_opens_for_all_and_one_trial_closes_it(bank, server, callout_queue, moving_clock):
    Destination.objects.create(named_credential=bank, breaker_threshold=2, breaker_seconds=30)
    server.answers["/a"] = lambda _: Answer(503)
    rows = [enqueue("/a") for _ in range(4)]
    callout_queue.run_all()
    found = Destination.objects.get()
    assert (found.breaker, found.failures, len(server.requests)) == (BreakerState.OPEN, 2, 2)
    with pytest.raises(errors.CircuitOpen, match="failed 2 times in a row"):
        http.get("callout:Bank/json")
    moving_clock.move(timedelta(seconds=31))
    callout_queue.run_all()
    # The trial failed too: open again, for twice as long.
    assert (Destination.objects.get().openings, len(server.requests)) == (2, 3)
    server.answers["/a"] = lambda _: Answer(200)
    moving_clock.move(timedelta(seconds=59))
    assert callout_queue.run_all() == []
    moving_clock.move(timedelta(seconds=60))
    callout_queue.run_all()
    assert Destination.objects.get().breaker == BreakerState.CLOSED
    assert {fresh(row).state for row in rows} == {"succeeded"}


def test_a_dry_run_is_logged_and_not_sent(bank, server, callout_queue):
    Destination.objects.create(named_credential=bank, is_dry_run=True)
    enqueue()
    [row] = callout_queue.run_all()
    assert (row.state, server.connections) == ("dry_run", 0)
    entry = IntegrationLogEntry.objects.get()
    assert (entry.outcome, entry.error_code) == ("refused", "DRY_RUN")
    with pytest.raises(errors.DryRun):
        http.get("callout:Bank/json")


def test_no_more_leave_in_a_second_than_the_destination_allows(bank, server, callout_queue, moving_clock):
    Destination.objects.create(named_credential=bank, max_per_second=3)
    for _ in range(8):
        enqueue()
    sent = []
    for _ in range(4):
        callout_queue.run_all()
        sent.append(len(server.requests))
        moving_clock.move(timedelta(seconds=1))
    assert sent == [3, 6, 8, 8]


def claim(at_most=10, busy=None, share=10):
    return claiming.claim(holder="w", at_most=at_most, busy=busy or {}, share=share)


def test_no_more_are_under_way_than_the_destination_allows(bank, server):
    Destination.objects.create(named_credential=bank, max_at_once=2)
    for _ in range(3):
        enqueue()
    taken = claim()
    assert (len(taken), claim()) == (2, [])
    sending.send(taken[0])
    assert len(claim()) == 1


def test_a_slow_destination_leaves_room_for_the_others(bank):
    for _ in range(3):
        enqueue()
    assert claim(busy={"Bank": 4}, share=4) == []
    assert len(claim(busy={"Bank": 3}, share=4)) == 3


def test_callouts_about_a_record_leave_in_order_if_asked(bank, server, callout_queue, moving_clock):
    answers = [Answer(503), Answer(200), Answer(200)]
    server.answers["/a"] = lambda _: answers.pop(0)
    first = enqueue("/a", record="r1", in_order=True)
    second = enqueue("/a", record="r1", in_order=True)
    other = enqueue("/echo", record="r2", in_order=True)
    assert {row.pk for row in callout_queue.run_all()} == {first.pk, other.pk}
    moving_clock.move(timedelta(seconds=7))
    assert [row.pk for row in callout_queue.run_all()] == [first.pk, second.pk]


def test_what_is_in_doubt_lets_nothing_of_its_order_pass(bank, server, callout_queue):
    doubtful = enqueue("/close-after-request", record="r1", in_order=True)
    enqueue("/echo", record="r1", in_order=True)
    assert [row.pk for row in callout_queue.run_all()] == [doubtful.pk]


@pytest.fixture
def dead(bank, moving_clock):
    """Take a callout as a worker does that dies then, at the given point."""

    def die(queued, **entry):
        [row] = [taken for taken in claim() if taken.pk == queued.pk]
        if entry:
            IntegrationLogEntry.objects.create(
                queued_callout_id=row.pk, attempt=1, method="POST", url="http://x/", started_at=clock.now(), **entry
            )
        moving_clock.move(timedelta(seconds=41))
        return row

    return die


def test_a_worker_that_died_before_sending_loses_nothing(dead, server, callout_queue):
    queued = enqueue()
    dead(queued)
    [row] = callout_queue.run_all()
    assert (row.state, row.attempts, row.worker_deaths, len(server.requests)) == ("succeeded", 2, 1, 1)


def test_a_worker_that_died_while_sending_leaves_it_in_doubt_and_nothing_is_sent_twice(dead, server, callout_queue):
    queued = enqueue()
    dead(queued, outcome="in_doubt")
    assert callout_queue.run_all() == []
    row = fresh(queued)
    assert (row.state, row.reason.startswith("Its worker died while it was under way")) == ("in_doubt", True)
    assert server.connections == 0


def test_a_worker_that_died_while_sending_sends_again_with_an_idempotency_key(dead, server, callout_queue):
    queued = enqueue(idempotency_key="order-5")
    dead(queued, outcome="in_doubt")
    assert callout_queue.run_all()[0].state == "succeeded"
    assert len(server.requests) == 1


def test_a_callout_that_kills_its_workers_fails_at_last(bank, dead, server, callout_queue, settings):
    settings.ISTHMUS_CALLOUT_QUEUE_MAX_WORKER_DEATHS = 2
    queued = enqueue()
    for _ in range(2):
        dead(queued)
        reaping.reap()
    assert (fresh(queued).state, fresh(queued).reason) == ("failed", "Its worker died 2 times before sending it.")


def test_a_worker_that_was_asleep_sends_nothing_that_another_has_taken(dead, server, callout_queue):
    queued = enqueue()
    sleeper = dead(queued)
    assert callout_queue.run_all()[0].state == "succeeded"
    sending.send(sleeper)
    assert len(server.requests) == 1
    assert fresh(queued).state == "succeeded"


def test_a_worker_that_wakes_while_it_is_still_its_own_goes_on(dead, server):
    queued = enqueue()
    sending.send(dead(queued))
    assert (fresh(queued).state, len(server.requests)) == ("succeeded", 1)


def test_an_answer_that_comes_after_all_settles_what_was_put_in_doubt(bank):
    queued = enqueue()
    [row] = claim()
    # Meanwhile its lease is over, and another worker has looked.
    QueuedCallout.objects.filter(pk=row.pk).update(state="in_doubt")
    transitions.settle(
        row,
        RetryPolicy().decide(status=201, is_repeatable=False, attempts=1, now=clock.now()),
        due_at=clock.now(),
        is_counted=True,
        answered={"status_code": 201},
    )
    assert fresh(queued).state == "succeeded"


def test_what_a_stopping_worker_has_not_begun_is_given_back(bank):
    queued = enqueue()
    transitions.give_back(claim())
    assert (fresh(queued).state, fresh(queued).attempts) == ("waiting", 0)


def test_an_error_of_our_own_fails_the_callout_and_tells_so(bank, server, callout_queue):
    queued = enqueue()
    QueuedCallout.objects.filter(pk=queued.pk).update(headers=["no", "mapping"])
    assert callout_queue.run_all()[0].state == "failed"
    assert server.connections == 0


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_sends_with_its_threads_and_stops_in_order(bank, server, settings):
    from tests.processes import wait_until

    settings.ISTHMUS_CALLOUT_QUEUE_POLL_SECONDS = 0.02
    dispatcher = dispatching.Dispatcher(threads=3)
    dispatcher.start("worker-1")
    try:
        with transaction.atomic():
            rows = [enqueue(idempotency_key=f"k{number}") for number in range(20)]
        wait_until(lambda: QueuedCallout.objects.filter(state="succeeded").count() == len(rows), "all are sent")
    finally:
        dispatcher.stop(10)
    assert sorted(one.headers["idempotency-key"] for one in server.requests) == sorted(
        row.idempotency_key for row in rows
    )
    destinations.forget()


def test_the_inbox_leaves_room_for_other_destinations():
    from callouts.queue.inbox import Inbox

    rows = [QueuedCallout(pk=number, named_credential="Slow" if number < 8 else "Fast") for number in range(10)]
    inbox = Inbox(at_most_each=2)
    inbox.put(rows)
    taken = [inbox.get() for _ in range(4)]
    assert sorted(row.named_credential for row in taken) == ["Fast", "Fast", "Slow", "Slow"]
    assert inbox.busy() == {"Slow": 8, "Fast": 2}
    slow = next(row for row in taken if row.named_credential == "Slow")
    assert inbox.done(slow) == 9
    assert inbox.get().pk == 2
    assert [row.pk for row in inbox.close()] == [3, 4, 5, 6, 7]
    assert inbox.get() is None


@pytest.mark.django_db(transaction=True)
def test_an_end_of_an_exchange_and_of_its_callout_are_one_change(bank, server, callout_queue):
    """Where nothing follows, both are one statement or one transaction: what fails of it takes back the rest."""
    from callouts import log_rows
    from callouts.log_rows import AlongWith

    row = enqueue()
    entry = IntegrationLogEntry.objects.create(method="POST", url="http://x/")
    with pytest.raises(DatabaseError):
        log_rows.update_along_with(
            entry.pk,
            {"outcome": "succeeded"},
            AlongWith(sql="UPDATE callout_queue_queuedcallout SET state = NULL WHERE id = %s", values=(row.pk,)),
        )
    entry.refresh_from_db()
    assert entry.outcome == "in_doubt"
    good = AlongWith(sql="UPDATE callout_queue_queuedcallout SET reason = %s WHERE id = %s", values=("why", row.pk))
    assert log_rows.update_along_with(entry.pk, {"outcome": "succeeded"}, good) == 1
    entry.refresh_from_db()
    assert (entry.outcome, fresh(row).reason) == ("succeeded", "why")
    assert callout_queue.run_all()[0].state == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_the_database_tells_of_an_entry_that_it_did_not_take(bank, server):
    from callouts import log_rows

    under_way = log_rows.insert_meanwhile
    values = {"id": None, "method": "POST", "url": "x", "outcome": "in_doubt", "started_at": clock.now()}
    with pytest.raises(DatabaseError):
        under_way(values).end()
    # The connection is as good as before.
    assert http.get("callout:Bank/json").status_code == 200
    assert IntegrationLogEntry.objects.get().outcome == "succeeded"
