"""Entries that are written at once, the probe, and the set-up page."""

import uuid
from datetime import timedelta

import pytest
from django.urls import reverse

from callouts import errors, integration_log
from callouts.integration_log import About, Exchanged
from callouts.models import IntegrationLogEntry
from isthmus import clock, correlation, health
from isthmus.access.policy import system_user

pytestmark = pytest.mark.django_db


def probe():
    return next(found for one, found in health.probe_all() if one.name == "callouts_in_doubt")


def doubtful(**fields):
    given = {"method": "POST", "url": "http://x/", "outcome": "in_doubt", "duration_ms": 5, "started_at": clock.now()}
    return IntegrationLogEntry.objects.create(**{**given, **fields})


def test_what_came_in_is_recorded_redacted():
    with correlation.bind("order-5"):
        entry_id = integration_log.record(
            Exchanged(
                method="POST",
                url="/services/callbacks/canarytoken123/approved?sig=canary",
                request_headers={"Content-Type": "application/json", "Authorization": "Bearer canary"},
                request_body=b'{"approved": true, "secret": "canary"}',
                response_headers={"Set-Cookie": "canary"},
                response_body="ok",
                status_code=200,
            ),
            About(
                operation="approved", user=system_user(), record_id="001000000000001AAA", invocation_id=uuid.UUID(int=7)
            ),
            direction="inbound",
            outcome="succeeded",
            duration_ms=12,
        )
    entry = IntegrationLogEntry.objects.get(pk=entry_id)
    assert (entry.direction, entry.outcome, entry.status_code, entry.duration_ms) == ("inbound", "succeeded", 200, 12)
    assert entry.url == "/services/callbacks/********/approved?sig=********"
    assert entry.request_body == '{"approved": true, "secret": "********"}'
    assert entry.correlation_id == "order-5"
    assert "canary" not in str(vars(entry))


def test_what_is_too_long_for_a_column_is_cut():
    entry_id = integration_log.record(
        Exchanged(method="X" * 50, url="u" * 5000),
        About(operation="o" * 500, named_credential="n" * 500, record_id="r" * 500),
        direction="inbound",
        outcome="failed",
        error=errors.InvalidCallout("password=canary"),
    )
    entry = IntegrationLogEntry.objects.get(pk=entry_id)
    assert (len(entry.operation), len(entry.method), len(entry.record_id)) == (255, 16, 64)
    assert (entry.error_code, entry.error_message) == ("INVALID_CALLOUT", "password=********")


def test_reads():
    one = doubtful(invocation_id=uuid.UUID(int=7), job_id=uuid.UUID(int=8), correlation_id="c", record_id="r")
    doubtful(outcome="succeeded", direction="inbound")
    log = IntegrationLogEntry.objects
    for found in (
        log.in_doubt(),
        log.outbound(),
        log.of_job(uuid.UUID(int=8)),
        log.of_invocation(uuid.UUID(int=7)),
        log.of_correlation("c"),
        log.about_record("r"),
    ):
        assert found.get() == one
    assert log.inbound().get().outcome == "succeeded"


def test_the_probe_is_well_without_doubt():
    doubtful(outcome="succeeded")
    doubtful(outcome="failed")
    assert probe().ok


def test_the_probe_tells_of_callouts_in_doubt(moving_clock):
    doubtful(started_at=clock.now() - timedelta(hours=2))
    found = probe()
    assert (found.ok, found.age_seconds) == (False, 7200)
    assert "24 hours: 1." in found.summary


def test_the_probe_leaves_out_what_is_under_way_and_what_is_old(moving_clock):
    doubtful(duration_ms=None)
    doubtful(started_at=clock.now() - timedelta(hours=25))
    assert probe().ok
    moving_clock.move(timedelta(seconds=121))
    assert not probe().ok


def test_the_set_up_page_shows_the_log_and_changes_nothing(admin_client):
    entry = doubtful(operation="Submit")
    listed = admin_client.get(reverse("admin:callouts_integrationlogentry_changelist"))
    assert "Submit" in listed.content.decode()
    page = reverse("admin:callouts_integrationlogentry_change", args=[entry.pk])
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"operation": "Other"}).status_code == 403
    assert admin_client.get(reverse("admin:callouts_integrationlogentry_add")).status_code == 403
    assert admin_client.post(reverse("admin:callouts_integrationlogentry_delete", args=[entry.pk])).status_code == 403
    entry.refresh_from_db()
    assert entry.operation == "Submit"
