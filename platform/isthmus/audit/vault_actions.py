"""Records what the vault, which stands below, tells by signals."""

from typing import Any

from isthmus.audit import actions as audit
from isthmus.vault.signals import key_made, keys_rotated

__all__ = ["connect"]


def connect() -> None:
    """Listen; called once, when the app is ready."""
    key_made.connect(_note_key, dispatch_uid="isthmus.audit")
    keys_rotated.connect(_note_rotation, dispatch_uid="isthmus.audit")


def _note_key(sender: Any, key_id: str, provider: str, **_: Any) -> None:
    audit.record("vault.key_made", target=key_id, details={"provider": provider})


def _note_rotation(sender: Any, primary: str, resealed: dict[str, int], broken: int, **_: Any) -> None:
    outcome = "failed" if broken else "done"
    audit.record("vault.rotated", target=primary, outcome=outcome, details={"resealed": resealed, "broken": broken})
