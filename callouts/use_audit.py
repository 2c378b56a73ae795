"""Writes into the audit trail who used which credential.

A callout writes one row already: its entry of the integration log, which names principal, user and outcome. Writing a
chained entry as well would put all callouts in line behind one another. So this job reads the log every few minutes and
chains one entry for each credential, principal, user and outcome, with the number of exchanges and a digest over them:
what was in the log then can be proved later, also after the log itself was trimmed.
"""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

from django.db import transaction

from callouts.models import Direction, IntegrationLogEntry, Outcome
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.audit.models import AuditEntry, AuditOutcome
from isthmus.jobs import queueable

__all__ = ["audit_uses", "chain_uses"]

_SETTLED = timedelta(minutes=3)
"""No callout takes longer, so by then each entry says how it ended, or never will."""
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_ACTIONS = ("credentials.used", "credentials.refused")
_OUTCOMES = {
    Outcome.SUCCEEDED: AuditOutcome.DONE,
    Outcome.FAILED: AuditOutcome.FAILED,
    Outcome.IN_DOUBT: AuditOutcome.FAILED,
    Outcome.REFUSED: AuditOutcome.REFUSED,
}
_Row = tuple[str, str, str | None, str, str, datetime]


@queueable(kind="Audit")
def audit_uses() -> int:
    """Chain what was used since the last time; return how many entries that made."""
    return chain_uses(until=clock.now() - _SETTLED)


def chain_uses(*, until: datetime) -> int:
    """Chain the uses from where the last run ended up to `until`, all of them or none; it may run at any time again."""
    with transaction.atomic():
        since = _ended_at()
        made = 0
        for key, rows in groupby(_uses(since, until), key=lambda row: row[:4]):
            _chain(key, list(rows), until)
            made += 1
    return made


def _ended_at() -> datetime:
    last = AuditEntry.objects.filter(action__in=_ACTIONS).order_by("-sequence").first()
    return datetime.fromisoformat(last.details["until"]) if last else _BEGINNING


def _uses(since: datetime, until: datetime) -> Iterator[_Row]:
    rows = IntegrationLogEntry.objects.filter(
        direction=Direction.OUTBOUND, started_at__gte=since, started_at__lt=until
    ).exclude(named_credential="")
    order = ("named_credential", "principal", "user__username", "outcome", "id")
    named = rows.order_by(*order).values_list(*order, "started_at")
    for credential, principal, username, outcome, identity, started_at in named.iterator(chunk_size=2_000):
        yield credential, principal, username, outcome, str(identity), started_at


def _chain(key: Iterable[str | None], rows: list[_Row], until: datetime) -> None:
    credential, principal, username, outcome = key
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\0".join(str(part) for part in row).encode())
    audit.record(
        "credentials.refused" if outcome == Outcome.REFUSED else "credentials.used",
        target=str(credential),
        outcome=_OUTCOMES[Outcome(str(outcome))],
        details={
            "principal": principal,
            "user": username or "",
            "exchanges": len(rows),
            "outcome": outcome,
            "first": min(row[5] for row in rows).isoformat(),
            "last": max(row[5] for row in rows).isoformat(),
            "until": until.isoformat(),
            "digest": digest.hexdigest(),
        },
    )
