"""Live streams of the real web process: changes by others, a restart, and an orderly end with streams open."""

import http.client
import json
import signal
import socket

import pytest

from tests.engines import postgres_url
from tests.processes import migrated_instance, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

SIGNED_IN = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from isthmus.access.actions import assign, ensure_permission_set
from django.contrib.auth.models import User
user = User.objects.create_user("olga")
assign(ensure_permission_set("Watchers", "Watchers", [("console", "view", "*")]), user)
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.create()
print(session.session_key)
"""
ADD_JOB = """
from isthmus.jobs.models import Job
Job.objects.create(function="sample.jobs.add")
"""
PUBLISH = """
from isthmus import wakeups
from events.models import Topic
from django.db import transaction
with transaction.atomic():
    topic, _ = Topic.objects.get_or_create(name="/event/Sample__e", defaults={"kind": "event"})
    Topic.objects.filter(pk=topic.pk).update(last_replay_id=topic.last_replay_id + 1)
    wakeups.ring("logged")
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(request, tmp_path):
    address = postgres_url() or ""
    if request.param == "postgresql" and not address:
        pytest.skip("PostgreSQL does not answer; set ISTHMUS_TEST_POSTGRES_URL.")
    with migrated_instance(request.param, tmp_path, postgres=address, ISTHMUS_CONSOLE_REFRESH_SECONDS="1") as found:
        yield found


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
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request("GET", "/healthz")
            return link.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            link.close()

    def end(self):
        self.process.kill(signal.SIGTERM)
        return self.process.wait(20)


class Stream:
    """What a browser does with an event stream."""

    def __init__(self, web, session, names, last=""):
        self._link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        headers = {"Cookie": f"sessionid={session}", **({"Last-Event-ID": last} if last else {})}
        self._link.request("GET", f"/live/?names={names}", headers=headers)
        self._answer = self._link.getresponse()
        self.status = self._answer.status

    def next(self):
        """Return the next event as a mapping, `None` at the end of the stream."""
        found = {}
        while line := self._answer.readline().decode():
            name, _, text = line.rstrip("\n").partition(": ")
            if name:
                found[name] = text
            elif "event" in found:
                return found
            else:
                found = {}
        return None

    def close(self):
        self._answer.close()
        self._link.close()


def test_changes_of_other_processes_are_told_and_a_restart_loses_none(instance):
    session, web = instance.python(SIGNED_IN), Web(instance)
    web.start()
    stream = Stream(web, session, "jobs,events")
    assert stream.status == 200
    assert stream.next()["event"] == "here"
    instance.python(ADD_JOB)
    told = stream.next()
    assert (told["event"], told["data"]) == ("changed", "jobs")
    instance.python(PUBLISH)
    told = stream.next()
    assert (told["event"], told["data"]) == ("changed", "events")

    # A process that is asked to end does so, although a stream is open.
    assert web.end() is not None
    stream.close()
    instance.python(ADD_JOB)

    web.start()
    stream = Stream(web, session, "jobs,events", last=told["id"])
    told = stream.next()
    assert (told["event"], told["data"]) == ("changed", "jobs")
    stream.close()


def test_closed_tabs_leave_no_connection_of_the_database(instance):
    session, web = instance.python(SIGNED_IN), Web(instance)
    web.start()
    streams = [Stream(web, session, "jobs,events") for _ in range(20)]
    assert [stream.next()["event"] for stream in streams] == ["here"] * 20
    if not instance.database_url.startswith("sqlite"):
        # Idle ones hold none: there are those of the pool, the one that listens, and the shell's.
        assert len(connections_of(instance)) <= 8, json.dumps(connections_of(instance))
    for stream in streams:
        stream.close()
    if not instance.database_url.startswith("sqlite"):
        wait_until(
            lambda: not [query for query in connections_of(instance) if str(query).startswith("LISTEN")],
            "nobody listens any more",
        )
    again = Stream(web, session, "jobs")
    assert again.next()["event"] == "here"
    again.close()


def connections_of(instance):
    rows = instance.rows(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return [query for (query,) in rows]
