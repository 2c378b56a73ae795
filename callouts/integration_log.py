"""Writes the integration log.

An outbound exchange is two short writes: `begin` before the request leaves, `complete` when it is over. In between
stands an entry that is in doubt, which is what it says if the process dies. Inside a caller's atomic block (one
without writes; another would have been refused) both writes belong to the caller's transaction and share its fate: on
SQLite such a block holds the only write lock there is, so no other connection could write. The structured log has a
line either way.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import requests
from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError, transaction

from callouts import redaction, uncommitted_work
from callouts.conf import options
from callouts.errors import CalloutFailed, CalloutRefused
from callouts.models import Direction, IntegrationLogEntry, Outcome
from credentials.errors import CredentialError
from isthmus import clock, correlation
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger

__all__ = ["About", "Exchanged", "begin", "complete", "outcome_of", "record", "record_refusal"]

log = get_logger(__name__)

_COMPLETED_FIELDS = [
    "url", "request_headers", "request_body", "response_headers", "response_body", "status_code", "outcome",
    "error_code", "error_message", "duration_ms",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class About:
    """What an exchange is about; every part may be left out."""

    operation: str = ""
    named_credential: str = ""
    principal: str = ""
    user: AbstractUser | None = None
    record_id: str = ""
    job_id: uuid.UUID | None = None
    invocation_id: uuid.UUID | None = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What went over the wire, unredacted; it is redacted and capped on its way into the log.

    An error report shows the variables of every frame, so what may hold secrets is not in the `repr`.
    """

    method: str
    url: str = field(repr=False)
    request_headers: Mapping[str, str | bytes] | None = field(default=None, repr=False)
    request_body: bytes | str | None = field(default=None, repr=False)
    response_headers: Mapping[str, str | bytes] | None = field(default=None, repr=False)
    response_body: bytes | str | None = field(default=None, repr=False)
    status_code: int | None = None
    masked_names: frozenset[str] = frozenset()
    """Headers and query parameters, in lower case, that carry secrets and do not look like it."""

    @classmethod
    def of(
        cls,
        request: requests.PreparedRequest,
        answer: requests.Response | None,
        *,
        masked_names: frozenset[str] = frozenset(),
    ) -> "Exchanged":
        """Return what a prepared request and its answer, if it has one, put on the wire."""
        return cls(
            method=request.method or "",
            url=request.url or "",
            request_headers=dict(request.headers),
            request_body=request.body if isinstance(request.body, bytes | str) else None,
            response_headers=dict(answer.headers) if answer is not None else None,
            response_body=answer.content if answer is not None else None,
            status_code=answer.status_code if answer is not None else None,
            masked_names=masked_names,
        )


def begin(exchanged: Exchanged, about: About) -> IntegrationLogEntry:
    """Write that a request is about to leave. The entry is in doubt until `complete` says more."""
    entry = _new_entry(exchanged, about, Direction.OUTBOUND)
    with uncommitted_work.bookkeeping():
        entry.save(force_insert=True)
    return entry


def complete(
    entry: IntegrationLogEntry,
    exchanged: Exchanged,
    *,
    outcome: Outcome,
    error: BaseException | None = None,
    duration_ms: int,
) -> None:
    """Write how an exchange ended.

    When the database fails now, the answer is more worth than its entry: the entry stays in doubt, nothing is raised.
    """
    _fill(entry, exchanged)
    _finish(entry, outcome, error, duration_ms)
    try:
        with uncommitted_work.bookkeeping(), transaction.atomic():
            entry.save(update_fields=_COMPLETED_FIELDS)
    except DatabaseError:
        log.exception("callout.log_incomplete", entry_id=str(entry.id))
    _tell(entry)


