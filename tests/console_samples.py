"""Rows that the tests of the pages look at, with hostile content where people's content goes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.contrib.auth.models import User

from apexrest.models import FuzzVerdict
from callouts.external_services.actions import register
from callouts.external_services.models import CallbackReceipt, ExternalService, Invocation
from callouts.models import IntegrationLogEntry
from callouts.queue.models import BatchChunk, CalloutBatch, QueuedCallout
from credentials.actions import create_external_credential, create_named_credential, create_principal
from credentials.models import NamedCredential
from crm.models import Contact
from events.actions.defining import save_definition
from events.models import (
    EventDefinition,
    EventFieldDefinition,
    EventLogEntry,
    EventSchema,
    OutboxEvent,
    ParkedEvent,
    Subscription,
    Topic,
)
from isthmus import clock, ids
from isthmus.access.actions import assign, create_api_client, ensure_permission_set
from isthmus.access.models import ApiClient, ApiUse
from isthmus.console.models import BulkOperation, BulkRefusal
from isthmus.jobs.models import BatchFailure, BatchRun, Job, JobDependency, JobLogLine, ProcessHeartbeat, Schedule

HOSTILE = "<script>alert('x')</script>"
PASSWORD = "a-long-password-17"


@contextmanager
def other_words(text: str) -> Iterator[None]:
    """Write `text` while the block runs where hostile content would stand: for pictures."""
    global HOSTILE
    hostile, HOSTILE = HOSTILE, text
    try:
        yield
    finally:
        HOSTILE = hostile


def user_with(*actions: str, name: str = "") -> User:
    """Make a user who may do these actions in the console, and nothing else."""
    user = User.objects.create_user(name or f"user-{'-'.join(actions) or 'none'}", password=PASSWORD)
    if actions:
        label = f"Console {' '.join(actions)}"
        assign(
            ensure_permission_set(label.replace(" ", "_"), label, [("console", each, "*") for each in actions]), user
        )
    return user


def make_job(**values) -> Job:
    """Make a job that failed with hostile words."""
    given = {
        "function": "mortgages.jobs.submit",
        "state": "Failed",
        "arguments": {"note": HOSTILE},
        "error": f"ConnectFailed: {HOSTILE}",
        "error_trace": f"Traceback {HOSTILE}",
        "correlation_id": "correlation-1",
        "subject_type": "Lead",
        "subject_id": "00Q000000000001AAA",
        "attempts": 1,
        "max_attempts": 3,
    }
    return Job.objects.create(**{**given, **values})


def make_log_entry(**values) -> IntegrationLogEntry:
    """Make an answered callout with hostile bodies."""
    given = {
        "operation": "Submit application",
        "named_credential": "Acme_Bank",
        "record_id": "00Q000000000001AAA",
        "correlation_id": "correlation-1",
        "method": "POST",
        "url": f"https://bank.example.org/v1/applications?note={HOSTILE}",
        "request_headers": {"Content-Type": "application/json", "X-Note": HOSTILE},
        "request_body": f'{{"note": "{HOSTILE}", "amount": 1.10}}',
        "response_headers": {"Content-Type": "text/html"},
        "response_body": HOSTILE,
        "status_code": 201,
        "outcome": "succeeded",
        "duration_ms": 340,
    }
    return IntegrationLogEntry.objects.create(**{**given, **values})


ENDPOINT = "/v1/support-requests/*"


def make_call(**values) -> IntegrationLogEntry:
    """Make a call of the demo app's endpoint, with its count, by a client with a hostile name."""
    user = values.pop("user", None) or User.objects.get_or_create(username=HOSTILE)[0]
    client = ApiClient.objects.filter(name=HOSTILE).first() or create_api_client(HOSTILE, user)[0]
    ApiUse.objects.create(
        hour=clock.now().replace(minute=0, second=0, microsecond=0),
        surface="apexrest",
        target=f"POST {ENDPOINT}",
        user_id=user.pk,
        client_id=client.pk,
        requests=3,
        refused=1,
        failed=1,
        milliseconds=90,
        slowest=60,
    )
    FuzzVerdict.objects.update_or_create(
        mapping=ENDPOINT, http_method="POST", defaults={"verdict": "unsafe", "detail": HOSTILE, "code_digest": "x"}
    )
    given = {
        "direction": "inbound",
        "operation": f"POST {ENDPOINT}",
        "user": user,
        "principal": HOSTILE,
        "correlation_id": "call-1",
        "record_id": "",
    }
    return make_log_entry(**{**given, **values})


