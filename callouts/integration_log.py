"""Writes the integration log.

An outbound exchange is two short writes: `begin` when the request leaves, `complete` when it is over. In between
stands an entry that is in doubt, which is what it says if the process dies. Inside a caller's atomic block (one
without writes; another would have been refused) both writes belong to the caller's transaction and share its fate: on
SQLite such a block holds the only write lock there is, so no other connection could write. The structured log has a
line either way.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import requests
from django.contrib.auth.models import AbstractUser
from django.db import DatabaseError, router, transaction

from callouts import log_rows, redaction, uncommitted_work
from callouts.bodies import SpooledBody
from callouts.conf import options
from callouts.egress.passage import Timing
from callouts.errors import CalloutFailed, CalloutRefused
from callouts.log_rows import AlongWith
from callouts.models import Direction, IntegrationLogEntry, Outcome, RedactionRule, Resolution
from callouts.querysets import IntegrationLogQuerySet
from callouts.redaction_rules import Rules, rules_of
from callouts.requesting import IDEMPOTENCY_KEY_HEADER
from callouts.statements import UnderWay
from credentials.errors import CredentialError
from isthmus import causes, clock, correlation, ids
from isthmus.audit import actions as audit
from isthmus.errors import IsthmusError
from isthmus.logs import get_logger

__all__ = [
    "About",
    "Arrived",
    "Exchanged",
    "OpenEntry",
    "begin",
    "complete",
    "outcome_of",
    "record",
    "record_arrived",
    "record_refusal",
    "record_unsent",
    "resolve",
    "resolve_queued",
]

log = get_logger(__name__)

_LONGEST = {
    "operation": 255, "named_credential": 80, "principal": 160, "record_id": 64, "method": 16, "idempotency_key": 255,
}  # fmt: skip


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
    queued_callout_id: int | None = None
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What went over the wire, unredacted; it is redacted and capped on its way into the log.

    An error report shows the variables of every frame, so what may hold secrets is not in the `repr`.
    """

    method: str
    url: str = field(repr=False)
    request_headers: Mapping[str, str | bytes] | None = field(default=None, repr=False)
    request_body: bytes | str | SpooledBody | None = field(default=None, repr=False)
    response_headers: Mapping[str, str | bytes] | None = field(default=None, repr=False)
    response_body: bytes | str | redaction.Described | None = field(default=None, repr=False)
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
        streamed: redaction.Described | None = None,
    ) -> "Exchanged":
        """Return what a prepared request and its answer, if it has one, put on the wire.

        `streamed`: what was kept of an answer that was read piece by piece; `None` for one that is there as a whole.
        """
        body = request.body
        return cls(
            method=request.method or "",
            url=request.url or "",
            request_headers=request.headers,
            request_body=body if isinstance(body, bytes | str | SpooledBody) else None,
            response_headers=answer.headers if answer is not None else None,
            response_body=None if answer is None else streamed or answer.content,
            status_code=answer.status_code if answer is not None else None,
            masked_names=masked_names,
        )


class OpenEntry:
    """An entry that says *in doubt* until it is completed."""

    __slots__ = ("about", "began", "id", "is_lost", "logged", "raw_body", "raw_headers", "raw_url", "under_way")

    def __init__(self, exchanged: Exchanged, about: About, began: float) -> None:
        self.id = ids.new_uuid()
        self.about = about
        self.began = began
        self.raw_url = exchanged.url
        self.raw_headers = exchanged.request_headers
        self.raw_body = exchanged.request_body
        self.logged: dict[str, object] = {}
        """The columns as they were written."""
        self.under_way = UnderWay()
        self.is_lost = False
        """Whether the database did not take it in after all."""

    def arrive(self) -> None:
        """See to it that the entry is there. Between `begin` and this nothing else may use the database."""
        try:
            self.under_way.end()
        except DatabaseError:
            self.is_lost = True
            log.exception("callout.log_incomplete", entry_id=str(self.id))


