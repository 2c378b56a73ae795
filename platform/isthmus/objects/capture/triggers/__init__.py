"""Capture by the database itself: triggers note every change of a tracked table, whoever makes it.

A trigger writes one row a changed record to `RawChange`, in the transaction of the change: old and new values as the
columns hold them, the transaction, and what `context.py` tells. Nothing is interpreted there; `shaping.py` does that
later, in the relay. What is written past the ORM, by cascades of the database or by `COPY`, is noted as well.
"""

from isthmus.objects.capture.triggers.installing import (
    install_triggers,
    missing_triggers,
    note_snapshot,
    prepare_for_migration,
    synchronise_triggers,
)

__all__ = ["install_triggers", "missing_triggers", "note_snapshot", "prepare_for_migration", "synchronise_triggers"]
