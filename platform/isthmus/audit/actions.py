"""Writes the audit trail."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models, transaction

from isthmus import clock, correlation
from isthmus.audit.chain import GENESIS, Verdict, hash_of, head_seal, verify
from isthmus.audit.context import current_actor
from isthmus.audit.errors import DetailsRefused
from isthmus.audit.models import AuditChain, AuditEntry, AuditOutcome
from isthmus.audit.registry import get_action
from isthmus.logs import get_logger
from isthmus.vault.secret import Secret

__all__ = ["check_chain", "record", "shorten"]

log = get_logger(__name__)

_MOST_DETAILS = 20_000


def record(
    action: str,
    *,
    target: str = "",
    outcome: AuditOutcome | str = AuditOutcome.DONE,
    details: Mapping[str, Any] | None = None,
    actor: AbstractUser | None = None,
) -> AuditEntry:
    """Add an entry, in the caller's transaction: it is there exactly if what it tells of is.

    `actor`: `None` means who is acting now, or else the platform. Raises `UnknownAction` or `DetailsRefused`.
    """
    get_action(action)
    who = actor or current_actor()
    with transaction.atomic():
        chain = _locked_chain()
        entry = AuditEntry(
            sequence=chain.head_sequence + 1,
            occurred_at=clock.now(),
            action=action,
            outcome=AuditOutcome(outcome),
            actor=who.get_username() if who else "",
            actor_id=str(who.pk) if who else "",
            target=target[:255],
            correlation_id=correlation.current()[:128],
            details=_cleaned(details or {}),
            previous_hash=chain.head_hash or GENESIS,
        )
        entry.entry_hash = hash_of(entry)
        entry.save()
        chain.head_sequence, chain.head_hash = entry.sequence, entry.entry_hash
        chain.head_seal = head_seal(chain.head_sequence, chain.head_hash, chain.kept_from)
        chain.save(update_fields=["head_sequence", "head_hash", "head_seal"])
    log.info("audit.recorded", action=action, target=target, outcome=str(entry.outcome), actor=entry.actor)
    return entry


def check_chain() -> Verdict:
    """Verify the whole chain and note how far it holds."""
    chain = AuditChain.objects.first() or AuditChain()
    entries = AuditEntry.objects.filter(sequence__lte=chain.head_sequence).order_by("sequence")
    verdict = verify(entries.iterator(chunk_size=2_000), chain)
    if verdict.broken_at is None and AuditEntry.objects.filter(sequence__gt=chain.head_sequence).exists():
        fresh = AuditChain.objects.first()
        # Entries that came since are no fault; entries beyond the head are.
        if fresh is not None and fresh.head_sequence == chain.head_sequence:
            verdict = Verdict(
                entries=verdict.entries, broken_at=chain.head_sequence + 1, reason="There are entries after the head."
            )
    if verdict.broken_at is None:
        AuditChain.objects.filter(pk=chain.pk).update(verified_sequence=chain.head_sequence, verified_at=clock.now())
    else:
        log.error("audit.chain_broken", sequence=verdict.broken_at, reason=verdict.reason)
    return verdict


def shorten(*, keep_from: int) -> int:
    """Remove the entries before the place `keep_from`; return how many. What is kept goes on to be verifiable.

    The trail itself tells: an entry names the last hash that was removed. Nothing beyond the verified part goes.
    """
    with transaction.atomic():
        chain = _locked_chain()
        last = min(keep_from, chain.verified_sequence + 1)
        removed = AuditEntry.objects.filter(sequence__lt=last).order_by("-sequence").first()
        if removed is None:
            return 0
        facts = {"removed_up_to": removed.sequence, "hash": removed.entry_hash}
        chain.kept_from = last
        chain.head_seal = head_seal(chain.head_sequence, chain.head_hash, chain.kept_from)
        chain.save(update_fields=["kept_from", "head_seal"])
        # Past the model's own refusal; the triggers let go what lies before `kept_from`.
        count = models.QuerySet(AuditEntry).filter(sequence__lt=last).delete()[0]
    record("audit.checkpoint", details={**facts, "entries": count})
    return count


def _locked_chain() -> AuditChain:
    """Return the head, held until the transaction ends: entries are numbered one after another."""
    found = AuditChain.objects.select_for_update().filter(pk=1).first()
    if found is None:
        AuditChain.objects.get_or_create(pk=1)
        found = AuditChain.objects.select_for_update().get(pk=1)
    return found


def _cleaned(details: Mapping[str, Any]) -> dict[str, Any]:
    _refuse_secrets(details)
    try:
        text = json.dumps(details, ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DetailsRefused(f"The details of an audit entry are JSON ({type(error).__name__}).") from None
    if len(text) > _MOST_DETAILS:
        raise DetailsRefused(f"The details of an audit entry are longer than {_MOST_DETAILS:,} characters.")
    cleaned: dict[str, Any] = json.loads(text)
    return cleaned


def _refuse_secrets(value: Any) -> None:
    if isinstance(value, Secret):
        raise DetailsRefused("The details of an audit entry hold a secret.")
    if isinstance(value, Mapping):
        for each in value.values():
            _refuse_secrets(each)
    elif isinstance(value, list | tuple | set):
        for each in value:
            _refuse_secrets(each)