def record(
    exchanged: Exchanged,
    about: About,
    *,
    direction: Direction,
    outcome: Outcome,
    error: BaseException | None = None,
    started_at: datetime | None = None,
    duration_ms: int = 0,
) -> IntegrationLogEntry:
    """Write an exchange that is over already: one that was refused, or one that came in.

    `started_at`: `None` means now.
    """
    entry = _new_entry(exchanged, about, direction)
    if started_at is not None:
        entry.started_at = started_at
    _finish(entry, outcome, error, duration_ms)
    with uncommitted_work.bookkeeping():
        entry.save(force_insert=True)
    _tell(entry)
    return entry


def record_refusal(exchanged: Exchanged, about: About, *, error: IsthmusError) -> None:
    """Write that a callout was refused before it left.

    In a transaction that is broken already nothing can be written; the refusal itself is what the caller must see.
    """
    try:
        record(exchanged, about, direction=Direction.OUTBOUND, outcome=Outcome.REFUSED, error=error)
    except DatabaseError:
        log.exception("callout.refusal_not_logged", error_code=error.code)


def outcome_of(status_code: int | None, error: BaseException | None) -> Outcome:
    """Return how an outbound exchange ended that has this answer or raised this error."""
    if error is None:
        return Outcome.SUCCEEDED if status_code is not None and status_code < 400 else Outcome.FAILED
    if isinstance(error, CalloutRefused):
        return Outcome.REFUSED
    # Whatever else interrupts (a shutdown, a job's time limit, a bug) may have struck after the request was sent.
    return Outcome.FAILED if isinstance(error, CalloutFailed | CredentialError) else Outcome.IN_DOUBT


def _new_entry(exchanged: Exchanged, about: About, direction: Direction) -> IntegrationLogEntry:
    entry = IntegrationLogEntry(
        direction=direction,
        operation=about.operation[:255],
        named_credential=about.named_credential[:80],
        principal=about.principal[:160],
        user_id=about.user.pk if about.user is not None else None,
        record_id=about.record_id[:64],
        correlation_id=correlation.current()[:128],
        job_id=about.job_id,
        invocation_id=about.invocation_id,
        attempt=about.attempt,
        method=exchanged.method[:16],
        started_at=clock.now(),
    )
    _fill(entry, exchanged)
    return entry


def _fill(entry: IntegrationLogEntry, exchanged: Exchanged) -> None:
    entry.url = redaction.url(exchanged.url, also=exchanged.masked_names)
    entry.request_headers = redaction.headers(exchanged.request_headers or {}, also=exchanged.masked_names)
    entry.request_body = _body(exchanged.request_body, exchanged.request_headers)
    entry.response_headers = redaction.headers(exchanged.response_headers or {})
    entry.response_body = _body(exchanged.response_body, exchanged.response_headers)
    entry.status_code = exchanged.status_code


def _finish(entry: IntegrationLogEntry, outcome: Outcome, error: BaseException | None, duration_ms: int) -> None:
    entry.outcome = outcome
    entry.duration_ms = max(0, duration_ms)
    if isinstance(error, IsthmusError):
        entry.error_code, entry.error_message = error.code, redaction.text(error.message)
    elif error is not None:
        # The text of an unexpected error may hold anything.
        entry.error_code, entry.error_message = "UNKNOWN_EXCEPTION", type(error).__name__


def _body(given: bytes | str | None, headers: Mapping[str, str | bytes] | None) -> str:
    content_type = next((value for name, value in (headers or {}).items() if name.lower() == "content-type"), "")
    shown = content_type.decode("latin-1") if isinstance(content_type, bytes) else content_type
    return redaction.body(given, shown, at_most_bytes=options.log_body_bytes)


def _tell(entry: IntegrationLogEntry) -> None:
    log.info(
        "integration.exchange",
        entry_id=str(entry.id),
        direction=str(entry.direction),
        method=entry.method,
        named_credential=entry.named_credential,
        operation=entry.operation,
        outcome=str(entry.outcome),
        status_code=entry.status_code,
        error_code=entry.error_code,
        duration_ms=entry.duration_ms,
    )
