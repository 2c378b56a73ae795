"""No table grows for ever: each has something that removes its rows, or a reason why they are few or kept."""

import threading
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection, connections, transaction

from apexrest.idempotency import remove_expired_answers
from apexrest.models import RateState, RecordedAnswer
from callouts.external_services.cleaning import remove_old_invocations
from callouts.models import IntegrationLogEntry
from callouts.queue.cleaning import remove_ended
from callouts.queue.models import BatchChunk, CalloutBatch
from callouts.retention import remove_old_entries
from credentials.cleaning import remove_old_authorization_requests
from credentials.models import AuthorizationRequest
from events.cleaning import remove_old_notes
from events.models import EventUsage
from isthmus import clock, ids
from isthmus.access.models import ApiUse
from isthmus.console.models import BulkOperation, BulkRefusal
from isthmus.console.rollups.models import SeriesPeriod, SeriesProgress, Width
from isthmus.jobs import schedules
from isthmus.jobs.bulk import remove_old_bulk_actions
from isthmus.jobs.jobs import purge_ended_jobs, remove_old_access, roll_up_figures
from isthmus.jobs.models import BatchFailure, BatchRun, JobDependency, JobLogLine
from isthmus.jobs.removal import Removal
from records.cleaning import remove_unusable_cursors
from records.models import QueryCursor
from tests import console_samples as samples

pytestmark = pytest.mark.django_db

SERIES = "sample"
"""A series that nothing rolls up: another one's periods are counted anew when a step comes past them."""

LONG_AGO, LATELY = timedelta(days=1_000), timedelta(minutes=1)

REMOVED = {
    "jobs.Job": purge_ended_jobs,
    "jobs.JobLogLine": purge_ended_jobs,
    "jobs.JobDependency": purge_ended_jobs,
    "jobs.BatchRun": purge_ended_jobs,
    "jobs.BatchFailure": purge_ended_jobs,
    "console.BulkOperation": remove_old_bulk_actions,
    "console.BulkRefusal": remove_old_bulk_actions,
    "console.SeriesPeriod": roll_up_figures,
    "callouts.IntegrationLogEntry": remove_old_entries,
    "callout_queue.QueuedCallout": remove_ended,
    "callout_queue.BatchChunk": remove_ended,
    "callout_queue.CalloutBatch": remove_ended,
    "external_services.Invocation": remove_old_invocations,
    "external_services.CallbackReceipt": remove_old_invocations,
    "apexrest.RecordedAnswer": remove_expired_answers,
    "apexrest.RateState": remove_expired_answers,
    "events.ParkedEvent": remove_old_notes,
    "events.EventUsage": remove_old_notes,
    "credentials.AuthorizationRequest": remove_old_authorization_requests,
    "records.QueryCursor": remove_unusable_cursors,
    "records.QueryCursorIds": remove_unusable_cursors,
    "access.ApiUse": remove_old_access,
    "admin.LogEntry": remove_old_access,
    "sessions.Session": remove_old_access,
    "oauth2_provider.AccessToken": remove_old_access,
    "oauth2_provider.RefreshToken": remove_old_access,
    "oauth2_provider.IDToken": remove_old_access,
    "oauth2_provider.Grant": remove_old_access,
    "oauth2_provider.DeviceGrant": remove_old_access,
}
"""What grows with use, and the scheduled job that removes it."""

OTHERWISE = {
    "events.EventLogEntry": "the bus trims it batch by batch (events.retention)",
    "events.OutboxEvent": "the relay removes what it has moved",
    "objects.RawChange": "the relay removes what it has moved",
    "objects.ClearedReference": "goes with the record that it remembers",
    "jobs.ProcessHeartbeat": "the sweeper forgets who is silent",
    "jobs.Lease": "one for each thing that has one leader",
    "records.RecentRecord": "so many for each user, the older ones make room",
    "axes.AccessAttempt": "expired ones go with the next sign-in",
    "axes.AccessAttemptExpiration": "expired ones go with the next sign-in",
    "axes.AccessFailureLog": "switched off",
    "axes.AccessLog": "switched off",
    "django_q.OrmQ": "not used: workers take jobs from their own table",
    "django_q.Task": "none is kept",
    "django_q.Success": "none is kept",
    "django_q.Failure": "none is kept",
    "django_q.Schedule": "not used",
    "audit.AuditEntry": "kept; `manage.py audit` moves old ones into a file",
    "audit.AuditChain": "one row",
    "events.NumberSeries": "one row for each series",
    "events.ChangedRecord": "goes with the event that it leads to",
    "console.SeriesProgress": "one row for each series",
}
"""What grows with use and is bounded in another way."""

