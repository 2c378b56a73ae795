"""The hash chain: each entry's hash covers its content and the hash before it, under a key that the database has not.

Whoever can write to the tables can thus neither change, insert, remove nor reorder entries unseen; the sealed head
shows a tail that was cut off. What is not shown: setting the whole database back to an earlier backup. For that,
`audit export` writes the head down elsewhere.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC
from functools import partial

from django.conf import settings

from isthmus.audit.models import AuditChain, AuditEntry

__all__ = ["GENESIS", "Verdict", "hash_of", "head_seal", "verify"]

GENESIS = "0" * 64
_PURPOSE = b"isthmus.audit:"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What verifying found."""

    entries: int
    """How many entries were looked at."""
    broken_at: int | None = None
    """The first place at which the chain does not hold; `None` when it holds."""
    reason: str = ""


def hash_of(entry: AuditEntry, *, secret: str | None = None) -> str:
    """Return the hash of an entry; `secret` is the signing key, `None` for the present one."""
    content = {
        "sequence": entry.sequence,
        "occurred_at": entry.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": entry.action,
        "outcome": str(entry.outcome),
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "target": entry.target,
        "correlation_id": entry.correlation_id,
        "details": entry.details,
        "previous_hash": entry.previous_hash,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return _mac(canonical, secret or settings.SECRET_KEY)


def head_seal(sequence: int, entry_hash: str, kept_from: int, *, secret: str | None = None) -> str:
    """Return the seal of a chain that ends at `sequence` and begins at `kept_from`."""
    return _mac(f"head {sequence} {entry_hash} {kept_from}", secret or settings.SECRET_KEY)


def verify(entries: Iterable[AuditEntry], chain: AuditChain, *, first_previous: str | None = None) -> Verdict:
    """Return whether the entries, in order, are all there and as they were written.

    `first_previous`: the hash before the first entry, `None` where the chain was shortened and it is not known.
    """
    count = 0
    expected = chain.kept_from
    previous = GENESIS if chain.kept_from == 1 else first_previous
    for entry in entries:
        if entry.sequence != expected:
            return Verdict(entries=count, broken_at=expected, reason="An entry is missing or was put in.")
        if previous is not None and entry.previous_hash != previous:
            return Verdict(entries=count, broken_at=expected, reason="It does not follow the entry before it.")
        if not _is_by_us(entry.entry_hash, partial(_hash_with, entry)):
            return Verdict(entries=count, broken_at=expected, reason="It was changed.")
        previous = entry.entry_hash
        expected += 1
        count += 1
    return _end(chain, count, expected - 1, previous)


def _end(chain: AuditChain, count: int, last: int, last_hash: str | None) -> Verdict:
    if last != chain.head_sequence or (last_hash not in {None, chain.head_hash} and chain.head_sequence):
        return Verdict(entries=count, broken_at=last + 1, reason="The end of the chain was cut off.")
    if chain.head_sequence and not _is_by_us(
        chain.head_seal,
        lambda secret: head_seal(chain.head_sequence, chain.head_hash, chain.kept_from, secret=secret),
    ):
        return Verdict(entries=count, broken_at=last, reason="The head of the chain was set by somebody else.")
    return Verdict(entries=count)


def _is_by_us(given: str, compute: Callable[[str], str]) -> bool:
    """Return whether one of our keys, the present one or one kept for what is older, made it."""
    return any(
        hmac.compare_digest(given, compute(secret)) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def _hash_with(entry: AuditEntry, secret: str) -> str:
    return hash_of(entry, secret=secret)


def _mac(text: str, secret: str) -> str:
    key = hashlib.sha256(_PURPOSE + secret.encode()).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