def begin(
    exchanged: Exchanged, about: About, *, started_at: datetime, began: float, meanwhile: bool = False
) -> OpenEntry:
    """Write that a request is about to leave. The entry is in doubt until `complete` says more.

    `began`: a reading of the monotonic clock at `started_at`. `meanwhile`: do not wait until the database has it;
    `OpenEntry.arrive` does.
    """
    entry = OpenEntry(exchanged, about, began)
    entry.logged = {
        "id": entry.id,
        **_facts(exchanged, about, Direction.OUTBOUND),
        "started_at": started_at,
        **_request_side(exchanged, _rules(about.named_credential)),
        "outcome": str(Outcome.IN_DOUBT),
    }
    with uncommitted_work.bookkeeping():
        if meanwhile:
            entry.under_way = log_rows.insert_meanwhile(entry.logged)
        else:
            log_rows.insert(entry.logged)
    return entry


def complete(
    entry: OpenEntry,
    exchanged: Exchanged,
    *,
    outcome: Outcome,
    error: BaseException | None = None,
    timing: Timing | None = None,
    settle: Callable[[uuid.UUID], None] | None = None,
    along_with: AlongWith | None = None,
) -> int:
    """Write how an exchange ended; `settle` is called with the entry's id in the transaction that says so.

    `along_with`, in place of `settle`: a change that is made together with the entry's; returned is how many rows it
    touched. When the database fails now, the answer is more worth than its entry: that stays in doubt, and nothing is
    raised.
    Without `settle` the database may write it to its disk a moment later; until then the entry is in doubt, too.
    """
    rules = _rules(entry.about.named_credential)
    code, message = _told_error(error)
    duration_ms = max(0, round((clock.monotonic_seconds() - entry.began) * 1000))
    values: dict[str, object] = {
        **_answer_side(exchanged, rules),
        "outcome": str(outcome),
        "error_code": code,
        "error_message": message,
        "duration_ms": duration_ms,
        "dns_ms": timing.dns_ms if timing else None,
        "connect_ms": timing.connect_ms if timing else None,
        "tls_ms": timing.tls_ms if timing else None,
        "first_byte_ms": timing.first_byte_ms if timing else None,
    }
    asked = (exchanged.url, exchanged.request_headers, exchanged.request_body)
    if asked != (entry.raw_url, entry.raw_headers, entry.raw_body):
        # It was redirected, or signed anew.
        values |= _request_side(exchanged, rules)
    touched = 0
    try:
        with uncommitted_work.bookkeeping(), _one_transaction(needed=settle is not None):
            if along_with is not None:
                touched = log_rows.update_along_with(entry.id, values, along_with)
            elif entry.is_lost:
                log_rows.insert({**entry.logged, **values})
            else:
                log_rows.update(entry.id, values, may_be_late=settle is None)
            if settle is not None:
                settle(entry.id)
    except DatabaseError:
        log.exception("callout.log_incomplete", entry_id=str(entry.id))
    _tell(
        entry.id, Direction.OUTBOUND, exchanged, entry.about, outcome=outcome, error_code=code, duration_ms=duration_ms
    )
    return touched


def record(
    exchanged: Exchanged,
    about: About,
    *,
    direction: Direction,
    outcome: Outcome,
    error: BaseException | None = None,
    started_at: datetime | None = None,
    duration_ms: int = 0,
    entry_id: uuid.UUID | None = None,
) -> uuid.UUID:
    """Write an exchange that is over already: one that was refused, or one that came in. Return its id.

    `started_at`: `None` means now. `entry_id`: `None` for a new one.
    """
    rules = _rules(about.named_credential)
    code, message = _told_error(error)
    entry_id = entry_id or ids.new_uuid()
    values = {
        "id": entry_id,
        **_facts(exchanged, about, direction),
        "started_at": started_at or clock.now(),
        **_request_side(exchanged, rules),
        **_answer_side(exchanged, rules),
        "outcome": str(outcome),
        "error_code": code,
        "error_message": message,
        "duration_ms": max(0, duration_ms),
    }
    with uncommitted_work.bookkeeping():
        log_rows.insert(values)
    _tell(entry_id, direction, exchanged, about, outcome=outcome, error_code=code, duration_ms=max(0, duration_ms))
    return entry_id


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """An exchange that came in and is over."""

    exchanged: Exchanged
    about: About
    outcome: Outcome
    started_at: datetime
    duration_ms: int
    correlation_id: str


