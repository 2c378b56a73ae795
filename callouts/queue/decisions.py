"""What people decide about queued callouts: send again, edit, cancel, say what became of one. Each is audited."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from callouts import requesting
from callouts.conf import options
from callouts.integration_log import resolve_queued
from callouts.models import Resolution
from callouts.queue import transitions
from callouts.queue.errors import QueueRefused
from callouts.queue.follow_ups import follow_up
from callouts.queue.models import QueuedCallout
from callouts.queue.querysets import QueuedCalloutQuerySet
from callouts.queue.states import QueueState
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.jobs import current_job, queueable
from isthmus.jobs.actions import enqueue_function
from isthmus.jobs.models import Job

__all__ = [
    "by_probe",
    "cancel",
    "cancel_many",
    "did_act",
    "did_not_act",
    "edit_and_resend",
    "recover",
    "resend",
    "resend_many",
]

_LISTED = 500


def resend(row: QueuedCallout, actor: AbstractUser | None = None) -> None:
    """Send one that failed, was stopped, is held or was a dry run, as it is. Raises `QueueRefused`.

    One in doubt needs to be decided: see `did_act` and `did_not_act`.
    """
    if row.state == QueueState.IN_DOUBT:
        raise QueueRefused("It is in doubt: say first whether the other side acted.")
    with transaction.atomic():
        if not transitions.resend(row, _by("Sent again", actor)):
            raise QueueRefused(f"It is {row.get_state_display().lower()}; nothing is to be sent again.")
        _audit("resent", row, actor)


def edit_and_resend(
    row: QueuedCallout,
    actor: AbstractUser | None = None,
    *,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
) -> QueuedCallout:
    """Send one that failed or was stopped with other words; return the new callout.

    What was asked for stays as it was, cancelled: who changed what is to be seen for ever. The new one has a key of its
    own where the old one had one, for the other side may have kept its answer to that. Raises `QueueRefused`,
    `InvalidCallout` and `BodyTooLarge`.
    """
    name, rest = requesting.parse_callout_url(url)
    if name != row.named_credential:
        raise QueueRefused("An edited callout goes to the same named credential.")
    prepared = requesting.prepare(
        row.method, f"http://queued.invalid{rest}", params=None, json=None, data=body or None, headers=headers,
        idempotency_key=None, max_body_bytes=options.max_body_bytes_in_jobs,
    )  # fmt: skip
    query = (prepared.url or "").partition("?")[2]
    with transaction.atomic():
        before = QueuedCallout.objects.select_for_update().get(pk=row.pk)
        if before.state not in {QueueState.FAILED, QueueState.STOPPED}:
            raise QueueRefused(f"It is {before.get_state_display().lower()}; only what failed can be edited.")
        edited = QueuedCallout.objects.get(pk=row.pk)
        edited.pk = None
        edited.url = f"{url.partition('?')[0]}{'?' if query else ''}{query}"
        edited.headers, edited.body = dict(headers), body
        edited.state, edited.reason = QueueState.WAITING, _by(f"Edited from #{before.pk}", actor)
        edited.idempotency_key = f"{before.idempotency_key[:200]}-edited-{before.pk}" if before.idempotency_key else ""
        edited.attempts = edited.tries = edited.worker_deaths = edited.fencing_token = 0
        edited.status_code, edited.answer_headers, edited.answer_body = None, {}, b""
        edited.edited_from = before
        edited.created_at = edited.due_at = clock.now()
        edited.ended_at = None
        edited.save(force_insert=True)
        transitions.cancel(before, _by(f"Replaced by #{edited.pk}", actor))
        changed = [
            part
            for part, old, new in (
                ("url", before.url, edited.url),
                ("headers", before.headers, edited.headers),
                ("body", bytes(before.body), body),
            )
            if old != new
        ]
        _audit("edited", before, actor, replaced_by=edited.pk, changed=changed)
    return edited


def did_act(row: QueuedCallout, actor: AbstractUser | None = None, note: str = "") -> None:
    """Say of one in doubt that the other side acted: it counts as succeeded. Raises `QueueRefused`."""
    with transaction.atomic():
        if not transitions.acted(row, _by("The other side acted", actor, note)):
            raise QueueRefused("It is not in doubt.")
        resolve_queued(row.pk, Resolution.ACTED, note=note, actor=actor)
        follow_up(row, QueueState.SUCCEEDED)
        _audit("decided", row, actor, acted=True, note=note)


def did_not_act(row: QueuedCallout, actor: AbstractUser | None = None, note: str = "") -> None:
    """Say of one in doubt that the other side did not act: it is sent again. Raises `QueueRefused`."""
    with transaction.atomic():
        if row.state != QueueState.IN_DOUBT or not transitions.resend(row, _by("It did not act", actor, note)):
            raise QueueRefused("It is not in doubt.")
        resolve_queued(row.pk, Resolution.NOT_ACTED, note=note, actor=actor)
        _audit("decided", row, actor, acted=False, note=note)


def by_probe(row: QueuedCallout, *, acted: bool) -> bool:
    """Take over what a declared probe found out; return whether the callout was still in doubt."""
    with transaction.atomic():
        if not acted:
            is_decided = transitions.again(row, "Its probe found that the other side did not act.", due_at=clock.now())
        else:
            is_decided = transitions.acted(row, "Its probe found that the other side acted.")
            if is_decided:
                follow_up(row, QueueState.SUCCEEDED)
        if is_decided:
            resolve_queued(row.pk, Resolution.ACTED if acted else Resolution.NOT_ACTED, note="Its probe said so.")
            _audit("decided", row, None, acted=acted, note="by its probe")
    return is_decided


def cancel(row: QueuedCallout, actor: AbstractUser | None = None, reason: str = "") -> None:
    """Give up one that is not under way. Raises `QueueRefused`."""
    with transaction.atomic():
        if not transitions.cancel(row, _by("Cancelled", actor, reason)):
            raise QueueRefused("It is under way or over; it cannot be cancelled.")
        follow_up(row, QueueState.CANCELLED)
        _audit("cancelled", row, actor, reason=reason)


def recover(
    since: datetime,
    actor: AbstractUser | None = None,
    *,
    named_credential: str = "",
    operation: str = "",
    expected: int | None = None,
) -> Job:
    """Send again what failed at `since` or later, in a job that can be aborted; return the job.

    "" means any. `expected` is the number that somebody was shown; if there are more by now, it is refused.
    Raises `QueueRefused`.
    """
    until = clock.now()
    found = QueuedCallout.objects.failed_since(since, named_credential=named_credential, operation=operation)
    number = found.filter(ended_at__lte=until).count()
    if expected is not None and number > expected:
        raise QueueRefused(f"By now {number} callouts failed, not {expected}: look again.")
    with transaction.atomic():
        job = enqueue_function(
            resend_many,
            {
                "since": since.isoformat(),
                "until": until.isoformat(),
                "named_credential": named_credential,
                "operation": operation,
                "actor": actor.pk if actor is not None else None,
            },
            user=actor,
        )
        audit.record(
            "callouts.recovery_asked",
            target=named_credential,
            details={"since": since.isoformat(), "operation": operation, "callouts": number, "job": str(job.pk)},
            actor=actor,
        )
    return job


@queueable(max_attempts=3, kind="Callout", time_limit_seconds=3_600)
def resend_many(since: str, until: str, named_credential: str, operation: str, actor: int | None) -> dict[str, object]:
    """Send again what failed in a span of time, one after the other, until it is done or aborted."""
    handle = current_job()
    by = get_user_model().objects.filter(pk=actor).first() if actor is not None else None
    found = QueuedCallout.objects.failed_since(
        datetime.fromisoformat(since), named_credential=named_credential, operation=operation
    ).filter(ended_at__lte=datetime.fromisoformat(until))
    total, sent = found.count(), 0
    for row in _each(found):
        handle.checkpoint()
        try:
            resend(row, by)
            sent += 1
        except QueueRefused:
            # Somebody else decided about it meanwhile.
            continue
        handle.progress(sent, total)
    return {"sent_again": sent}


def cancel_many(found: QueuedCalloutQuerySet, actor: AbstractUser | None = None, reason: str = "") -> int:
    """Give up those that are not under way; return how many."""
    cancelled = 0
    for row in _each(found):
        try:
            cancel(row, actor, reason)
        except QueueRefused:
            continue
        cancelled += 1
    return cancelled


def _each(found: QueuedCalloutQuerySet) -> Iterator[QueuedCallout]:
    after = 0
    while rows := list(found.filter(pk__gt=after).order_by("pk").defer("body", "answer_body")[:_LISTED]):
        yield from rows
        after = rows[-1].pk


def _by(what: str, actor: AbstractUser | None, note: str = "") -> str:
    who = f" by {actor.get_username()}" if actor is not None else ""
    return f"{what}{who}{f': {note}' if note else '.'}"


def _audit(what: str, row: QueuedCallout, actor: AbstractUser | None, **details: object) -> None:
    audit.record(f"callouts.{what}", target=str(row), details={**row.as_dict(), **details}, actor=actor)
