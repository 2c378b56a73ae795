"""Entries that business code adds to the integration log: what it did with another system by other means.

    from callouts import log

    log.failure("Warehouse", "Import stock", "Line 7 has no article number", payload=line, record=order)

A file that came by SFTP, a message on a bus, a batch that was read: they stand beside the callouts, are found by record
and correlation, and are kept and masked like those.
"""

import json
import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Model

from callouts import integration_log
from callouts.integration_log import About, Exchanged
from callouts.models import Direction, Outcome
from callouts.records import record_id_of
from isthmus.errors import IsthmusError
from isthmus.objects.capture import acting_user

__all__ = ["failure", "success"]


class _Noted(IsthmusError):
    """Code said that it failed."""

    code = "NOTED_FAILURE"


def failure(
    system: str,
    operation: str,
    message: str,
    payload: Any = None,
    record: str | Model | None = None,
    *,
    user: AbstractUser | None = None,
) -> uuid.UUID:
    """Note in the caller's transaction that something with `system` failed; return the entry's id.

    `message` says why, for people. `payload` is what it was about: text, bytes, or what JSON can hold. Secrets are
    masked by the same rules as in callouts. `user`: `None` means who acts here.
    """
    return _note(system, operation, payload, record, user, outcome=Outcome.FAILED, error=_Noted(message or operation))


def success(
    system: str,
    operation: str,
    payload: Any = None,
    record: str | Model | None = None,
    *,
    user: AbstractUser | None = None,
) -> uuid.UUID:
    """Note in the caller's transaction that something with `system` went well; return the entry's id. See `failure`."""
    return _note(system, operation, payload, record, user, outcome=Outcome.SUCCEEDED, error=None)


def _note(
    system: str,
    operation: str,
    payload: Any,
    record: str | Model | None,
    user: AbstractUser | None,
    *,
    outcome: Outcome,
    error: IsthmusError | None,
) -> uuid.UUID:
    is_text = isinstance(payload, str | bytes)
    body = payload if is_text or payload is None else json.dumps(payload, default=str, ensure_ascii=False)
    headers = {} if is_text or payload is None else {"Content-Type": "application/json"}
    return integration_log.record(
        Exchanged(method="", url=system, request_headers=headers, request_body=body),
        About(operation=operation, named_credential=system, user=user or acting_user(), record_id=record_id_of(record)),
        direction=Direction.NOTED,
        outcome=outcome,
        error=error,
    )