def make_queued(**values) -> QueuedCallout:
    """Make a queued callout that failed with hostile words."""
    given = {
        "operation": f"Tell {HOSTILE}",
        "named_credential": "Acme_Bank",
        "method": "POST",
        "url": f"callout:Acme_Bank/orders?note={HOSTILE}",
        "headers": {"X-Note": HOSTILE},
        "body": HOSTILE.encode(),
        "record_id": "00Q000000000001AAA",
        "correlation_id": "correlation-1",
        "state": "failed",
        "reason": HOSTILE,
        "context": {"note": HOSTILE},
        "ended_at": clock.now(),
    }
    return QueuedCallout.objects.create(**{**given, **values})


def make_batch() -> CalloutBatch:
    """Make a batch that failed with hostile words."""
    batch = CalloutBatch.objects.create(
        operation=f"Publish {HOSTILE}", function="shop.prices", total=2, chunk_size=2, state="partly_failed",
        context={"note": HOSTILE},
    )  # fmt: skip
    chunk = BatchChunk.objects.create(
        batch=batch, number=1, records=["1", "2"], size=2, is_built=True, failures={HOSTILE: HOSTILE}, failed=1
    )
    make_queued(chunk=chunk, correlation_id="other")
    BatchChunk.objects.create(batch=batch, number=2, records=["3"], size=1, is_built=True, error=HOSTILE)
    return batch


def _document() -> dict:
    """Return a document whose every text is hostile."""
    schema = {
        "type": "object",
        "description": HOSTILE,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": HOSTILE, "enum": ["a", HOSTILE]},
            "url": {"type": "string"},
            "deep": {"type": "array", "items": {"type": "object", "properties": {HOSTILE: {"type": "integer"}}}},
        },
    }
    body = {"content": {"application/json": {"schema": schema}, "text/plain": {}}}
    answer = {
        "description": HOSTILE,
        "content": body["content"],
        "headers": {"X-Left": {"schema": {"type": "integer"}}},
    }
    operation = {
        "operationId": "submitApplication",
        "summary": HOSTILE,
        "tags": [HOSTILE],
        "parameters": [
            {"name": "limit", "in": "query", "description": HOSTILE, "schema": {"type": "integer"}},
            {"in": "query", "description": "without a name"},
        ],
        "requestBody": body,
        "responses": {"200": answer, "default": {"description": ""}},
        "callbacks": {"approved": {"{$request.body#/url}": {"post": {"requestBody": body, "responses": {}}}}},
        "security": [{HOSTILE: []}],
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": HOSTILE, "version": "1"},
        "servers": [{"url": "https://bank.example"}],
        "paths": {"/applications": {"post": operation}, "/trace": {"trace": {}}},
        "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": HOSTILE}}},
    }


def make_service(name: str = "AcmeMortgages") -> ExternalService:
    """Make a service with two versions, whose operation answers by callback; the second one breaks calls."""
    document = _document()
    register(name, json.dumps(document), label=f"Acme {HOSTILE}")
    service = ExternalService.objects.get(name=name)
    document["paths"]["/applications"]["post"]["parameters"][0]["required"] = True
    register(name, json.dumps(document))
    return service


