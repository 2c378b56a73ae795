"""`manage.py encryption_key new|rotate|verify|status`: the keys that secrets are sealed with."""

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from isthmus.vault import actions
from isthmus.vault.errors import VaultError
from isthmus.vault.key_checks import refuse_wrong_keys
from isthmus.vault.keys_in_use import key_ring
from isthmus.vault.providers import key_provider
from isthmus.vault.registry import encrypted_columns
from isthmus.vault.signals import key_made, keys_rotated

_SHOWN = 20
_BAR = 30


class Command(BaseCommand):
    """Makes keys, seals everything with the newest, proves that everything opens, tells which keys are in use."""

    help = (
        "new: make a key. rotate: seal every secret again with the primary key and verify; may run while the platform "
        "works, be stopped at any moment and be started again. verify: open everything, change nothing. "
        "status: which keys there are and what is sealed with each."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["new", "rotate", "verify", "status"])
        parser.add_argument("--batch-size", type=int, default=1_000, help="Rows a transaction (default 1000).")
        parser.add_argument("--json", action="store_true", dest="as_json", help="One JSON object a line.")

    def handle(self, *, what: str, batch_size: int, as_json: bool, **_options: Any) -> None:
        if batch_size < 1:
            raise CommandError("--batch-size must be at least 1.")
        self._as_json = as_json
        try:
            if what == "new":
                self._new()
                return
            refuse_wrong_keys()
            key_ring()
            {"rotate": self._rotate, "verify": self._verify, "status": self._status}[what](batch_size)
        except VaultError as error:
            raise CommandError(error.message) from error

    def _new(self) -> None:
        key_id, next_step = key_provider().add_key()
        key_made.send(sender=type(self), key_id=key_id, provider=key_provider().name)
        if self._as_json:
            self._tell_json({"key_id": key_id, "provider": key_provider().name})
        else:
            self.stdout.write(f"New key {key_id}. {next_step}" if "\n" not in next_step else next_step)

    def _rotate(self, batch_size: int) -> None:
        columns = encrypted_columns()
        left = {column.label: actions.count_left(column) for column in columns}
        resealed = {}
        for column in columns:
            bar = _ProgressBar(self, column.label, left[column.label])
            resealed[column.label] = actions.rotate(column, batch_size=batch_size, progress=bar.advance).resealed
            bar.end()
        broken = self._opened(batch_size, resealed=resealed)
        keys_rotated.send(sender=type(self), primary=key_ring().primary_id, resealed=resealed, broken=broken)
        _refuse_broken(broken)

    def _verify(self, batch_size: int) -> None:
        _refuse_broken(self._opened(batch_size))

    def _opened(self, batch_size: int, *, resealed: dict[str, int] | None = None) -> int:
        """Open everything and tell of it; return how many secrets do not open."""
        in_use: Counter[str] = Counter()
        broken = 0
        for column in encrypted_columns():
            found = actions.verify(column, batch_size=batch_size)
            in_use += found.keys
            broken += len(found.broken)
            self._tell_column(found, (resealed or {}).get(column.label, 0))
        self._tell_keys(in_use)
        return broken

    def _status(self, _batch_size: int) -> None:
        in_use: Counter[str] = Counter()
        for column in encrypted_columns():
            usage = actions.key_usage(column)
            in_use += usage
            if self._as_json:
                self._tell_json({"column": column.label, "keys": dict(usage)})
            else:
                self.stdout.write(f"{column.label}: {_by_key(usage)}")
        self._tell_keys(in_use)

    def _tell_column(self, found: actions.ColumnReport, resealed: int) -> None:
        if self._as_json:
            self._tell_json(
                {"column": found.label, "resealed": resealed, "keys": dict(found.keys), "broken": found.broken}
            )
            return
        self.stdout.write(
            f"{found.label}: {resealed} sealed again; opened: {_by_key(found.keys)}; broken: {len(found.broken)}"
        )
        for primary_key in found.broken[:_SHOWN]:
            self.stderr.write(f"  does not open: {found.label} of {primary_key}")

    def _tell_keys(self, in_use: Counter[str]) -> None:
        ring = key_ring()
        idle = [key_id for key_id in ring.key_ids if not in_use[key_id] and key_id != ring.primary_id]
        missing = sorted(in_use.keys() - set(ring.key_ids))
        if self._as_json:
            self._tell_json(
                {
                    "provider": key_provider().name,
                    "primary": ring.primary_id,
                    "known": list(ring.key_ids),
                    "in_use": dict(in_use),
                    "removable": idle,
                    "missing": missing,
                }
            )
            return
        self.stdout.write(f"Keys in use: {', '.join(sorted(in_use)) or 'none'}. Primary key: {ring.primary_id}.")
        if missing:
            self.stdout.write(f"Needed and not there: {', '.join(missing)}.")
        if idle:
            self.stdout.write(f"Nothing is sealed with {', '.join(idle)}: needed only for older backups.")

    def _tell_json(self, facts: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(facts))


class _ProgressBar:
    """A line that moves on a terminal, and nothing elsewhere."""

    def __init__(self, command: BaseCommand, label: str, total: int) -> None:
        self._command = command
        self._label = label
        self._total = total
        self._done = 0
        self._is_shown = total > 0 and sys.stderr.isatty()

    def advance(self, count: int) -> None:
        """Show that `count` more rows are done."""
        self._done += count
        if self._is_shown:
            share = min(1.0, self._done / self._total)
            filled = round(share * _BAR)
            bar = "█" * filled + "░" * (_BAR - filled)
            self._command.stderr.write(f"\r{self._label} {bar} {share:4.0%} {self._done:,}/{self._total:,}", ending="")

    def end(self) -> None:
        """Leave the line."""
        if self._is_shown:
            self._command.stderr.write("")


def _refuse_broken(broken: int) -> None:
    if broken:
        raise CommandError(
            f"{broken} secrets do not open. Put back the key they were sealed with, or enter them again."
        )


def _by_key(keys: Counter[str]) -> str:
    return ", ".join(f"{count} under {key_id}" for key_id, count in sorted(keys.items())) or "none"