def record_arrived(arrived: Sequence[Arrived]) -> None:
    """Write exchanges that came in, in one statement."""
    rows = []
    for one in arrived:
        rules = _rules(one.about.named_credential)
        values = {
            **_facts(one.exchanged, one.about, Direction.INBOUND),
            **_request_side(one.exchanged, rules),
            **_answer_side(one.exchanged, rules),
            "correlation_id": one.correlation_id[:128],
        }
        entry = IntegrationLogEntry(
            id=ids.new_uuid(),
            started_at=one.started_at,
            outcome=str(one.outcome),
            duration_ms=max(0, one.duration_ms),
            **values,
        )
        rows.append(entry)
    with uncommitted_work.bookkeeping():
        IntegrationLogEntry.objects.bulk_create(rows)
    for entry, one in zip(rows, arrived, strict=True):
        with correlation.bind(one.correlation_id):
            _tell(
                entry.pk,
                Direction.INBOUND,
                one.exchanged,
                one.about,
                outcome=one.outcome,
                error_code="",
                duration_ms=one.duration_ms,
            )


def record_unsent(
    exchanged: Exchanged,
    about: About,
    *,
    error: BaseException,
    started_at: datetime,
    began: float,
    settle: Callable[[uuid.UUID], None] | None = None,
) -> None:
    """Write that a callout never left: its credential or its signature failed. `settle` as in `complete`."""
    outcome = Outcome.REFUSED if isinstance(error, CalloutRefused) else Outcome.FAILED
    duration_ms = round((clock.monotonic_seconds() - began) * 1000)
    try:
        with _one_transaction(needed=True):
            entry_id = record(
                exchanged,
                about,
                direction=Direction.OUTBOUND,
                outcome=outcome,
                error=error,
                started_at=started_at,
                duration_ms=duration_ms,
            )
            if settle is not None:
                with uncommitted_work.bookkeeping():
                    settle(entry_id)
    except DatabaseError:
        log.exception("callout.log_incomplete", error_code=_told_error(error)[0])


def record_refusal(exchanged: Exchanged, about: About, *, error: IsthmusError) -> uuid.UUID | None:
    """Write that a callout was refused before it left; return the entry's id.

    In a transaction that is broken already nothing can be written; the refusal itself is what the caller must see.
    """
    try:
        return record(exchanged, about, direction=Direction.OUTBOUND, outcome=Outcome.REFUSED, error=error)
    except DatabaseError:
        log.exception("callout.refusal_not_logged", error_code=error.code)
        return None


def resolve(
    entry: IntegrationLogEntry, resolution: Resolution, *, note: str = "", actor: AbstractUser | None = None
) -> bool:
    """Note what a person found out about an exchange in doubt; return whether it was still unresolved."""
    with transaction.atomic():
        is_resolved = _resolved(IntegrationLogEntry.objects.filter(pk=entry.pk), resolution, note, actor)
        if is_resolved:
            audit.record(
                "callouts.entry_resolved",
                target=str(entry.pk),
                details={"resolution": str(resolution), "note": note},
                actor=actor,
            )
    return bool(is_resolved)


def resolve_queued(
    queued_callout_id: int, resolution: Resolution, *, note: str = "", actor: AbstractUser | None = None
) -> None:
    """Note what was found out about the attempts of a queued callout that are in doubt."""
    _resolved(IntegrationLogEntry.objects.of_queued_callout(queued_callout_id), resolution, note, actor)


def _resolved(entries: IntegrationLogQuerySet, resolution: Resolution, note: str, actor: AbstractUser | None) -> int:
    return entries.unresolved().update(
        resolution=resolution, resolution_note=note, resolved_at=clock.now(), resolved_by=actor
    )


def outcome_of(status_code: int | None, error: BaseException | None) -> Outcome:
    """Return how an outbound exchange ended that has this answer or raised this error."""
    if error is None:
        return Outcome.SUCCEEDED if status_code is not None and status_code < 400 else Outcome.FAILED
    if isinstance(error, CalloutRefused):
        return Outcome.REFUSED
    # Whatever else interrupts (a shutdown, a job's time limit, a bug) may have struck after the request was sent.
    return Outcome.FAILED if isinstance(error, CalloutFailed | CredentialError) else Outcome.IN_DOUBT


