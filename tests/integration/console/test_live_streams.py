"""`/live/` through its door and through Django: who may watch, what is told, and that nothing is held meanwhile."""

import asyncio
import signal
import threading

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import connections
from django.test import Client

from isthmus.access.models import PermissionSetAssignment
from isthmus.console import live, live_streams
from isthmus.console.live import board
from isthmus.jobs.models import Job
from tests import console_samples as samples
from tests.asgi import scope_of, talk
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings):
    settings.ISTHMUS_CONSOLE_REFRESH_SECONDS = 1
    settings.ISTHMUS_CONSOLE_LIVE_HEARTBEAT_SECONDS = 1
    # A browser of the test before may have left its server waiting for news; its rows are gone without a look.
    board.wake_all()
    wait_until(lambda: board.number_of_watchers == 0, "nobody watches any more", timeout_seconds=10)
    board._marks.clear()


@pytest.fixture
def door():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    found = live_streams.LiveDoor()
    yield found
    found.close()
    connections.close_all()
    # The door hears them before the server does.
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def watcher_client(transactional_db):
    client = Client()
    client.force_login(samples.user_with("view"))
    return client


def cookie_of(client):
    name = django_settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}" if name in client.cookies else ""


def scope(client, query="names=jobs", *, last="", method="GET"):
    headers = [("cookie", cookie_of(client))]
    if last:
        headers.append(("last-event-id", last))
    return scope_of(method, "/live/", headers, query_string=query.encode())


class Stream:
    """An open stream, read message by message."""

    def __init__(self, communicator):
        self._communicator = communicator
        self._read = ""

    async def start(self):
        await self._communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
        return await self._communicator.receive_output(20)

    async def next(self):
        """Return the next message as a mapping of its fields; a sign of life is a comment."""
        while "\n\n" not in self._read:
            output = await self._communicator.receive_output(20)
            if not output.get("more_body"):
                return None
            self._read += output["body"].decode()
        message, _, self._read = self._read.partition("\n\n")
        return {name or "comment": text for name, _, text in (line.partition(": ") for line in message.splitlines())}

    async def until(self, name):
        """Return the next message that has this field."""
        while (message := await self.next()) is not None:
            if name in message:
                return message
        return None

    async def close(self):
        await self._communicator.send_input({"type": "http.disconnect"})
        await self._communicator.wait(20)


def in_stream(application, scope, use):
    """Run `use(stream)` while the stream is open and return what it gives."""

    async def run():
        stream = Stream(ApplicationCommunicator(application, scope))
        started = await stream.start()
        assert started["status"] == 200
        assert (b"content-type", b"text/event-stream") in started["headers"]
        assert not [line for line in started["headers"] if line[0] == b"content-length"]
        try:
            return await use(stream)
        finally:
            await stream.close()

    return asyncio.run(run())


async def in_thread(function, *arguments):
    def run():
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    return await asyncio.get_running_loop().run_in_executor(None, run)


def test_a_change_is_told_with_the_name_of_what_changed(door, watcher_client):
    async def use(stream):
        assert await stream.next() == {"retry": "1000"}
        here = await stream.until("event")
        await in_thread(samples.make_job)
        changed = await stream.until("event")
        return here, changed

    here, changed = in_stream(door, scope(watcher_client), use)
    assert (here["event"], here["data"]) == ("here", "")
    assert (changed["event"], changed["data"]) == ("changed", "jobs")
    assert here["id"] != changed["id"]


def test_what_the_page_does_not_show_is_not_told(door, watcher_client):
    async def use(stream):
        await stream.until("event")
        await in_thread(samples.make_job)
        return [await stream.next() for _ in range(3)]

    assert in_stream(door, scope(watcher_client, "names=callbacks"), use) == [{"comment": "beat"}] * 3


def test_whoever_comes_back_is_told_at_once_what_changed_meanwhile(door, watcher_client):
    async def first(stream):
        return (await stream.until("event"))["id"]

    query = "names=jobs,callbacks"
    last = in_stream(door, scope(watcher_client, query), first)
    samples.make_job()
    again = live_streams.LiveDoor()

    async def back(stream):
        return await stream.until("event")

    # The marks that the process had in mind are of no use to one that was started anew.
    board._marks.clear()
    try:
        message = in_stream(again, scope(watcher_client, query, last=last), back)
        by_address = in_stream(again, scope(watcher_client, f"{query}&last={last}"), back)
    finally:
        again.close()
    assert (message["event"], message["data"]) == ("changed", "jobs")
    assert by_address == message


