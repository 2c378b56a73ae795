"""The buttons: absent and refused without the grant, and what they do with it."""

import pytest
from django.test import Client

from tests import console_samples as samples

pytestmark = pytest.mark.django_db


def acts():
    """Return each act: its address, and how to tell that it happened."""
    live = samples.make_job(state="Holding", error="")
    failed = samples.make_job()
    running = samples.make_subscription(name="running", state="running")
    paused = samples.make_subscription(name="paused", state="paused")
    stopped = samples.make_subscription(name="stopped", state="stopped")
    parked = samples.make_parked(stopped)
    return {
        "abort": (f"/operations/{live.pk}/abort/", live, "Holding", "Aborted"),
        "retry": (f"/operations/{failed.pk}/retry/", failed, "Failed", "Queued"),
        "pause": (f"/events/subscriptions/{running.pk}/pause/", running, "running", "paused"),
        "resume": (f"/events/subscriptions/{paused.pk}/resume/", paused, "paused", "running"),
        "rewind": (f"/events/subscriptions/{stopped.pk}/rewind/", stopped, "stopped", "running"),
        "discard": (f"/events/parked/{parked.pk}/discard/", parked, "parked", "discarded"),
    }


ACTS = ["abort", "discard", "pause", "resume", "retry", "rewind"]


@pytest.mark.parametrize("act", ACTS)
def test_an_operator_acts_and_is_told(act, operator):
    address, row, before, after = acts()[act]
    assert row.state == before
    answer = operator.post(address, follow=True)
    row.refresh_from_db()
    assert row.state == after
    assert answer.status_code == 200
    assert 'class="message message-success"' in answer.content.decode()


@pytest.mark.parametrize("act", ACTS)
def test_whoever_may_only_look_is_refused_and_nothing_happens(act, watcher):
    address, row, before, _after = acts()[act]
    answer = watcher.post(address)
    row.refresh_from_db()
    assert answer.status_code == 403
    assert "console.operate" in answer.content.decode()
    assert row.state == before


@pytest.mark.parametrize("act", ACTS)
def test_a_stranger_is_sent_to_the_sign_in_and_nothing_happens(act):
    address, row, before, _after = acts()[act]
    answer = Client().post(address)
    row.refresh_from_db()
    assert answer.status_code == 302
    assert row.state == before


@pytest.mark.parametrize("act", ACTS)
def test_an_act_takes_a_post_with_its_token(act):
    address, row, before, _after = acts()[act]
    client = Client(enforce_csrf_checks=True)
    client.force_login(samples.user_with("operate"))
    assert client.get(address).status_code == 405
    assert client.post(address).status_code == 403
    row.refresh_from_db()
    assert row.state == before


def test_buttons_are_there_only_for_those_who_may_press_them(watcher, operator):
    failed = samples.make_job()
    live = samples.make_job(state="Queued")
    samples.make_subscription()
    for address, button in (
        (f"/operations/{failed.pk}/", "/retry/"),
        (f"/operations/{live.pk}/", "/abort/"),
        ("/events/", "/pause/"),
        ("/events/", "/resume/"),
    ):
        assert button in operator.get(address).content.decode()
        assert button not in watcher.get(address).content.decode()


def test_buttons_fit_the_state(operator):
    completed = samples.make_job(state="Completed")
    text = operator.get(f"/operations/{completed.pk}/").content.decode()
    assert "/retry/" not in text
    assert "/abort/" not in text


def test_an_act_that_comes_too_late_is_answered_with_the_reason(operator):
    completed = samples.make_job(state="Completed")
    for act in ("retry", "abort"):
        answer = operator.post(f"/operations/{completed.pk}/{act}/", follow=True)
        assert 'class="message message-error"' in answer.content.decode()
    completed.refresh_from_db()
    assert completed.state == "Completed"


def test_an_act_that_does_not_exist_is_not_found(operator):
    subscription = samples.make_subscription()
    assert operator.post(f"/events/subscriptions/{subscription.pk}/explode/").status_code == 404
    assert operator.post("/events/subscriptions/999999/pause/").status_code == 404
    assert operator.post("/operations/00000000-0000-0000-0000-000000000000/retry/").status_code == 404


def test_the_reason_of_an_abort_is_kept(operator):
    job = samples.make_job(state="Queued")
    operator.post(f"/operations/{job.pk}/abort/", {"reason": "asked for by the bank"})
    job.refresh_from_db()
    assert job.reason == "aborted by user-operate: asked for by the bank"