BY_PEOPLE = {
    "access", "apexrest.EndpointLimits", "apexrest.FuzzVerdict", "auth", "callouts.Destination",
    "callouts.RedactionRule", "contenttypes", "credentials", "crm", "events.Channel", "events.ChannelMember",
    "events.EventDefinition", "events.EventFieldDefinition", "events.EventSchema", "events.Subscription",
    "events.Topic", "external_services.DocumentPage", "external_services.DocumentSource",
    "external_services.ExternalService", "external_services.ExternalServiceVersion", "external_services.Operation",
    "jobs.Schedule", "mortgage", "objects.ChangeTracking", "objects.ObjectSharing", "objects.Organization",
    "objects.SharingRule", "vault",
}  # fmt: skip
"""Set up or entered by people, or their records: apps, and single models."""

TEST_APPS = {"event_samples", "job_samples", "rest_samples", "crash_points", "crash_matrix", "refusing_trigger"}


def test_every_table_has_a_retention_or_a_reason():
    known = {*REMOVED, *OTHERWISE}
    without = {
        model._meta.label
        for model in apps.get_models()
        if model._meta.label not in known
        and not {model._meta.app_label, model._meta.label} & BY_PEOPLE
        and model._meta.app_label not in TEST_APPS
    }
    assert without == set()


def test_every_removal_runs_by_itself():
    # The worker sees to that of its own jobs itself.
    scheduled = {function.declaration.name for function, _ in schedules._declared.values()}
    scheduled.add(purge_ended_jobs.declaration.name)
    assert {function.declaration.name for function in REMOVED.values()} <= scheduled


def make_receipt_at(at, invocation, **values):
    return samples.make_receipt(invocation, received_at=at, **values)


def make_rows(at):
    """Make a row of each kind that is over since `at`, and return them."""
    user = User.objects.create_user(f"user-{at:%Y}")
    name = f"Service{at:%Y}"
    job = samples.make_job(finished_at=at, created_at=at)
    invocation = samples.make_invocation(samples.make_service(name), state="Completed", finished_at=at, submitted_at=at)
    batch = CalloutBatch.objects.create(
        operation="x", function="x", total=1, chunk_size=1, state="completed", ended_at=at
    )
    chunk = BatchChunk.objects.create(batch=batch, number=1, records=["1"], size=1, is_built=True)
    principal = samples.make_credential(f"Cred{at:%Y}").principal
    bulk = BulkOperation.objects.create(
        listing="operations", act="retry", asked_at=at, total=1, created_at=at, finished_at=at
    )
    SeriesProgress.objects.get_or_create(
        series=SERIES, defaults={"rolled_until": clock.now(), "rolled_at": clock.now()}
    )
    topic = samples.make_topic(f"/event/Year{at:%Y}__e")
    subscription = samples.make_subscription(name=f"reader-{at:%Y}", topic=topic)
    return [
        job,
        JobLogLine.objects.create(job=job, attempt=1, message="x"),
        JobDependency.objects.create(job=job, predecessor=samples.make_job(finished_at=at, created_at=at)),
        BatchRun.objects.create(job=job),
        BatchFailure.objects.create(job=job, chunk=1, items=[]),
        bulk,
        BulkRefusal.objects.create(operation=bulk, key="1", title="x", reason="x"),
        SeriesPeriod.objects.create(series=SERIES, width_seconds=Width.HOUR, starts_at=at, scope="sample"),
        samples.make_log_entry(started_at=at),
        samples.make_queued(state="succeeded", ended_at=at),
        batch,
        chunk,
        samples.make_queued(state="succeeded", ended_at=at, chunk=chunk),
        invocation,
        make_receipt_at(at, invocation),
        make_receipt_at(at, None, state="unknown"),
        RecordedAnswer.objects.create(
            caller="c", key=f"{at}", fingerprint="f", method="POST", path="/", status=200, headers={}, content=b"",
            created_at=at, expires_at=at + timedelta(hours=1),
        ),
        RateState.objects.create(key=f"{at}", paid_until=at.timestamp() + 3_600),
        samples.make_parked(subscription, state="handled", resolved_at=at),
        EventUsage.objects.create(name="PLATFORM_EVENTS_PUBLISHED", event_name="x", start_date=at, end_date=at),
        AuthorizationRequest.objects.create(
            state_hash=f"{at}", principal=principal, started_by=user, code_verifier="x", return_to="/", expires_at=at
        ),
        QueryCursor.objects.create(user_id=user.pk, soql="x", include_deleted=False, used_at=at),
        ApiUse.objects.create(
            hour=at, surface="data", target="x", user_id=0, client_id=0, requests=1, refused=0, failed=0,
            milliseconds=1, slowest=1,
        ),
        Session.objects.create(session_key=f"{at:%Y}", session_data="x", expire_date=at + timedelta(hours=1)),
        LogEntry.objects.create(
            user=user, content_type=ContentType.objects.first(), object_id="1", action_flag=CHANGE, action_time=at
        ),
    ]  # fmt: skip