def test_whoever_comes_back_to_what_did_not_change_is_told_nothing(door, watcher_client):
    async def first(stream):
        return (await stream.until("event"))["id"]

    last = in_stream(door, scope(watcher_client), first)

    async def back(stream):
        return [await stream.next() for _ in range(2)]

    assert in_stream(door, scope(watcher_client, last=last), back) == [{"retry": "1000"}, {"comment": "beat"}]


def test_an_idle_stream_holds_no_connection_of_the_database_and_closing_frees_everything(door, watcher_client):
    async def use(stream):
        await stream.until("event")
        return board.number_of_watchers, [
            thread.name for thread in threading.enumerate() if thread.name == "console-live"
        ]

    assert in_stream(door, scope(watcher_client), use) == (1, ["console-live"])
    assert board.number_of_watchers == 0
    thread = board._thread
    if thread is not None:
        thread.join(10)
    assert not board.is_looking
    # Each thread of the door has closed what it opened.
    held = []
    for _ in range(4):
        door._pool().submit(lambda: held.append(connections["default"].connection)).result()
    assert set(held) == {None}


def test_a_hundred_streams_share_one_look(door, watcher_client, settings):
    settings.ISTHMUS_CONSOLE_LIVE_HEARTBEAT_SECONDS = 60
    asked = []

    def mark():
        asked.append(1)
        return len(asked)

    async def run():
        streams = [Stream(ApplicationCommunicator(door, scope(watcher_client, "names=shared"))) for _ in range(100)]
        try:
            for stream in streams:
                assert (await stream.start())["status"] == 200
            for stream in streams:
                assert (await stream.until("event"))["event"] == "here"
            before = len(asked)
            for stream in streams:
                assert (await stream.until("event"))["event"] == "changed"
            return len(asked) - before
        finally:
            for stream in streams:
                await stream.close()

    with live.register_live_temporarily("shared", mark):
        assert asyncio.run(run()) < 20
    assert board.number_of_watchers == 0


def test_a_process_that_is_asked_to_end_ends_its_streams_and_the_server_hears_of_it(door, watcher_client):
    heard = []
    signal.signal(signal.SIGTERM, lambda *_: heard.append("server"))

    async def use(stream):
        await stream.until("event")
        signal.raise_signal(signal.SIGTERM)
        return await stream.until("event")

    try:
        assert in_stream(door, scope(watcher_client), use) is None
    finally:
        board.is_ending = False
    assert heard == ["server"]


def test_a_session_that_ended_ends_the_stream(door, watcher_client):
    async def use(stream):
        await stream.until("event")
        await in_thread(Session.objects.all().delete)
        return await stream.until("event")

    assert in_stream(door, scope(watcher_client), use) is None


def test_a_grant_that_was_taken_away_ends_the_stream(door, watcher_client):
    async def use(stream):
        await stream.until("event")
        await in_thread(PermissionSetAssignment.objects.all().delete)
        return await stream.until("event")

    assert in_stream(door, scope(watcher_client), use) is None


def test_watching_is_no_use_of_the_session(door, watcher_client):
    before = Session.objects.get().session_data

    async def use(stream):
        await stream.until("comment")

    in_stream(door, scope(watcher_client), use)
    assert Session.objects.get().session_data == before


@pytest.mark.parametrize("way", ["door", "django"])
@pytest.mark.parametrize(
    ("who", "query", "status", "code"),
    [
        ("nobody", "names=jobs", 401, "SESSION_ENDED"),
        ("stranger", "names=jobs", 403, "INSUFFICIENT_ACCESS"),
        ("watcher", "names=weather", 400, "LIVE_SOURCE_UNKNOWN"),
        ("one too many", "names=jobs", 503, "LIVE_STREAMS_EXHAUSTED"),
    ],
)
def test_refusals_say_why(way, who, query, status, code, door, watcher_client, settings):
    client = Client() if who == "nobody" else watcher_client
    if who == "stranger":
        client.force_login(samples.user_with())
    if who == "one too many":
        settings.ISTHMUS_CONSOLE_LIVE_STREAMS = 0
    if way == "door":
        found, headers, body = talk(door, scope(client, query))
        retry_after = headers.get("retry-after")
    else:
        answer = client.get(f"/live/?{query}")
        found, body, retry_after = answer.status_code, answer.content, answer.headers.get("Retry-After")
    assert found == status
    assert code.encode() in body
    assert (retry_after == "30") == (status == 503)
    assert board.number_of_watchers == 0


def test_somebody_without_their_second_factor_is_not_let_in(door, transactional_db, settings):
    settings.ISTHMUS_ACCESS_TOTP_FOR_ADMINISTRATORS = True
    client = Client()
    user = samples.user_with("view")
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert talk(door, scope(client))[0] == 401


