"""`manage.py crash_matrix`: writers and buses at work, SIGKILL every few seconds, then the whole history is checked.

Each engine gets a database of its own, which is gone in the end. Exit status 2 when the bus broke its word.
"""

import dataclasses
import json
import threading
from argparse import SUPPRESS, ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from events.crash_matrix.driving import APP, Plan, run
from events.crash_matrix.nats import nats_server_path

_ENGINES = ("sqlite", "postgresql", "jetstream")
_QUIET_SECONDS = 300.0


class Command(BaseCommand):
    """Runs the crash matrix."""

    help = "Kill writers, buses and the log's server while they work, and check that no event is lost or doubled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--engine", action="append", choices=_ENGINES, help="Again for several; all by default.")
        parser.add_argument("--seconds", type=float, default=60.0, help="How long each engine is worked on.")
        parser.add_argument("--writers", type=int, default=3, metavar="N")
        parser.add_argument("--buses", type=int, default=2, metavar="N")
        parser.add_argument("--kill-every", type=float, default=4.0, metavar="SECONDS")
        parser.add_argument("--seed", type=int, default=1, help="Another one kills others at other times.")
        parser.add_argument("--postgres", default="", metavar="URL", help="A server on which a database may be made.")
        parser.add_argument("--nats-server", default="", metavar="PATH", help="The program; found by itself.")
        # What the processes of a run are told to do.
        acts = parser.add_subparsers(dest="act", help=SUPPRESS)
        acts.add_parser("prepare")
        write = acts.add_parser("write")
        write.add_argument("--seed", type=int, dest="writer_seed", required=True)
        write.add_argument("--diary", type=Path, required=True)
        acts.add_parser("check").add_argument("--diary", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["act"] is None:
            self._run(options)
        elif APP not in settings.ISTHMUS_APPS:
            raise CommandError("The steps of a run are for the run's own processes.")
        elif options["act"] == "prepare":
            self._prepare()
        elif options["act"] == "write":
            self._write(options)
        else:
            self._check(options["diary"])

    def _run(self, options: dict[str, Any]) -> None:
        broken = []
        for plan in self._plans(options):
            verdict = run(plan, self.stderr.write if options["verbosity"] > 1 else _swallow)
            self.stdout.write(json.dumps(dataclasses.asdict(verdict)))
            if verdict.violations:
                broken.append(plan.engine)
        if broken:
            raise CommandError(f"The bus broke its word on {', '.join(broken)}.", returncode=2)

    def _plans(self, options: dict[str, Any]) -> list[Plan]:
        database = settings.DATABASES["default"]
        postgres = options["postgres"] or (_url_of(database) if "postgresql" in database["ENGINE"] else "")
        nats_server = options["nats_server"] or nats_server_path()
        able = {"sqlite": True, "postgresql": bool(postgres), "jetstream": bool(nats_server)}
        chosen = options["engine"] or [engine for engine in _ENGINES if able[engine]]
        if unable := [engine for engine in chosen if not able[engine]]:
            raise CommandError(f"{', '.join(unable)} cannot be tried: give --postgres or --nats-server.")
        return [
            Plan(
                engine=engine,
                seconds=options["seconds"],
                writers=options["writers"],
                buses=options["buses"],
                kill_every_seconds=options["kill_every"],
                seed=options["seed"],
                postgres=postgres,
                nats_server=nats_server,
            )
            for engine in chosen
        ]

    def _prepare(self) -> None:
        from events.actions import synchronise
        from events.crash_matrix.models import Item
        from events.crash_matrix.writing import ITEMS
        from events.logs import DatabaseEventLog

        # Of the database whatever the log: the log's server is not there yet, and nothing is published.
        synchronise(DatabaseEventLog())
        Item.objects.bulk_create([Item(pk=pk) for pk in range(1, ITEMS + 1)])

    def _write(self, options: dict[str, Any]) -> None:
        from events.crash_matrix.writing import write

        write(options["writer_seed"], options["diary"])

    def _check(self, diary: Path) -> None:
        from events.crash_matrix.history import violations
        from events.crash_matrix.reading import is_quiet, read_history

        is_done, waited = threading.Event(), 0.0
        while not is_quiet() and waited < _QUIET_SECONDS:
            is_done.wait(0.5)
            waited += 0.5
        history = read_history(diary)
        found = violations(history)
        if waited >= _QUIET_SECONDS:
            found.append(f"After {_QUIET_SECONDS:.0f} seconds something still waits.")
        counts = {"steps": len(history.steps), "alarms": len(history.alarms), "changes": len(history.changes)}
        self.stdout.write(json.dumps({"counts": counts, "violations": found}))


def _swallow(_line: str) -> None:
    """Drop what the processes print."""


def _url_of(database: dict[str, Any]) -> str:
    user = database.get("USER") or ""
    password = f":{database['PASSWORD']}" if database.get("PASSWORD") else ""
    port = f":{database['PORT']}" if database.get("PORT") else ""
    return f"postgres://{user}{password}@{database.get('HOST') or ''}{port}/{database['NAME']}"
