"""The job that sends staged callouts."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser

from callouts.client import SAFE_METHODS, Callout, perform
from callouts.errors import CalloutInDoubt, ErrorAnswered, InvalidCallout, RepeatableInDoubt, TryLaterAnswered
from callouts.models import IntegrationLogEntry, Outcome
from isthmus.jobs import current_job, queueable
from isthmus.jobs.models import Job

__all__ = ["send_staged"]

# By these the other side says that it has not acted and that it may later
# (https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9, -15.6.4; RFC 6585 section 4; RFC 8470 section 5.2).
_NOT_NOW = {408, 425, 429, 503}


@queueable(max_attempts=5, retry_delays=(1, 10, 60, 300), time_limit_seconds=180, kind="Callout")
def send_staged(
    method: str,
    url: str,
    params: dict[str, Any] | None,
    json: Any,
    data: dict[str, Any] | str | None,
    headers: dict[str, str] | None,
    timeout: float | None,
    user_id: int | None,
    idempotency_key: str | None,
    operation: str,
    record_id: str,
    invocation_id: str | None,
) -> dict[str, Any]:
    """Send what `callouts.enqueue` staged. See there for what is tried again."""
    is_repeatable = idempotency_key is not None or method in SAFE_METHODS
    earlier = _entry_of_attempt_before()
    if earlier is not None and earlier.status_code is not None:
        # The worker died between the answer and the end of the job.
        _refuse_error_status(earlier.status_code, is_repeatable=is_repeatable)
        return {"status_code": earlier.status_code, "log_entry_id": str(earlier.id)}
    if earlier is not None and earlier.outcome == Outcome.IN_DOUBT and not is_repeatable:
        raise CalloutInDoubt(
            "An earlier attempt was cut off while it was sending. Ask the other side whether it acted; retry if not."
        )
    with _repeatable(is_repeatable):
        answer = perform(
            Callout(
                method=method,
                url=url,
                params=params,
                json=json,
                data=data,
                headers=headers,
                timeout=timeout,
                user=_user(user_id),
                idempotency_key=idempotency_key,
                operation=operation,
                record=record_id,
                invocation_id=uuid.UUID(invocation_id) if invocation_id else None,
            )
        )
    _refuse_error_status(answer.status_code, is_repeatable=is_repeatable)
    handle = current_job()
    sent = IntegrationLogEntry.objects.of_job(handle.id).filter(attempt=handle.attempt).latest("started_at")
    return {"status_code": answer.status_code, "log_entry_id": str(sent.id)}


def _entry_of_attempt_before() -> IntegrationLogEntry | None:
    """Return what the attempt before this one wrote into the log; `None` at a first attempt or an operator's retry."""
    handle = current_job()
    job = Job.objects.only("failures", "worker_deaths").get(pk=handle.id)
    if not job.failures and not job.worker_deaths:
        return None
    before = IntegrationLogEntry.objects.of_job(handle.id).filter(attempt=handle.attempt - 1)
    # What was answered "not now" or never got through is to be sent again.
    return before.exclude(status_code__in=_NOT_NOW).exclude(outcome=Outcome.REFUSED).order_by("-started_at").first()


def _refuse_error_status(status: int, *, is_repeatable: bool) -> None:
    if status in _NOT_NOW:
        raise TryLaterAnswered(f"The other side answered {status}: not now.")
    if status >= 500 and is_repeatable:
        raise TryLaterAnswered(f"The other side answered {status}; repeating is safe.")
    if status >= 400:
        raise ErrorAnswered(f"The other side answered {status}.")


@contextmanager
def _repeatable(is_repeatable: bool) -> Iterator[None]:
    try:
        yield
    except CalloutInDoubt as error:
        if is_repeatable:
            raise RepeatableInDoubt(error.message) from error
        raise


def _user(user_id: int | None) -> AbstractUser | None:
    if user_id is None:
        return None
    user = get_user_model().objects.filter(pk=user_id).first()
    if user is None:
        # Going on as the automated process would do what nobody was ever asked to allow.
        raise InvalidCallout("The user on whose behalf the callout was staged is gone.")
    return user
