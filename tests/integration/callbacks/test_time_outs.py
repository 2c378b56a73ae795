"""The wait for a callback ends; what was accepted in time still counts."""

from datetime import timedelta

import pytest

from callouts.external_services.models import CallbackReceipt, Invocation
from crm.models import Contact
from tests.service_handlers import Failing

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _broken_handler():
    Failing.is_broken = True


def names():
    return sorted(Contact.objects.values_list("last_name", flat=True))


def test_nothing_happens_before_the_time_is_up(submitted, jobs, moving_clock):
    sent = submitted(callback_timeout=timedelta(hours=1))
    moving_clock.move(timedelta(minutes=59))
    assert jobs.run_all() == []
    assert sent.invocation.state == "Waiting"


def test_the_wait_ends_and_the_handler_is_told(submitted, jobs, moving_clock):
    sent = submitted(callback_timeout=timedelta(hours=1))
    moving_clock.move(timedelta(hours=1))
    assert [job.state for job in jobs.run_all()] == ["Completed", "Completed"]
    found = sent.invocation
    assert (found.state, found.finished_at, found.reason) == (
        "TimedOut",
        moving_clock.now(),
        "no callback came in time",
    )
    assert names() == ["TimedOut lead-1"]
    response = sent.call_back()
    assert (response.status_code, response.json()[0]["errorCode"]) == (408, "CALLBACK_TIMED_OUT")
    assert CallbackReceipt.objects.get().state == "late"
    assert names() == ["TimedOut lead-1"]


def test_24_hours_are_waited_where_nobody_says_otherwise(submitted, moving_clock):
    assert submitted().invocation.callback_timeout == timedelta(hours=24)


def test_after_the_time_a_callback_is_late_even_before_a_worker_has_noticed(submitted, moving_clock):
    sent = submitted(callback_timeout=timedelta(hours=1))
    moving_clock.move(timedelta(hours=1))
    assert sent.call_back().status_code == 408
    assert (names(), CallbackReceipt.objects.get().reason) == ([], "the invocation was out of time")


def test_a_callback_in_time_makes_the_end_of_the_wait_nothing(submitted, jobs, moving_clock):
    sent = submitted(callback_timeout=timedelta(hours=1))
    sent.call_back()
    moving_clock.move(timedelta(hours=2))
    [job] = jobs.run_all()
    assert (job.state, job.result, sent.invocation.state) == ("Completed", {"timed_out": False}, "Completed")
    assert names() == ["approved A-1"]


def test_a_callback_that_was_accepted_in_time_counts_though_its_handler_succeeds_later(submitted, jobs, moving_clock):
    sent = submitted(handler=Failing, callback_timeout=timedelta(hours=1))
    assert sent.call_back().status_code == 500
    moving_clock.move(timedelta(hours=2))
    Failing.is_broken = False
    jobs.run_all()
    assert (sent.invocation.state, names()) == ("Completed", ["approved"])


def test_a_hook_that_fails_does_not_keep_the_invocation_waiting(submitted, jobs, moving_clock):
    sent = submitted(handler=Failing, callback_timeout=timedelta(hours=1))
    moving_clock.move(timedelta(hours=1))
    jobs.run_all()
    assert (sent.invocation.state, names()) == ("TimedOut", [])
    Failing.is_broken = False
    jobs.run_all(ignore_delays=True)
    assert names() == ["timed out"]


def test_expired_ones_are_found(submitted, moving_clock):
    submitted(callback_timeout=timedelta(hours=1))
    assert not Invocation.objects.expired(moving_clock.now()).exists()
    moving_clock.move(timedelta(hours=1))
    assert Invocation.objects.expired(moving_clock.now()).count() == 1
