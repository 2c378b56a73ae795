"""Fills PostgreSQL with what a busy installation keeps: set-wise, in about a minute, the same rows each time."""

from collections.abc import Iterable

from django.db import connection

__all__ = ["DAYS", "fill"]

DAYS = 30
"""Rows are spread over this many days, ending now."""

TOPICS = """
INSERT INTO events_topic (name, kind, last_replay_id, trimmed_replay_id, logged_events, kept_events, kept_bytes,
  complete_replay_id, complete_events)
SELECT CASE WHEN n <= 20 THEN '/event/Bench_' || n || '__e' ELSE '/data/Bench_' || n || '__ChangeEvent' END,
  CASE WHEN n <= 20 THEN 'event' ELSE 'data' END, %(events)s, 0, %(events)s / 40, %(events)s / 40, 0, 0, 0
FROM generate_series(1, 40) n
"""
SCHEMA = """
INSERT INTO events_eventschema (schema_id, record_name, document, created_at)
VALUES ('bench', 'Bench__e', '{"type": "record", "name": "Bench__e", "fields": []}', now())
"""
SUBSCRIPTIONS = """
INSERT INTO events_subscription (name, topic_id, cursor, state, last_error, failures, created_at)
SELECT 'bench.subscribers.reader_' || row_number() OVER (ORDER BY id), id,
  last_replay_id - (ARRAY[0, 0, 0, 40, 4000, 400000])[1 + id %% 6], 'running', '', 0, now()
FROM events_topic WHERE name LIKE '%%Bench%%'
"""
EVENTS = """
INSERT INTO events_eventlogentry (replay_id, topic_id, event_uuid, schema_id, payload, size, created_at, published_at,
  correlation_id, cause, transaction_key, sequence_number, is_gap)
SELECT n, (SELECT min(id) FROM events_topic WHERE name LIKE '%%Bench%%') + n %% 40, md5('event' || n)::uuid, 'bench',
  '{"Order_Number__c": "' || n || '", "Note__c": "' || repeat('x', 60) || '"}', 90, at, at,
  'bench-' || n / 4, '', md5('transaction' || n / 2)::uuid, 1 + n %% 2, false
FROM (SELECT n, now() - interval '%(days)s days' * (1 - n / %(events)s.0) AS at
      FROM generate_series(1, %(events)s) n) spread
"""
LOG = """
INSERT INTO callouts_integrationlogentry (id, direction, operation, named_credential, principal, correlation_id,
  cause, record_id, job_id, invocation_id, queued_callout_id, attempt, method, url, request_headers, request_body,
  response_headers, response_body, status_code, outcome, error_code, error_message, started_at, duration_ms, resolution,
  resolution_note, idempotency_key)
SELECT md5('log' || n)::uuid,
  CASE WHEN n %% 1000 = 7 THEN 'noted' WHEN n %% 3 = 0 THEN 'inbound' ELSE 'outbound' END,
  (ARRAY['Submit application', 'Tell the warehouse', 'Refresh prices', 'Ask for the rate', 'Add an order'])[1 + n %% 5],
  CASE WHEN n %% 3 = 0 THEN '' ELSE 'System_' || n %% 20 END, '', 'bench-' || n / 4, '',
  CASE WHEN n %% 5 = 0 THEN '003' || lpad((n %% 50000)::text, 12, '0') || 'AAA' ELSE '' END,
  CASE WHEN n %% 4 = 0 THEN md5('job' || n %% %(jobs)s)::uuid END, NULL, NULL, 1, 'POST',
  'https://system-' || n %% 20 || '.example.org/v1/orders/' || n, '{"Content-Type": "application/json"}',
  '{"order": ' || n || ', "note": "' || repeat('y', 200) || '"}', '{"Content-Type": "application/json"}',
  '{"accepted": true, "note": "' || repeat('z', 200) || '"}',
  CASE WHEN n %% 50 = 0 THEN 503 ELSE 201 END,
  CASE WHEN n %% 20000 = 11 THEN 'in_doubt' WHEN n %% 50 = 0 THEN 'failed' WHEN n %% 500 = 3 THEN 'refused'
    ELSE 'succeeded' END,
  CASE WHEN n %% 50 = 0 THEN 'HTTP_503' ELSE '' END, '', at, 20 + n %% 400, '', '', 'key-' || n
FROM (SELECT n, now() - interval '%(days)s days' * (1 - n / %(log)s.0) AS at
      FROM generate_series(1, %(log)s) n) spread
"""
JOBS = """
INSERT INTO jobs_job (id, kind, function, arguments, state, reason, attempts, failures, worker_deaths, max_attempts,
  run_at, lease_holder, fencing_token, progress_done, error, error_trace, correlation_id, unique_key, subject_type,
  subject_id, created_at, started_at, finished_at, priority, concurrency_key, is_gated, cause, ready_at)
SELECT md5('job' || n)::uuid, CASE WHEN n %% 100 = 0 THEN 'Scheduled' ELSE 'Queueable' END,
  'bench.jobs.' || (ARRAY['submit', 'settle', 'publish_prices', 'sweep'])[1 + n %% 4], '{"order": 1}',
  CASE WHEN n > %(jobs)s - 200 THEN 'Queued' WHEN n %% 97 = 0 THEN 'Failed' WHEN n %% 991 = 0 THEN 'Aborted'
    ELSE 'Completed' END, '',
  1, 0, 0, 3, at, '', 1, 0, CASE WHEN n %% 97 = 0 THEN 'ConnectFailed: no route to host ' || n ELSE '' END, '',
  'bench-' || n, '', 'Contact', '003' || lpad((n %% 50000)::text, 12, '0') || 'AAA', at,
  CASE WHEN n <= %(jobs)s - 200 THEN at END, CASE WHEN n <= %(jobs)s - 200 THEN at + interval '1 second' END, 0, '',
  false, '', at
FROM (SELECT n, now() - interval '%(days)s days' * (1 - n / %(jobs)s.0) AS at
      FROM generate_series(1, %(jobs)s) n) spread
"""
LINES = """
INSERT INTO jobs_joblogline (job_id, attempt, message, fields, created_at)
SELECT id, 1, 'Step ' || step, '{}', created_at FROM jobs_job, generate_series(1, 3) step
"""


def fill(*, log: int = 1_000_000, events: int = 1_000_000, jobs: int = 200_000) -> None:
    """Add this many rows of each, with what they belong to; ask the database to look at them."""
    sizes = {"log": log, "events": events, "jobs": jobs, "days": DAYS}
    _connect_systems()
    _run(statement % sizes for statement in (TOPICS, SCHEMA, SUBSCRIPTIONS, EVENTS, LOG, JOBS, LINES))


def _connect_systems() -> None:
    from credentials.actions import create_external_credential, create_named_credential, create_principal

    external = create_external_credential("Systems", protocol="custom_headers", settings={"headers": "X-Key: {ApiKey}"})
    principal = create_principal(external, "Main", secrets={"ApiKey": "bench"})
    for number in range(20):
        create_named_credential(
            f"System_{number}",
            url=f"https://system-{number}.example.org",
            external_credential=external,
            principal=principal,
        )


def _run(statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        # Readers of one's own are not kept waiting by a disk; the rows are thrown away afterwards.
        cursor.execute("SET synchronous_commit = off")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("VACUUM ANALYZE")
