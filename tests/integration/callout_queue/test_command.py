"""`manage.py queued_callouts`, and the check of the connections."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

import callouts
from callouts import http
from callouts.queue.checks import check_pool, warnings_of
from callouts.queue.models import QueuedCallout
from isthmus import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(bank, server, callout_queue):
    def add(path):
        row = callouts.enqueue("Submit", http.Request(method="POST", url=f"callout:Bank{path}"))
        callout_queue.run_all()
        return row.pk

    return add


def run(*arguments):
    out = StringIO()
    call_command("queued_callouts", *map(str, arguments), stdout=out)
    return out.getvalue().strip()


def test_listing(queue):
    done, failed = queue("/echo"), queue("/not-found")
    assert run("list", "--state", "dead") == f"#{failed}  failed     Bank  Submit  The other side answered 404."
    assert len(run("list").splitlines()) == 2
    assert run("list", "--credential", "Other") == ""
    assert f"#{done}  succeeded" in run("list", "--state", "succeeded")


def test_deciding(queue):
    failed, doubtful = queue("/not-found"), queue("/close-after-request")
    assert run("resend", failed) == f"#{failed} is waiting."
    assert run("cancel", failed) == f"#{failed} is cancelled."
    assert run("acted", doubtful) == f"#{doubtful} is succeeded."
    assert run("not-acted", queue("/close-after-request")).endswith("is waiting.")
    with pytest.raises(CommandError, match="nothing is to be sent again"):
        run("resend", doubtful)
    with pytest.raises(CommandError, match="There is no queued callout #0"):
        run("cancel", 0)


def test_recovering(queue, jobs):
    queue("/not-found")
    since = (clock.now() - timedelta(hours=1)).isoformat()
    assert run("recover", "--since", since, "--count") == "Callouts that failed since then: 1."
    assert run("recover", "--since", since).startswith("Callouts that are sent again: 1. Operation ")
    jobs.run_all()
    assert QueuedCallout.objects.get().state == "waiting"
    with pytest.raises(CommandError, match="A moment is written"):
        run("recover", "--since", "yesterday")


def test_more_threads_than_connections_are_warned_of():
    assert check_pool() == []
    assert warnings_of(16, 20) == warnings_of(200, None) == []
    [warning] = warnings_of(17, 20)
    assert warning.hint == "Set ISTHMUS_DATABASE_POOL_SIZE to at least 21."
