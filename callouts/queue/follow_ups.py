"""What code does when it is known what became of a queued callout."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from callouts.queue.models import QueuedCallout
from callouts.queue.states import NOT_ENDED, QueueState
from isthmus.jobs import registry
from isthmus.jobs.actions import enqueue_function
from isthmus.jobs.queueables import queueable

__all__ = ["CalloutOutcome", "call", "follow_up", "outcome_of"]


@dataclass(frozen=True, kw_only=True)
class CalloutOutcome:
    """What became of a queued callout."""

    id: int
    operation: str
    named_credential: str
    record_id: str
    state: str
    """A value of `QueueState`."""
    reason: str
    status_code: int | None
    """Of the latest answer; `None` when none came, or when a person said that the other side acted."""
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    idempotency_key: str
    context: Any
    """What was given to `enqueue`."""

    @property
    def text(self) -> str:
        """The answer's body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the answer's body as JSON. Raises `ValueError`."""
        return json.loads(self.body)


def outcome_of(row: QueuedCallout) -> CalloutOutcome:
    """Return what functions are told of a row as it stands."""
    return CalloutOutcome(
        id=row.pk,
        operation=row.operation,
        named_credential=row.named_credential,
        record_id=row.record_id,
        state=row.state,
        reason=row.reason,
        status_code=row.status_code,
        headers=dict(row.answer_headers),
        body=bytes(row.answer_body),
        idempotency_key=row.idempotency_key,
        context=row.context,
    )


def follow_up(row: QueuedCallout, state: QueueState) -> None:
    """Enqueue, in the caller's transaction, what is to follow a callout that has come to `state`."""
    if row.chunk_id and state not in NOT_ENDED:
        _enqueue("callouts.queue.batches.look_at_chunk", row, {"queued_callout": row.pk, "state": str(state)})
    name = ""
    if state == QueueState.SUCCEEDED:
        name = row.on_success
    elif state in {QueueState.FAILED, QueueState.STOPPED, QueueState.CANCELLED}:
        name = row.on_failure
    elif state == QueueState.IN_DOUBT and row.probe:
        _enqueue(ask_probe, row, {"queued_callout": row.pk, "fencing_token": row.fencing_token})
        return
    if name:
        _enqueue(call, row, {"queued_callout": row.pk, "function": name, "state": str(state)})


def _enqueue(function: Any, row: QueuedCallout, arguments: dict[str, object]) -> None:
    subject = ("record", row.record_id) if row.record_id else ("callout", str(row.pk))
    enqueue_function(function, arguments, user=row.user, subject=subject)


@queueable(max_attempts=5, retry_delays=(1, 10, 60, 300), atomic=True, kind="Callout")
def call(queued_callout: int, function: str, state: str) -> None:
    """Call what `callouts.enqueue` was given: its effects and the end of this job commit together."""
    row = QueuedCallout.objects.get(pk=queued_callout)
    # By now somebody may have sent it again: what is told is what this is about.
    registry.find(function).function(outcome=replace(outcome_of(row), state=state))
    QueuedCallout.objects.filter(pk=row.pk).update(answer_body=b"")


@queueable(max_attempts=5, retry_delays=(5, 30, 300, 1800), kind="Callout")
def ask_probe(queued_callout: int, fencing_token: int) -> dict[str, object]:
    """Ask the other side, by the probe that was declared, whether it acted on a callout in doubt."""
    from callouts.queue import decisions

    row = QueuedCallout.objects.get(pk=queued_callout)
    if row.state != QueueState.IN_DOUBT or row.fencing_token != fencing_token:
        return {"acted": None, "decided": False}
    found = registry.find(row.probe).function(outcome=outcome_of(row))
    if found is None:
        return {"acted": None, "decided": False}
    return {"acted": bool(found), "decided": decisions.by_probe(row, acted=bool(found))}
