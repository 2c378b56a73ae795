"""Recognises a wrong key before it is used: each key id keeps a known text that only the right key opens."""

from django.db import DatabaseError, connection
from django.views.decorators.debug import sensitive_variables

from isthmus.vault.errors import SealBroken, WrongKey
from isthmus.vault.keys_in_use import key_ring
from isthmus.vault.models import KeyCheck

__all__ = ["refuse_wrong_keys"]

_TEXT = "isthmus key check"


@sensitive_variables()
def refuse_wrong_keys() -> None:
    """Raise `WrongKey` when a key of the ring is not the one that its id stood for; remember ids met first now.

    Called where a process starts to serve. Before the first migration there is nothing to compare with.
    """
    if not _is_migrated():
        return
    ring = key_ring()
    known = dict(KeyCheck.objects.values_list("key_id", "sealed_check"))
    for key_id in ring.key_ids:
        if key_id not in known:
            sealed = ring.seal_with(key_id, _TEXT, context=_place(key_id))
            # Two processes may meet a new key at once: the first row stands, and both are held against it.
            kept, _ = KeyCheck.objects.get_or_create(key_id=key_id, defaults={"sealed_check": sealed})
            known[key_id] = kept.sealed_check
        try:
            ring.open_sealed(known[key_id], context=_place(key_id))
        except SealBroken:
            raise WrongKey(
                f"The encryption key under the id {key_id} is not the one that sealed the secrets. "
                "Put the right key back, or give the new one an id of its own."
            ) from None


def _place(key_id: str) -> str:
    return f"vault.keycheck:{key_id}"


def _is_migrated() -> bool:
    try:
        return KeyCheck._meta.db_table in connection.introspection.table_names()
    except DatabaseError:
        return False
