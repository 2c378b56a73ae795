"""A crash matrix: the process is killed before and after every statement of a request with an `Idempotency-Key`.

Whenever it dies, the effect is there or it is not, and the request sent again tells the truth about it: the effect
happens once, and its answer is always the same.
"""

import os
import signal

import pytest
from django.db import connection, connections, transaction

from apexrest.models import RecordedAnswer
from crm.models import Case

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]

MOST_STATEMENTS = 60


class Killer:
    """Kills the process before, or after, the statement of this number."""

    def __init__(self, number, moment):
        self.number = number
        self.moment = moment
        self.count = 0

    def __call__(self, execute, sql, params, many, context):
        self.count += 1
        if self.count == self.number and self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = execute(sql, params, many, context)
        if self.count == self.number and self.moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return found


class AfterCommit:
    """Kills the process right behind the commit of the effect."""

    def __call__(self, execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if sql.startswith("INSERT") and RecordedAnswer._meta.db_table in sql:
            transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        return found


def send_and_die(api, number, killer):
    """Send from a process that the killer may kill; return whether it did."""
    connections.close_all()
    if connection.vendor == "postgresql":
        connection.close_pool()
    child = os.fork()
    if not child:
        try:
            with connection.execute_wrapper(killer):
                send(api, number)
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def send(api, number):
    order = {"number": f"A-{number}", "lines": []}
    return api.post("/v2/orders", order, **{"Idempotency-Key": f"key-{number}"})


def assert_once_and_the_truth(api, number):
    """The request sent again has its effect if it is missing, once, and the same answer from then on."""
    was_there = Case.objects.filter(subject=f"A-{number}").count()
    recorded = RecordedAnswer.objects.filter(key=f"key-{number}").count()
    assert was_there == recorded, f"{number}: {was_there} effects, {recorded} answers"
    first, second = send(api, number), send(api, number)
    case = Case.objects.get(subject=f"A-{number}")
    assert (first.status_code, first.json()) == (201, {"id": case.record_id})
    assert (second.status_code, second.content) == (201, first.content)
    assert (first.headers.get("Idempotent-Replayed") == "true") == bool(was_there)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_statement(api, moment):
    statements = 0
    for number in range(1, MOST_STATEMENTS):
        was_killed = send_and_die(api, number, Killer(number, moment))
        assert_once_and_the_truth(api, number)
        if not was_killed:
            break
        statements += 1
    assert 5 <= statements < MOST_STATEMENTS - 1


def test_killed_right_behind_the_commit(api):
    assert send_and_die(api, 0, AfterCommit())
    assert Case.objects.filter(subject="A-0").count() == 1
    assert_once_and_the_truth(api, 0)