def make_invocation(service: ExternalService, **values) -> Invocation:
    """Make an invocation that waits for its callback."""
    now = clock.now()
    given = {
        "service": service,
        "version": service.active_version,
        "operation": service.active_version.operations.get(),
        "reference": f"Lead-1 {HOSTILE}",
        "idempotency_key": ids.new_token(24),
        "callback_token": "the-callback-token",
        "callback_token_digest": ids.new_token(24),
        "handler": "mortgages.callbacks.Handler",
        "state": "Waiting",
        "request": {"note": HOSTILE},
        "request_digest": "0" * 64,
        "record_id": "00Q000000000001AAA",
        "response_status": 202,
        "response_body": {"note": HOSTILE},
        "submitted_at": now,
        "expires_at": now + timedelta(hours=24),
        "correlation_id": "correlation-1",
    }
    return Invocation.objects.create(**{**given, **values})


def make_receipt(invocation: Invocation | None, **values) -> CallbackReceipt:
    """Make a callback that was processed."""
    given = {
        "invocation": invocation,
        "callback_name": "decision",
        "method": "POST",
        "headers": {"content-type": "application/json"},
        "body": f'{{"note": "{HOSTILE}"}}',
        "body_digest": "cd" * 32,
        "state": "processed",
        "reason": HOSTILE,
        "correlation_id": "correlation-1",
    }
    return CallbackReceipt.objects.create(**{**given, **values})


def make_topic(name: str = "/event/Sample__e", kind: str = "event") -> Topic:
    """Return the topic, made when it is missing."""
    return Topic.objects.get_or_create(name=name, defaults={"kind": kind})[0]


def make_schema() -> EventSchema:
    """Return a schema, made when it is missing."""
    return EventSchema.objects.get_or_create(
        schema_id="sample", defaults={"record_name": "Sample__e", "document": '{"type": "record", "name": "Sample__e"}'}
    )[0]


def make_event(replay_id: int, topic: Topic | None = None, **values) -> EventLogEntry:
    """Make a published event."""
    now = clock.now()
    given = {
        "replay_id": replay_id,
        "topic": topic or make_topic(),
        "event_uuid": ids.new_uuid(),
        "schema": make_schema(),
        "payload": {"Note__c": HOSTILE},
        "size": 40,
        "created_at": now,
        "published_at": now,
        "correlation_id": "correlation-1",
        "transaction_key": ids.new_uuid(),
        "sequence_number": 1,
    }
    return EventLogEntry.objects.create(**{**given, **values})


def make_parked(subscription: Subscription, **values) -> ParkedEvent:
    """Make an event that the subscription could not handle."""
    number = ParkedEvent.objects.count() + 1
    given = {
        "subscription": subscription,
        "replay_id": number,
        "event_uuid": ids.new_uuid(),
        "topic_name": "/event/Sample__e",
        "schema_id": "sample",
        "payload": {"Note__c": HOSTILE},
        "created_at": clock.now(),
        "correlation_id": "correlation-1",
        "transaction_key": ids.new_uuid(),
        "sequence_number": 1,
        "error": f"ValueError: {HOSTILE}",
        "trace": f"  File {HOSTILE}",
        "failures": 4,
    }
    return ParkedEvent.objects.create(**{**given, **values})


def make_subscription(**values) -> Subscription:
    """Make a subscription that retries."""
    given = {
        "name": f"sample.subscribers.read{HOSTILE}",
        "topic": make_topic(),
        "cursor": 0,
        "state": "retrying",
        "last_error": HOSTILE,
        "failures": 2,
    }
    return Subscription.objects.create(**{**given, **values})


def make_bulk() -> BulkOperation:
    """Make a bulk action with a refusal of hostile words."""
    operation = BulkOperation.objects.create(
        listing="operations",
        act="retry",
        filters={"q": HOSTILE},
        asked_at=clock.now(),
        user=None,
        total=3,
        done=1,
        refused=1,
        url="/operations/",
    )
    BulkRefusal.objects.create(operation=operation, key="1", title=HOSTILE, reason=HOSTILE)
    return operation


def make_credential(name: str = "Hostile") -> NamedCredential:
    """Make a named credential with a principal, all of it described in hostile words."""
    external = create_external_credential(
        f"{name}_Key", protocol="custom_headers", settings={"headers": "X-Plain: {ApiKey}"}, label=HOSTILE
    )
    principal = create_principal(external, "Main", secrets={"ApiKey": "the-secret"})
    return create_named_credential(
        name, url="https://bank.example.org/v1", external_credential=external, principal=principal, label=HOSTILE
    )


