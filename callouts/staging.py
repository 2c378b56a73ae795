"""Callouts that leave after commit: staged in the caller's transaction, sent by a job."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import redaction, requesting
from callouts.conf import options
from callouts.errors import InvalidCallout
from callouts.jobs import send_staged
from callouts.records import record_id_of
from isthmus.jobs.models import Job

__all__ = ["enqueue"]


def enqueue(
    method: str,
    url: str,
    *,
    params: Mapping[str, Any] | None = None,
    json: Any = None,
    data: Mapping[str, Any] | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    user: AbstractUser | None = None,
    idempotency_key: str | None = None,
    operation: str = "",
    record: str | Model | None = None,
    invocation_id: uuid.UUID | None = None,
) -> Job:
    """Stage a callout in the caller's transaction: it leaves after the commit, and never if that is rolled back.

    Arguments are those of `callouts.http`; they are kept with the job, so they hold no credentials. What failed before
    anything was sent is tried again. What is in doubt is tried again only where repeating is safe: with an
    `idempotency_key`, which the other side honours, or a method that only reads. An answer of 429 or 503 is tried
    again, other error statuses end the job as Failed. The job's result is `{"status_code": …, "log_entry_id": …}`.
    Raises `InvalidCallout`, `BodyTooLarge`, and `isthmus.jobs.errors.ArgumentsRefused` for what JSON cannot carry.
    """
    method = method.upper()
    _check(method, url, params=params, json=json, data=data, headers=headers, idempotency_key=idempotency_key)
    record_id = record_id_of(record)
    return send_staged.enqueue(
        user=user,
        subject=("record", record_id) if record_id else None,
        method=method,
        url=url,
        params=dict(params) if params is not None else None,
        json=json,
        data=data,
        headers=dict(headers) if headers is not None else None,
        timeout=timeout,
        user_id=user.pk if user is not None else None,
        idempotency_key=idempotency_key,
        operation=operation,
        record_id=record_id,
        invocation_id=str(invocation_id) if invocation_id else None,
    )


def _check(method: str, url: str, *, headers: Mapping[str, str] | None, data: Any, **arguments: Any) -> None:
    """Refuse now what would be refused when it leaves, as far as that is certain."""
    if data is not None and not isinstance(data, str | Mapping):
        raise InvalidCallout("A staged callout's data is text or form fields.")
    for name in headers or {}:
        if redaction.is_sensitive(name):
            raise InvalidCallout(f"The header {name} cannot be staged: secrets belong to the named credential.")
    _, rest = requesting.parse_callout_url(url)
    requesting.prepare(
        method,
        f"http://staged.invalid{rest}",
        data=data,
        headers=headers,
        max_body_bytes=options.max_body_bytes_in_jobs,
        **arguments,
    )
