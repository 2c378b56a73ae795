"""Leases: one leader at a time, and an old one is told apart."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from isthmus.jobs import leases
from isthmus.jobs.errors import LeaseLost
from isthmus.jobs.models import Lease

TTL = timedelta(seconds=10)


@pytest.mark.django_db
def test_a_free_lease_is_taken_by_one(moving_clock):
    first = leases.acquire("relay", "a", TTL)
    assert (first.holder, first.fencing_token, first.expires_at) == ("a", 1, moving_clock.now() + TTL)
    assert leases.acquire("relay", "b", TTL) is None
    assert leases.acquire("another", "b", TTL) is not None


@pytest.mark.django_db
def test_an_expired_lease_passes_on_with_a_greater_token(moving_clock):
    first = leases.acquire("relay", "a", TTL)
    moving_clock.move(TTL)
    second = leases.acquire("relay", "b", TTL)
    assert second.fencing_token == 2
    assert leases.renew(first, TTL) is False
    with pytest.raises(LeaseLost), transaction.atomic():
        leases.confirm(first)
    leases.release(first)
    assert leases.acquire("relay", "c", TTL) is None


@pytest.mark.django_db
def test_a_renewed_lease_stays(moving_clock):
    lease = leases.acquire("relay", "a", TTL)
    moving_clock.move(timedelta(seconds=9))
    assert leases.renew(lease, TTL) is True
    moving_clock.move(timedelta(seconds=9))
    assert leases.acquire("relay", "b", TTL) is None
    leases.confirm(lease)
    assert lease.fencing_token == 1


@pytest.mark.django_db
def test_a_holder_that_starts_again_gets_a_new_token(moving_clock):
    first = leases.acquire("relay", "a", TTL)
    again = leases.acquire("relay", "a", TTL)
    assert again.fencing_token == 2
    assert leases.renew(first, TTL) is False


@pytest.mark.django_db
def test_a_released_lease_is_free_at_once_and_its_token_is_not_reused(moving_clock):
    leases.release(leases.acquire("relay", "a", TTL))
    assert leases.acquire("relay", "b", TTL).fencing_token == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_it():
    count = 10
    barrier, got = threading.Barrier(count), []

    def one(holder):
        barrier.wait()
        got.append(leases.acquire("relay", holder, timedelta(minutes=5)))
        connection.close()

    threads = [threading.Thread(target=one, args=(f"holder-{number}",)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [lease for lease in got if lease]
    assert len(winners) == 1
    assert len(got) == count
    assert Lease.objects.get().holder == winners[0].holder