def make_everything() -> dict[str, object]:
    """Make one of each, and return what has a page of its own."""
    job = make_job()
    JobLogLine.objects.create(job=job, attempt=1, message=HOSTILE, fields={"note": HOSTILE})
    BatchRun.objects.create(job=job, done=3, failed=2, chunks=2, failed_chunks=1)
    BatchFailure.objects.create(job=job, chunk=1, items=[[1, HOSTILE, HOSTILE]])
    BatchFailure.objects.create(job=job, chunk=2, items=[[2, HOSTILE, ""]], error=HOSTILE, error_trace=HOSTILE)
    JobDependency.objects.create(job=make_job(function=f"later{HOSTILE}", state="Holding"), predecessor=job)
    Schedule.objects.create(name=f"Nightly {HOSTILE}", function="sample.jobs.sweep", cron="17 3 * * *")
    # Of the service's name: whoever searches for it finds two things.
    Schedule.objects.create(name="AcmeMortgages", function=f"sample{HOSTILE}", cron="17 3 * * *")
    ProcessHeartbeat.objects.create(kind="worker", name=HOSTILE, pid=7, beat_at=clock.now())
    service = make_service()
    invocation = make_invocation(service)
    receipt = make_receipt(invocation)
    entry = make_log_entry(job_id=job.pk, invocation_id=invocation.pk)
    make_log_entry(named_credential="Hostile", correlation_id="other", record_id="")
    event = make_event(1)
    subscription = make_subscription(cursor=1)
    make_parked(subscription)
    EventDefinition.objects.create(
        api_name="Sample__e", label=HOSTILE, topic=make_topic(), schema=make_schema(), declared_in="sample"
    )
    OutboxEvent.objects.create(
        topic=make_topic(),
        payload={},
        size=2,
        created_at=clock.now(),
        schema=make_schema(),
        transaction_key=ids.new_uuid(),
        correlation_id="correlation-1",
    )
    return {
        "job": job,
        "entry": entry,
        "call": make_call(),
        "queued": make_queued(),
        "doubtful": make_queued(
            state="in_doubt", correlation_id="other", edited_from=make_queued(correlation_id="other")
        ),
        "batch": make_batch(),
        "service": service,
        "invocation": invocation,
        "receipt": receipt,
        "event": event,
        "subscription": subscription,
        "bulk": make_bulk(),
        "credential": make_credential(),
        "record": Contact.objects.create(last_name=HOSTILE),
        "definition": save_definition(
            EventDefinition(api_name="Made__e", label=f"Made {HOSTILE}", description=HOSTILE),
            [
                EventFieldDefinition(api_name="Text__c", kind="Text", label=HOSTILE, is_required=True),
                EventFieldDefinition(api_name="Note__c", kind="LongText", help_text=HOSTILE),
                EventFieldDefinition(api_name="Day__c", kind="Date"),
                EventFieldDefinition(api_name="Urgent__c", kind="Checkbox"),
                EventFieldDefinition(api_name="Amount__c", kind="Number"),
            ],
        ),
    }


def make_more(made: dict[str, object], numbers: Iterable[int]) -> None:
    """Make a row of every kind for each number, those that hang on what `made` has among them."""
    for number in numbers:
        user = User.objects.create_user(f"somebody-{number}")
        assign(ensure_permission_set("Users", "Users", [("principal", "use", "Hostile_Key.*")]), user)
        JobDependency.objects.create(job=make_job(user=user), predecessor=made["job"])
        JobLogLine.objects.create(job=made["job"], attempt=1, message=HOSTILE)
        Schedule.objects.create(name=f"Schedule {number}", function="sample.jobs.sweep", cron="17 3 * * *")
        ProcessHeartbeat.objects.create(kind="worker", name=f"worker-{number}", pid=7, beat_at=clock.now())
        make_log_entry(user=user, queued_callout_id=made["queued"].pk, named_credential=made["credential"].name)
        make_call(user=user)
        make_queued(user=user)
        make_batch()
        service = make_service(f"Service{number}")
        make_receipt(make_invocation(service, user=user))
        make_receipt(make_invocation(made["service"], user=user))
        make_receipt(made["invocation"])
        topic = make_topic(f"/event/Sample{number}__e")
        make_event(number, topic)
        make_parked(make_subscription(name=f"reader-{number}", topic=topic))
        make_parked(made["subscription"])
        make_credential(f"Further{number}")
        made["bulk"].refusals.create(key=f"{number}", title="x", reason="x")


