"""The door into the queue: `callouts.enqueue`."""

import inspect
import uuid
from datetime import timedelta
from typing import Any

import requests
from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import destinations, redaction, requesting
from callouts.bodies import SpooledBody
from callouts.client import check_timeout, running_user
from callouts.conf import options
from callouts.errors import InvalidCallout
from callouts.queue.models import BatchChunk, QueuedCallout
from callouts.records import record_id_of
from callouts.requesting import Request
from callouts.retrying import RetryPolicy
from isthmus import causes, clock, correlation
from isthmus.jobs.json_values import NotJson, as_json_value
from isthmus.jobs.registry import Declared

__all__ = ["context_of", "enqueue"]

_OWN_HEADERS = {"user-agent", "accept", "accept-encoding", "content-length", correlation.HEADER.lower()}
_LONGEST = {"operation": 255, "record": 64, "idempotency_key": 255}
_CONTEXT_BYTES = 64 * 1024


def enqueue(
    operation: str,
    request: Request | requests.Request,
    *,
    record: str | Model | None = None,
    on_success: Declared | None = None,
    on_failure: Declared | None = None,
    context: Any = None,
    idempotency_key: str | bool | None = None,
    probe: Declared | None = None,
    in_order: bool = False,
    retry: RetryPolicy | None = None,
    user: AbstractUser | None = None,
    invocation_id: uuid.UUID | None = None,
    chunk: BatchChunk | None = None,
) -> QueuedCallout:
    """Queue a callout in the caller's transaction: it leaves after the commit, and never if that is rolled back.

    `operation` and `record` name it in the log. `request`: a `callouts.http.Request`, or one of requests; it is kept
    as it is, so it holds no credentials. What failed is tried again by `retry` (`None`: the destination's policy); what
    may have been acted on only if repeating is safe: its method only reads, or it has an `idempotency_key` (`True`
    derives one from operation and record: the other side sees the same key however often the same is enqueued), or
    a `probe` says that the other side did not act. Anything else stops as *in doubt*, and a person decides.

    `on_success` and `on_failure`: functions declared with `@queueable`, called in a job of their own with
    `outcome` (a `CalloutOutcome`), in one transaction with what they write. `probe`: such a function too; it asks the
    other side and returns whether that acted, or `None` for unknown. `context` (JSON) is handed to all three.
    `in_order`: callouts about the same record to the same named credential leave one after the other. `user`: whose
    permissions count, `None` for who acts here, whom the job runs for, or else the automated process.

    Raises `InvalidCallout` and `BodyTooLarge`.
    """
    record_id = _checked("record", record_id_of(record))
    if in_order and not record_id:
        raise InvalidCallout("Callouts leave in order for a record; name the record.")
    wire = _on_the_wire(_as_request(request), _key(idempotency_key, operation, record_id))
    user, now = running_user(user), clock.now()
    delays = [float(delay) for delay in (retry or destinations.policy_of(wire["named_credential"])).delays]
    row = QueuedCallout(
        operation=_checked("operation", operation),
        **wire,
        user_id=user.pk if user is not None else None,
        user_name=user.get_username() if user is not None else "",
        record_id=record_id,
        order_key=f"{wire['named_credential']}:{record_id}" if in_order else "",
        invocation_id=invocation_id,
        correlation_id=correlation.current_or_new()[:128],
        cause=causes.current(),
        retry_delays=delays if retry is not None else None,
        on_success=_function_name(on_success),
        on_failure=_function_name(on_failure),
        probe=_function_name(probe),
        context=context_of(context),
        due_at=now + timedelta(seconds=delays[0]),
        created_at=now,
        chunk=chunk,
    )
    row.save(force_insert=True)
    return row


def _on_the_wire(request: Request, key: str | None) -> dict[str, Any]:
    """Return the columns that say what will be sent."""
    url = requesting.filled(request.url, request.path)
    name, rest = requesting.parse_callout_url(url)
    headers, query, body = _prepared(request, rest, key)
    return {
        "named_credential": name,
        "method": request.method.upper(),
        "url": f"{url.partition('?')[0]}{'?' if query else ''}{query}",
        "headers": headers,
        "body": body,
        "timeout_seconds": check_timeout(request.timeout) if request.timeout is not None else None,
        "idempotency_key": key or "",
    }


def _as_request(given: Request | requests.Request) -> Request:
    if isinstance(given, Request):
        return given
    if given.auth or given.cookies:
        raise InvalidCallout(
            "Credentials and cookies are not the caller's to give; they belong to the named credential."
        )
    return Request(
        method=given.method or "GET",
        url=given.url or "",
        params=given.params or None,
        json=given.json,
        data=given.data or None,
        files=given.files or None,
        headers=given.headers or None,
    )


def _prepared(request: Request, rest: str, key: str | None) -> tuple[dict[str, str], str, bytes]:
    """Return headers, query and body as they will leave; refuse now what would be refused then."""
    for name in request.headers or {}:
        if redaction.is_sensitive(name):
            raise InvalidCallout(f"The header {name} cannot be queued: secrets belong to the named credential.")
    limit = options.max_body_bytes_in_jobs
    data = requesting.spooled(request.data, max_body_bytes=limit)
    prepared = requesting.prepare(
        request.method.upper(),
        f"http://queued.invalid{rest}",
        params=request.params,
        json=request.json,
        data=data,
        files=request.files,
        headers=request.headers,
        idempotency_key=key,
        max_body_bytes=limit,
    )
    kept = {name: value for name, value in prepared.headers.items() if name.lower() not in _OWN_HEADERS}
    kept.pop(requesting.IDEMPOTENCY_KEY_HEADER, None)
    given = {name.lower() for name in request.headers or {}}
    kept |= {
        name: value for name, value in prepared.headers.items() if name.lower() in given & {"accept", "user-agent"}
    }
    body: Any = prepared.body or b""
    content = body.read() if isinstance(body, SpooledBody) else bytes(body)
    if isinstance(data, SpooledBody):
        data.close()
    return kept, (prepared.url or "").partition("?")[2], content


def _key(given: str | bool | None, operation: str, record_id: str) -> str | None:
    if given is True:
        if not record_id:
            raise InvalidCallout("A key that is derived from operation and record needs a record.")
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"isthmus:{operation}:{record_id}"))
    if given is False or given is None:
        return None
    return _checked("idempotency_key", given)


def _checked(what: str, given: str) -> str:
    if not isinstance(given, str) or (what == "operation" and not given.strip()):
        raise InvalidCallout(f"A queued callout's {what} is a text.")
    if len(given) > _LONGEST[what] or "\x00" in given:
        raise InvalidCallout(f"A queued callout's {what} has at most {_LONGEST[what]} characters.")
    return given


def _function_name(given: Declared | None) -> str:
    if given is None:
        return ""
    try:
        declaration = given.declaration
        inspect.signature(declaration.function).bind(outcome=None)
    except (AttributeError, TypeError) as error:
        raise InvalidCallout(
            "What follows a queued callout is a function declared with @queueable that takes `outcome`."
        ) from error
    return declaration.name


def context_of(given: Any) -> Any:
    """Return the context as JSON keeps it. Raises `InvalidCallout`."""
    try:
        return as_json_value(given, limit_bytes=_CONTEXT_BYTES)
    except (NotJson, TypeError) as error:
        raise InvalidCallout(f"The context is not JSON of at most {_CONTEXT_BYTES} bytes: {error}") from error
