"""`manage.py run`: web, worker and bus on this machine, under one supervisor, until Ctrl-C."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from isthmus.supervisor import bus_spec, run_until_stopped, web_spec, worker_spec


class Command(BaseCommand):
    help = "Bring the database up to date and run web, worker and bus until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=settings.HTTP_PORT, help="port of the pages")

    def handle(self, *_: Any, port: int, **__: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        answered = run_until_stopped(
            [web_spec(port), worker_spec(), bus_spec()],
            port=port,
            welcome=[f"Isthmus runs: http://127.0.0.1:{port}/"],
            write=self.stdout.write,
        )
        if not answered:
            raise CommandError(f"The web process did not answer on port {port}.")
