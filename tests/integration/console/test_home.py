"""Home: what needs a person, the most urgent first; what waits, the oldest first."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from callouts.models import Destination
from credentials.models import Certificate, ExternalCredential, NamedCredential, Principal, StoredToken
from isthmus import clock
from isthmus.access.models import ApiClient
from isthmus.console import overview
from isthmus.console.overview import Need, Urgency, Waiting
from isthmus.console.tones import Tone
from isthmus.jobs.models import ProcessHeartbeat, Schedule
from tests import console_samples as samples

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def everything_runs():
    for kind in ("worker", "bus"):
        ProcessHeartbeat.objects.create(kind=kind, name=kind, pid=1, beat_at=clock.now() + timedelta(hours=1))


@pytest.fixture
def bank():
    external = ExternalCredential.objects.create(name="Open", protocol="no_authentication")
    Principal.objects.create(external_credential=external, name="Main", status="configured")
    return NamedCredential.objects.create(name="Acme_Bank", url="https://bank.example", external_credential=external)


def titles():
    return [need.title for need in overview.all_needs()]


def test_nothing_needs_anybody(watcher):
    assert titles() == []
    assert "Nothing needs you" in watcher.get("/").content.decode()


def test_a_missing_worker_is_shouted(watcher):
    samples.make_job(finished_at=clock.now())
    ProcessHeartbeat.objects.filter(kind="worker").delete()
    text = watcher.get("/").content.decode()
    [shouted] = re.findall(r'<li class="tone-bad need-now">.*?</li>', text, flags=re.DOTALL)
    assert "No worker runs" in shouted
    assert "<code>manage.py worker</code>" in shouted
    assert text.index("No worker runs") < text.index("1 background operation failed")
    ProcessHeartbeat.objects.create(kind="worker", name="w", pid=1, beat_at=clock.now() - timedelta(minutes=5))
    assert titles()[0] == "No worker runs"


def test_a_missing_bus_is_shouted():
    ProcessHeartbeat.objects.filter(kind="bus").delete()
    assert [(need.title, need.urgency) for need in overview.all_needs()] == [("No event bus runs", Urgency.NOW)]


def test_everything_that_failed_is_in_doubt_or_ends_soon(bank):
    now = clock.now()
    samples.make_job(finished_at=now)
    samples.make_job(finished_at=now - timedelta(days=8))
    samples.make_log_entry(outcome="in_doubt", status_code=None)
    samples.make_log_entry(outcome="in_doubt", status_code=None, resolution="acted")
    samples.make_log_entry(outcome="in_doubt", status_code=None, duration_ms=None)
    samples.make_queued()
    Destination.objects.create(named_credential=bank, breaker="open", opened_at=now, held_since=now, is_dry_run=True)
    NamedCredential.objects.update(is_enabled=False)
    Certificate.objects.create(name="Old", not_after=now - timedelta(days=1))
    Certificate.objects.create(name="Soon", not_after=now + timedelta(days=3))
    Certificate.objects.create(name="Later", not_after=now + timedelta(days=300))
    Principal.objects.update(status="failed", status_reason="invalid_grant")
    StoredToken.objects.create(
        principal=Principal.objects.get(), connected_at=now, expires_at=now - timedelta(minutes=1)
    )
    samples.make_service()
    service_receipt = samples.make_receipt(None, state="failed")
    samples.make_parked(samples.make_subscription(name="stopped", state="stopped", failures=0))
    samples.make_subscription(name="failing", failures=9)
    samples.make_subscription(name="trying", failures=1)
    Schedule.objects.create(name="Broken", function="x.y", cron="* * * * *", last_error="unknown")
    samples.make_call(outcome="succeeded")
    ApiClient.objects.update(expires_at=now + timedelta(days=2))
    assert service_receipt.invocation is None
    found = overview.all_needs()
    by_urgency = {
        urgency: sorted(need.title for need in found if need.urgency == urgency)
        for urgency in Urgency
        if any(need.urgency == urgency for need in found)
    }
    soon, day = f"{now + timedelta(days=3):%Y-%m-%d}", f"{now + timedelta(days=2):%Y-%m-%d}"
    assert by_urgency == {
        Urgency.BROKEN: sorted([
            "1 background operation failed within 7 days",
            "1 schedule cannot run",
            "Acme_Bank refuses who we are",
            "The circuit breaker of Acme_Bank is open",
            "The certificate Old has expired",
            "Open.Main cannot authenticate",
            "1 consent ended and cannot be renewed",
            "1 callback was not handled within 7 days",
            "stopped has stopped",
            "failing failed 9 times in a row",
        ]),
        Urgency.UNDECIDED: sorted([
            "1 callout is in doubt",
            "1 queued callout waits for a decision",
            f"Version 2 of Acme {samples.HOSTILE} waits for approval",
            "1 event is parked",
        ]),
        Urgency.SOON: sorted([
            "Switched off: Acme_Bank",
            "Acme_Bank is in a dry run",
            f"The certificate Soon ends on {soon}",
            f"The API client {samples.HOSTILE} expires on {day}",
        ]),
    }  # fmt: skip
    assert [need.urgency for need in found] == sorted(need.urgency for need in found)


def test_needs_of_one_urgency_stand_by_age():
    now = clock.now()
    made = [
        Need(title=title, urgency=urgency, url="/", since=since)
        for title, urgency, since in (
            ("new", Urgency.BROKEN, now),
            ("soon", Urgency.SOON, now - timedelta(days=9)),
            ("old", Urgency.BROKEN, now - timedelta(days=1)),
            ("now", Urgency.NOW, None),
        )
    ]
    with overview.register_needs_temporarily(lambda: made):
        assert titles() == ["now", "old", "new", "soon"]


def test_what_waits_stands_by_age_and_is_called_late(watcher, bank, moving_clock):
    now = moving_clock.now()
    ProcessHeartbeat.objects.update(beat_at=now)
    samples.make_job(state="Queued", run_at=now - timedelta(minutes=9), error="")
    samples.make_job(state="Queued", run_at=now + timedelta(minutes=9), error="")
    samples.make_queued(state="waiting", due_at=now - timedelta(minutes=2), ended_at=None)
    samples.make_invocation(samples.make_service(), submitted_at=now - timedelta(hours=2))
    samples.make_event(1, published_at=now - timedelta(seconds=10))
    samples.make_subscription(cursor=0)
    samples.make_subscription(name="done", cursor=1)
    found = overview.all_waiting()
    assert [(one.label, one.number, one.is_late) for one in found] == [
        ("Callbacks awaited", 1, False),
        ("Background operations", 1, True),
        ("Queued callouts", 1, False),
        ("Subscriptions behind", 1, False),
        ("Callbacks to handle", 0, False),
        ("Events to relay", 0, False),
        ("Record changes to relay", 0, False),
    ]
    text = watcher.get("/").content.decode()
    [late] = re.findall(r'<span class="waiting-when tone-warning">(.*?), late', text)
    assert "9 min ago" in late
    assert 'href="/operations/?state=Queued"' in text


def test_what_does_not_wait_looks_well():
    nothing = Waiting(label="X", number=0, since=None, url="/", late_after_seconds=1)
    old = Waiting(label="X", number=1, since=clock.now() - timedelta(minutes=1), url="/", late_after_seconds=1)
    assert (nothing.tone, old.tone) == (Tone.GOOD, Tone.WARNING)


def test_ten_times_the_trouble_costs_no_query_more(bank):
    def trouble(number):
        samples.make_job(finished_at=clock.now())
        samples.make_queued()
        samples.make_parked(samples.make_subscription(name=f"s{number}", state="stopped"))
        external = ExternalCredential.objects.create(name=f"E{number}", protocol="no_authentication")
        named = NamedCredential.objects.create(name=f"N{number}", url="https://x.example", external_credential=external)
        Destination.objects.create(named_credential=named, breaker="open")
        Principal.objects.create(external_credential=external, name="P", status="failed")
        Certificate.objects.create(name=f"C{number}", not_after=clock.now())

    def cost():
        with CaptureQueriesContext(connection) as asked:
            overview.all_needs()
            overview.all_waiting()
        return len(asked)

    trouble(0)
    before = cost()
    for number in range(1, 10):
        trouble(number)
    assert cost() == before
