"""What a process has just read about a credential, so that a burst of callouts reads it once.

A change made elsewhere is felt when the entry is too old; a change made here empties the memory at once. Inside a
transaction nothing is remembered: what it sees may never be committed.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractUser
from django.db import transaction
from django.db.models.signals import post_delete, post_save

from credentials.conf import options
from isthmus import clock
from isthmus.access.policy import system_user

if TYPE_CHECKING:
    from credentials.resolver import ResolvedCredential
    from isthmus.access.policy import AnyUser

__all__ = ["automated_process", "connect", "forget", "recalled"]

_MOST = 1_000
_Key = tuple[str, int | None, bool, bool]

_lock = threading.Lock()
_entries: "OrderedDict[_Key, tuple[float, ResolvedCredential]]" = OrderedDict()
_process: tuple[float, AbstractUser] | None = None


def recalled(name: str, user: "AnyUser", read: "Callable[[], ResolvedCredential]") -> "ResolvedCredential":
    """Return what was read for this credential and user a moment ago, or else read it.

    Refusals are never remembered.
    """
    seconds = options.resolution_seconds
    if not seconds:
        return read()
    key = _key(name, user)
    now = clock.monotonic_seconds()
    found = _entries.get(key)
    if found is not None and now - found[0] < seconds:
        return found[1]
    resolved = read()
    if not _is_in_transaction():
        with _lock:
            _entries[key] = (now, resolved)
            _entries.move_to_end(key)
            if len(_entries) > _MOST:
                _entries.popitem(last=False)
    return resolved


def automated_process() -> AbstractUser:
    """Return the user that the platform itself acts as, read at most as often as a credential."""
    global _process
    now, found = clock.monotonic_seconds(), _process
    if found is not None and 0 <= now - found[0] < options.resolution_seconds:
        return found[1]
    user = system_user()
    if options.resolution_seconds and not _is_in_transaction():
        _process = (now, user)
    return user


def forget(**_: Any) -> None:
    """Forget everything."""
    global _process
    with _lock:
        _entries.clear()
        _process = None


def connect(*models: type) -> None:
    """Forget everything whenever a row of these models is written through the ORM."""
    for model in models:
        for signal in (post_save, post_delete):
            signal.connect(_after_change, sender=model, dispatch_uid=f"credentials.recent.{model.__name__}")


def _after_change(using: str, **_: Any) -> None:
    forget()
    # What another thread read meanwhile is from before the commit.
    transaction.on_commit(forget, using=using)


def _key(name: str, user: "AnyUser") -> _Key:
    if not isinstance(user, AbstractUser):
        return name, None, False, False
    return name, user.pk, user.is_active, user.is_superuser


def _is_in_transaction() -> bool:
    return bool(transaction.get_connection().in_atomic_block)
