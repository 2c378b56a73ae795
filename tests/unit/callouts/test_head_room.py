"""The limits of a transaction."""

import asyncio
import contextvars
import threading
from datetime import timedelta

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from callouts import errors, limits
from callouts.middleware import CalloutLimitsMiddleware


def test_a_transaction_has_a_hundred_callouts():
    with limits.transaction_context():
        for _ in range(100):
            with limits.spend():
                pass
        assert limits().callouts_left == 0
        with pytest.raises(errors.LimitExceeded, match="100"), limits.spend():
            pass
        assert limits().callouts_used == 100


def test_a_transaction_has_120_seconds_for_its_callouts(moving_clock):
    with limits.transaction_context():
        with limits.spend() as seconds:
            assert seconds == 120
            moving_clock.move(timedelta(seconds=100))
        with limits.spend() as seconds:
            assert seconds == 20
            moving_clock.move(timedelta(seconds=30))
        assert (limits().seconds_used, limits().seconds_left) == (130, 0)
        with pytest.raises(errors.LimitExceeded, match="120"), limits.spend():
            pass


def fail_after(moving_clock, time):
    with limits.spend():
        moving_clock.move(time)
        raise errors.ConnectFailed


def test_time_counts_when_the_callout_fails_too(moving_clock):
    with limits.transaction_context():
        with pytest.raises(errors.ConnectFailed):
            fail_after(moving_clock, timedelta(seconds=5))
        assert (limits().callouts_used, limits().seconds_used) == (1, 5)


def test_each_transaction_has_an_account_of_its_own():
    with limits.transaction_context():
        with limits.spend():
            pass
        with limits.transaction_context():
            assert limits().callouts_used == 0
        assert limits().callouts_used == 1


def test_outside_of_a_transaction_nothing_is_counted():
    with limits.spend() as seconds:
        assert seconds == 120
    assert (limits().is_counted, limits().callouts_used) == (False, 0)


def test_the_limits_are_settings(settings):
    settings.ISTHMUS_CALLOUTS_MAX_CALLOUTS = 1
    with limits.transaction_context():
        with limits.spend():
            pass
        with pytest.raises(errors.LimitExceeded), limits.spend():
            pass


def test_threads_that_race_for_the_last_callouts_get_no_more_than_there_are(settings):
    settings.ISTHMUS_CALLOUTS_MAX_CALLOUTS = 10
    outcomes = []
    with limits.transaction_context():

        def spend():
            try:
                with limits.spend():
                    outcomes.append("sent")
            except errors.LimitExceeded:
                outcomes.append("refused")

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(spend,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcomes) == ["refused"] * 10 + ["sent"] * 10


def test_a_web_request_is_a_transaction():
    def view(_):
        with limits.spend():
            return HttpResponse(f"{limits().callouts_used} {limits().is_counted}")

    middleware = CalloutLimitsMiddleware(view)
    assert [middleware(RequestFactory().get("/")).content for _ in range(2)] == [b"1 True"] * 2
    assert not limits().is_counted


def test_an_asynchronous_web_request_is_a_transaction():
    async def view(_):
        return HttpResponse(str(limits().is_counted))

    assert asyncio.run(CalloutLimitsMiddleware(view)(RequestFactory().get("/"))).content == b"True"
