"""Waking other processes: after the commit, on the channel that was rung, and never when it is rolled back."""

import threading

import pytest
from django.db import connections, transaction

from isthmus import wakeups

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def listener():
    found = wakeups.listen("bells", "whistles")
    yield found
    found.close()


def test_a_listener_hears_what_is_rung(listener):
    wakeups.ring("bells")
    assert listener.wait(10) == {"bells"}
    wakeups.ring("whistles")
    assert listener.wait(10) == {"whistles"}


def test_a_transaction_rings_when_it_commits_and_not_when_it_is_rolled_back(listener):
    with transaction.atomic():
        wakeups.ring("bells")
        transaction.set_rollback(True)
    with transaction.atomic():
        wakeups.ring("whistles")
        assert listener.wait(0.05) == set()
    assert listener.wait(10) == {"whistles"}


def test_a_transaction_rings_a_channel_once(listener):
    with transaction.atomic():
        for _ in range(3):
            wakeups.ring("bells")
    assert (listener.wait(10), listener.wait(0.05)) == ({"bells"}, set())


def test_another_channel_is_not_heard(listener):
    wakeups.ring("drums")
    assert listener.wait(0.05) == set()


def test_every_listener_hears_and_a_closed_one_is_no_matter(listener):
    other = wakeups.listen("bells")
    wakeups.ring("bells")
    assert (listener.wait(10), other.wait(10)) == ({"bells"}, {"bells"})
    other.close()
    wakeups.ring("bells")
    assert listener.wait(10) == {"bells"}


def test_a_ring_ends_a_wait_that_is_going_on(listener):
    def ring():
        wakeups.ring("bells")
        connections.close_all()

    ringer = threading.Timer(0.1, ring)
    ringer.start()
    assert listener.wait(30) == {"bells"}
    ringer.join()
