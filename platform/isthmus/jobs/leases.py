"""One leader where one is needed. A lease ends by itself; its fencing token unmasks whoever did not notice."""

from datetime import timedelta

from django.db.models import F, QuerySet

from isthmus import clock
from isthmus.jobs.errors import LeaseLost
from isthmus.jobs.models import Lease

__all__ = ["acquire", "confirm", "release", "renew"]


def acquire(name: str, holder: str, ttl: timedelta) -> Lease | None:
    """Take the lease if it is free, expired, or `holder`'s own; `None` while somebody else has it.

    Each success has a greater fencing token than any before: what an older holder still writes can be told apart.
    `holder` is unique for each process, such as `isthmus.jobs.processes.new_name()`.
    """
    now = clock.now()
    lease = Lease.objects.filter(name=name).first()
    if lease is None:
        # Two may insert at once; the unique name lets one through, and the update below decides.
        Lease.objects.bulk_create([Lease(name=name, expires_at=now)], ignore_conflicts=True)
        lease = Lease.objects.get(name=name)
    if lease.expires_at > now and lease.holder != holder:
        return None
    token, expires_at = lease.fencing_token + 1, now + ttl
    unchanged = Lease.objects.filter(pk=lease.pk, fencing_token=lease.fencing_token, expires_at=lease.expires_at)
    if not unchanged.update(holder=holder, fencing_token=token, expires_at=expires_at):
        return None
    lease.holder, lease.fencing_token, lease.expires_at = holder, token, expires_at
    return lease


def renew(lease: Lease, ttl: timedelta) -> bool:
    """Keep the lease for `ttl` from now. Return False when somebody else took it meanwhile."""
    expires_at = clock.now() + ttl
    if not _held(lease).update(expires_at=expires_at):
        return False
    lease.expires_at = expires_at
    return True


def confirm(lease: Lease) -> None:
    """In a transaction: make sure that nobody takes the lease before the commit. Raises `LeaseLost`.

    The row stays locked until the transaction ends, so the effects of an older holder cannot commit later.
    """
    if not _held(lease).update(fencing_token=F("fencing_token")):
        raise LeaseLost


def release(lease: Lease) -> None:
    """Let others take it at once; nothing happens if it is lost already."""
    _held(lease).update(holder="", expires_at=clock.now())


def _held(lease: Lease) -> "QuerySet[Lease]":
    return Lease.objects.filter(pk=lease.pk, holder=lease.holder, fencing_token=lease.fencing_token)
