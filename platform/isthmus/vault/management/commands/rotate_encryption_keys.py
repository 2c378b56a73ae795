"""`manage.py rotate_encryption_keys`: put a new key first in ISTHMUS_ENCRYPTION_KEYS, restart, then run this."""

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from isthmus.vault import actions
from isthmus.vault.errors import KeysMalformed
from isthmus.vault.keyring import key_ring
from isthmus.vault.registry import encrypted_columns

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Seals every secret again with the first key of ISTHMUS_ENCRYPTION_KEYS and verifies that all of them open. "
        "May run while the platform works, be stopped at any moment and be started again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--verify-only", action="store_true", help="Open everything, change nothing.")
        parser.add_argument("--batch-size", type=int, default=200, help="Rows a transaction (default 200).")

    def handle(self, *, verify_only: bool, batch_size: int, **options: Any) -> None:
        if batch_size < 1:
            raise CommandError("--batch-size must be at least 1.")
        try:
            ring = key_ring()
        except KeysMalformed as error:
            raise CommandError(error.message) from error
        in_use: Counter[str] = Counter()
        broken = 0
        for column in encrypted_columns():
            resealed = 0 if verify_only else actions.rotate(column, batch_size=batch_size).resealed
            found = actions.verify(column)
            in_use += found.keys
            broken += len(found.broken)
            self._tell(found, resealed)
        self.stdout.write(f"Keys in use: {', '.join(sorted(in_use)) or 'none'}. Primary key: {ring.primary_id}.")
        if broken:
            raise CommandError(
                f"{broken} secrets do not open. Put back the key they were sealed with, or enter them again."
            )

    def _tell(self, found: actions.ColumnReport, resealed: int) -> None:
        by_key = ", ".join(f"{count} under {key_id}" for key_id, count in sorted(found.keys.items())) or "none"
        self.stdout.write(f"{found.label}: {resealed} sealed again; opened: {by_key}; broken: {len(found.broken)}")
        for primary_key in found.broken[:_SHOWN]:
            self.stderr.write(f"  does not open: {found.label} of {primary_key}")