def remaining(rows):
    return {type(row)._meta.label for row in rows if type(row)._default_manager.filter(pk=row.pk).exists()}


def test_what_is_old_goes_and_what_is_young_stays():
    old, young = make_rows(clock.now() - LONG_AGO), make_rows(clock.now() - LATELY)
    for function in dict.fromkeys(REMOVED.values()):
        function()
    assert remaining(old) == set()
    assert {type(row)._meta.label for row in young} == remaining(young)
    assert {type(row)._meta.label for row in young} >= set(REMOVED) - {
        "oauth2_provider.AccessToken", "oauth2_provider.RefreshToken", "oauth2_provider.IDToken",
        "oauth2_provider.Grant", "oauth2_provider.DeviceGrant", "records.QueryCursorIds",
    }  # fmt: skip


def test_what_waits_for_somebody_stays_however_old():
    at = clock.now() - LONG_AGO
    invocation = samples.make_invocation(samples.make_service(), state="Completed", finished_at=at, submitted_at=at)
    kept = [
        samples.make_job(state="Queued", created_at=at),
        samples.make_log_entry(outcome="in_doubt", started_at=at),
        samples.make_queued(state="failed", ended_at=at),
        invocation,
        make_receipt_at(at, invocation, state="failed"),
        make_receipt_at(at, None, state="received"),
        samples.make_invocation(invocation.service, state="Waiting", submitted_at=at, reference="other"),
        samples.make_parked(samples.make_subscription()),
    ]
    for function in dict.fromkeys(REMOVED.values()):
        function()
    assert len([row for row in kept if type(row)._default_manager.filter(pk=row.pk).exists()]) == len(kept)


def make_many_entries(number):
    old = clock.now() - LONG_AGO
    IntegrationLogEntry.objects.bulk_create(
        [
            IntegrationLogEntry(method="GET", url="https://x", outcome="succeeded", started_at=old)
            for _ in range(number)
        ],
        batch_size=1_000,
    )


def test_a_removal_goes_in_small_transactions_and_on_where_it_was_cut_short(django_assert_num_queries):
    make_many_entries(25)
    removal, rows = Removal(), IntegrationLogEntry.objects.all()
    # A look, and the removal between the two ends of a transaction; at last a look that finds nothing.
    with django_assert_num_queries(4 * 4 + 1):
        removal.remove("entries", rows, order="started_at", size=8)
    assert (removal.counts, removal.total) == ({"entries": 25}, 25)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time.")
def test_a_writer_goes_on_while_many_rows_are_removed():
    make_many_entries(20_000)
    waited, is_over = [], threading.Event()

    def write():
        while not is_over.is_set():
            began = clock.monotonic_seconds()
            with transaction.atomic():
                entry = samples.make_log_entry(id=ids.new_uuid())
                IntegrationLogEntry.objects.filter(pk=entry.pk).update(duration_ms=1)
            waited.append(clock.monotonic_seconds() - began)
        connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = remove_old_entries()
    finally:
        is_over.set()
        writer.join()
    assert found["removed"]["succeeded"] == 20_000
    assert len(waited) >= 20
    assert max(waited) < 2
    assert IntegrationLogEntry.objects.count() == len(waited)
