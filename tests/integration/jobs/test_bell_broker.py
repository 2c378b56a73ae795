"""What django-q2's cluster is told to do when the bell rings, and when it does not."""

import pytest
from django_q.conf import Conf
from django_q.tasks import async_task

from isthmus import clock
from isthmus.jobs.bell_broker import BellBroker
from isthmus.jobs.errors import UnknownFunction
from isthmus.jobs.models import Job
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


class ScriptedBroker(BellBroker):
    """Hears what the test says, without waiting."""

    def __init__(self, *heard):
        super().__init__()
        self.heard = list(heard)
        self.waits = []

    @staticmethod
    def get_connection(list_key=None):
        return None

    def ring(self):
        """Nobody listens."""

    def ask(self):
        """It is there."""

    def hear(self, timeout_seconds):
        self.waits.append(timeout_seconds)
        return self.heard.pop(0)


def make_ready(number):
    for _ in range(number):
        samples.make_job(state="Queued", run_at=clock.now(), ready_at=clock.now())


def test_who_hears_the_bell_wakes_a_worker_before_anything_is_counted(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert len(ScriptedBroker(True).dequeue()) == 1


def test_without_a_ring_a_worker_is_woken_for_each_job_that_is_ready():
    make_ready(1)
    assert len(ScriptedBroker(False).dequeue()) == 1
    make_ready(Conf.WORKERS + 1)
    assert len(ScriptedBroker(False).dequeue()) == Conf.WORKERS
    Job.objects.all().delete()
    assert ScriptedBroker(False).dequeue() is None


def test_after_a_ring_it_looks_soon_whether_there_is_more(settings):
    settings.ISTHMUS_JOBS_POLL_SECONDS = 2
    make_ready(2)
    broker = ScriptedBroker(True, False)
    assert len(broker.dequeue()) == 1
    assert len(broker.dequeue()) == min(2, Conf.WORKERS)
    first, second = broker.waits
    assert (first, second < 0.1) == (2, True)


def test_what_is_no_job_is_refused():
    with pytest.raises(UnknownFunction, match="@queueable"):
        async_task("math.sqrt", 4, broker=ScriptedBroker())