def page_addresses(made: dict[str, object]) -> dict[str, str]:
    """Return the address of every page, by a short name."""
    return {
        "home": "/",
        "search": "/search/?q=a+b",
        "time-line": "/timeline/correlation-1",
        "connections": "/connections/",
        "limits": "/limits/",
        "why": f"/access/why/?user={made['call'].user_id}&action=object.read&target={HOSTILE}",
        "jobs": "/operations/",
        "job": f"/operations/{made['job'].pk}/",
        "schedules": "/operations/schedules/",
        "log": "/integration-log/",
        "entry": f"/integration-log/{made['entry'].pk}/",
        "queue": "/queued-callouts/",
        "queued": f"/queued-callouts/{made['queued'].pk}/",
        "doubtful": f"/queued-callouts/{made['doubtful'].pk}/",
        "batches": "/queued-callouts/batches/",
        "batch": f"/queued-callouts/batches/{made['batch'].pk}/",
        "services": "/external-services/",
        "service": f"/external-services/services/{made['service'].name}/",
        "operation": f"/external-services/services/{made['service'].name}/operations/submit_application/",
        "version": f"/external-services/services/{made['service'].name}/versions/2/",
        "invocations": "/external-services/invocations/",
        "invocation": f"/external-services/invocations/{made['invocation'].pk}/",
        "callbacks": "/external-services/callbacks/",
        "callback": f"/external-services/callbacks/{made['receipt'].pk}/",
        "endpoints": "/api-endpoints/",
        "endpoint": f"/api-endpoints{ENDPOINT}",
        "endpoint-test": f"/api-endpoints/calls/{made['call'].pk}/test/",
        "events": "/events/",
        "event-log": "/events/log/",
        "event": "/events/log/1/",
        "subscription": f"/events/subscriptions/{made['subscription'].pk}/",
        "parked": "/events/parked/",
        "explorer": "/explorer/",
        "bulk-operation": f"/bulk-operations/{made['bulk'].pk}/",
        "why-fired": f"/why/?event=1&subscription={made['subscription'].pk}",
        "found": "/search/?q=AcmeMortgages",
        "credentials": "/named-credentials/",
        "credential": f"/named-credentials/{made['credential'].name}/",
    }


def operating_addresses(made: dict[str, object]) -> dict[str, str]:
    """Return the address of every page that only operators open."""
    return {
        "publish": f"/events/publish/{made['definition'].api_name}/",
        "edit": f"/queued-callouts/{made['queued'].pk}/edit/",
        "recover": "/queued-callouts/recover/?since=2026-01-01T00:00",
        "bulk": "/bulk/operations/?act=retry&scope=all&q=mortgages",
    }


def further_addresses(made: dict[str, object]) -> dict[str, str]:
    """Return the address of every page that another right opens than those of the console."""
    return {
        "my-connections": "/my-connections/",
        "two-step": "/account/two-step/",
        "documentation": "/docs/v1/",
        "record": f"/explorer/Contact/{made['record'].record_id}/",
    }


class _NoRow:
    """Stands for each row that is not there: what names it is an address of nothing."""

    pk = user_id = name = api_name = record_id = "no-row"


def addresses_without_rows() -> dict[str, str]:
    """Return the addresses of pages that make sense in an empty installation; some of them may answer 404 there."""
    made: defaultdict[str, object] = defaultdict(_NoRow)
    every = {**page_addresses(made), **operating_addresses(made), **further_addresses(made)}
    return {name: address for name, address in every.items() if "no-row" not in address.partition("?")[0]}
