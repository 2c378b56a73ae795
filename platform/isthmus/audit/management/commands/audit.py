"""`manage.py audit verify|list|export|shorten`: the audit trail."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from isthmus.audit.actions import check_chain, shorten
from isthmus.audit.models import AuditChain, AuditEntry


class Command(BaseCommand):
    """Verifies the chain (status 1 when it is broken), lists entries, writes them out, removes old ones."""

    help = (
        "verify: prove that no entry was changed, removed, put in or reordered. list: the newest entries. "
        "export: all of them and the head of the chain, one JSON object a line. "
        "shorten: remove entries before --keep-from."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["verify", "list", "export", "shorten"])
        parser.add_argument("--json", action="store_true", dest="as_json", help="JSON, one object a line.")
        parser.add_argument("--limit", type=int, default=50, help="list: how many (default 50).")
        parser.add_argument("--action", default="", help="list, export: entries of this action only.")
        parser.add_argument("--target", default="", help="list, export: entries about this target only.")
        parser.add_argument("--keep-from", type=int, default=0, help="shorten: the first entry to keep.")

    def handle(self, *, what: str, **options: Any) -> None:
        {"verify": self._verify, "list": self._list, "export": self._export, "shorten": self._shorten}[what](options)

    def _verify(self, options: dict[str, Any]) -> None:
        verdict = check_chain()
        if options["as_json"]:
            self.stdout.write(
                json.dumps({"entries": verdict.entries, "broken_at": verdict.broken_at, "reason": verdict.reason})
            )
        if verdict.broken_at is not None:
            raise CommandError(f"The audit trail is broken at entry {verdict.broken_at}: {verdict.reason}")
        if not options["as_json"]:
            self.stdout.write(f"The audit trail holds: {verdict.entries} entries.")

    def _list(self, options: dict[str, Any]) -> None:
        for entry in _chosen(options)[: max(1, options["limit"])]:
            if options["as_json"]:
                self.stdout.write(json.dumps(_as_json(entry)))
            else:
                who = entry.actor or "the platform"
                self.stdout.write(
                    f"{entry.sequence:>8}  {entry.occurred_at:%Y-%m-%d %H:%M:%S}  {entry.outcome:<8} "
                    f"{entry.action:<36} {who}  {entry.target}"
                )

    def _export(self, options: dict[str, Any]) -> None:
        for entry in _chosen(options).order_by("sequence").iterator(chunk_size=2_000):
            self.stdout.write(json.dumps(_as_json(entry)))
        chain = AuditChain.objects.first() or AuditChain()
        self.stdout.write(
            json.dumps(
                {"head_sequence": chain.head_sequence, "head_hash": chain.head_hash, "head_seal": chain.head_seal}
            )
        )

    def _shorten(self, options: dict[str, Any]) -> None:
        verdict = check_chain()
        if verdict.broken_at is not None:
            raise CommandError(f"The audit trail is broken at entry {verdict.broken_at}; nothing is removed.")
        self.stdout.write(f"Removed: {shorten(keep_from=options['keep_from'])} entries.")


def _chosen(options: dict[str, Any]) -> Any:
    chosen = {name: options[name] for name in ("action", "target") if options[name]}
    return AuditEntry.objects.filter(**chosen).order_by("-sequence")


def _as_json(entry: AuditEntry) -> dict[str, Any]:
    names = ("sequence", "action", "outcome", "actor", "actor_id", "target", "correlation_id", "details", "entry_hash")
    return {"occurred_at": entry.occurred_at.isoformat(), **{name: getattr(entry, name) for name in names}}