def _facts(exchanged: Exchanged, about: About, direction: Direction) -> dict[str, object]:
    return {
        "direction": str(direction),
        "operation": about.operation[: _LONGEST["operation"]],
        "named_credential": about.named_credential[: _LONGEST["named_credential"]],
        "principal": about.principal[: _LONGEST["principal"]],
        "user_id": about.user.pk if about.user is not None else None,
        "record_id": about.record_id[: _LONGEST["record_id"]],
        "correlation_id": correlation.current()[:128],
        # What comes in is a cause itself.
        "cause": "" if direction == Direction.INBOUND else causes.current(),
        "job_id": about.job_id,
        "invocation_id": about.invocation_id,
        "queued_callout_id": about.queued_callout_id,
        "attempt": about.attempt,
        "method": exchanged.method[: _LONGEST["method"]],
    }


def _request_side(exchanged: Exchanged, rules: Rules) -> dict[str, object]:
    also = exchanged.masked_names | rules.names if rules.names else exchanged.masked_names
    return {
        "idempotency_key": _idempotency_key(exchanged.request_headers, also),
        "url": redaction.url(exchanged.url, also=also, rules=rules),
        "request_headers": redaction.headers(exchanged.request_headers or {}, also=also, rules=rules),
        "request_body": _body(exchanged.request_body, exchanged.request_headers, rules),
    }


def _idempotency_key(headers: Mapping[str, str | bytes] | None, masked: Collection[str]) -> str:
    """Return the key of a request, by which it is found; "" without one, and where a rule masks it."""
    name = IDEMPOTENCY_KEY_HEADER.lower()
    given = next((value for each, value in (headers or {}).items() if each.lower() == name), "")
    text = given.decode("latin-1") if isinstance(given, bytes) else given
    return "" if name in masked else text.strip().strip('"')[: _LONGEST["idempotency_key"]]


def _answer_side(exchanged: Exchanged, rules: Rules) -> dict[str, object]:
    return {
        "response_headers": redaction.headers(exchanged.response_headers or {}, also=rules.names, rules=rules),
        "response_body": _body(exchanged.response_body, exchanged.response_headers, rules),
        "status_code": exchanged.status_code,
    }


def masked_value(value: Any) -> Any:
    """Return a value as JSON has it, with masked what the log would mask by name, by shape and by the rules for all."""
    rules = _rules("")
    # Paths begin at a body: that is the value itself, or one of its members.
    for root in (value, *(value.values() if isinstance(value, dict) else ())):
        rules.mask_json(root)
    return redaction.value(value, rules=rules)


def _one_transaction(*, needed: bool) -> AbstractContextManager[object]:
    # A single statement is a transaction by itself. In a caller's block a savepoint keeps its failure from theirs.
    connection = transaction.get_connection(router.db_for_write(IntegrationLogEntry))
    return transaction.atomic() if needed or connection.in_atomic_block else nullcontext()


def _rules(named_credential: str) -> Rules:
    return rules_of(named_credential, _read_rules)


def _read_rules() -> list[tuple[str, str, str]]:
    rows = RedactionRule.objects.order_by("pk").values_list("named_credential__name", "kind", "expression")
    return [(name or "", kind, expression) for name, kind, expression in rows]


def _told_error(error: BaseException | None) -> tuple[str, str]:
    if error is None:
        return "", ""
    if isinstance(error, IsthmusError):
        return error.code, redaction.text(error.message)
    # The text of an unexpected error may hold anything.
    return "UNKNOWN_EXCEPTION", type(error).__name__


def _body(
    given: bytes | str | SpooledBody | redaction.Described | None,
    headers: Mapping[str, str | bytes] | None,
    rules: Rules,
) -> str:
    if not given:
        return ""
    content_type = next((value for name, value in (headers or {}).items() if name.lower() == "content-type"), "")
    shown = content_type.decode("latin-1") if isinstance(content_type, bytes) else content_type
    described = given.described(options.log_body_bytes) if isinstance(given, SpooledBody) else given
    return redaction.body(described, shown, at_most_bytes=options.log_body_bytes, rules=rules)


def _tell(
    entry_id: uuid.UUID,
    direction: Direction,
    exchanged: Exchanged,
    about: About,
    *,
    outcome: Outcome,
    error_code: str,
    duration_ms: int,
) -> None:
    log.info(
        "integration.exchange",
        entry_id=str(entry_id),
        direction=str(direction),
        method=exchanged.method,
        named_credential=about.named_credential,
        operation=about.operation,
        outcome=str(outcome),
        status_code=exchanged.status_code,
        error_code=error_code,
        duration_ms=duration_ms,
    )