def test_other_methods_are_refused(door, watcher_client):
    assert talk(door, scope(watcher_client, method="POST"))[0] == 405
    assert talk(door, scope(watcher_client, method="HEAD"))[0] == 200
    assert watcher_client.post("/live/").status_code == 405
    assert watcher_client.head("/live/").status_code == 200


def polled(client, query="names=jobs", **headers):
    answer = client.get(f"/live/?{query}", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    try:
        return b"".join(answer.streaming_content).decode()
    finally:
        answer.close()


def test_without_asgi_the_address_answers_a_bounded_wait(watcher_client):
    first = polled(watcher_client)
    assert "event: here" in first
    last = next(line.removeprefix("id: ") for line in first.splitlines() if line.startswith("id: "))
    samples.make_job()
    board._marks.clear()
    assert "event: changed\ndata: jobs" in polled(watcher_client, **{"Last-Event-ID": last})
    assert board.number_of_watchers == 0


def test_a_bounded_wait_ends_with_the_change(watcher_client):
    last = next(line.removeprefix("id: ") for line in polled(watcher_client).splitlines() if line.startswith("id: "))
    job = threading.Timer(0.3, lambda: (samples.make_job(), connections.close_all()))
    job.start()
    try:
        told = polled(watcher_client, **{"Last-Event-ID": last})
    finally:
        job.join()
    assert "event: changed\ndata: jobs" in told


def test_a_bounded_wait_that_nobody_reads_counts_no_longer_than_it_is_open(watcher_client):
    answer = watcher_client.get("/live/?names=jobs")
    assert board.number_of_watchers == 1
    answer.close()
    assert board.number_of_watchers == 0


CHANGES = {
    "jobs": [
        lambda made: samples.make_job(state="Queued"),
        lambda made: Job.objects.filter(pk=made["job"].pk).update(state="Queued", finished_at=None),
        lambda made: made["job"].log_lines.create(attempt=1, message="x"),
    ],
    "exchanges": [
        lambda made: samples.make_log_entry(),
        lambda made: samples.make_log_entry(outcome="in_doubt", duration_ms=None),
    ],
    "queued-callouts": [
        lambda made: samples.make_queued(state="waiting"),
        lambda made: type(made["queued"]).objects.filter(pk=made["queued"].pk).update(state="waiting", ended_at=None),
    ],
    "invocations": [
        lambda made: samples.make_invocation(made["service"]),
        lambda made: type(made["invocation"]).objects.filter(pk=made["invocation"].pk).update(state="Completed"),
    ],
    "callbacks": [
        lambda made: samples.make_receipt(None),
        lambda made: type(made["receipt"]).objects.filter(pk=made["receipt"].pk).update(state="received"),
    ],
    "events": [lambda made: samples.make_event(7)],
    "subscriptions": [
        lambda made: type(made["subscription"]).objects.update(state="paused"),
        lambda made: type(made["subscription"]).objects.update(cursor=5),
        lambda made: samples.make_parked(made["subscription"]),
    ],
    "schedules": [lambda made: samples.Schedule.objects.update(enabled=False)],
    "bulk": [
        lambda made: samples.make_bulk(),
        lambda made: type(made["bulk"]).objects.update(done=2),
        lambda made: type(made["bulk"]).objects.filter(pk=made["bulk"].pk).update(finished_at=samples.clock.now()),
    ],
}


def mark_of(name):
    return live_streams.board.__class__().marks([name])[name]


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_each_source_sees_its_changes_and_stands_still_without_any(name):
    made = samples.make_everything()
    for change in CHANGES[name]:
        before = mark_of(name)
        assert mark_of(name) == before
        change(made)
        assert mark_of(name) != before


def test_every_source_is_tried_here():
    assert set(live.known_names([])) == {*CHANGES, "health"}


def test_ten_times_the_rows_cost_a_mark_not_one_query_more(django_assert_max_num_queries):
    def count(name):
        with django_assert_max_num_queries(12) as captured:
            mark_of(name)
        return len(captured)

    made = samples.make_everything()
    before = {name: count(name) for name in CHANGES}
    for number in range(10):
        samples.make_job()
        samples.make_job(state="Queued")
        samples.make_log_entry(outcome="in_doubt")
        samples.make_queued(state="waiting")
        samples.make_receipt(samples.make_invocation(made["service"]))
        samples.make_event(number + 20, samples.make_topic(f"/event/T{number}__e"))
        samples.make_parked(samples.make_subscription(name=f"reader-{number}"))
    assert {name: count(name) for name in CHANGES} == before
