"""`manage.py worker`: runs background operations until it is told to stop."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from isthmus.jobs.worker import Worker
from isthmus.vault.errors import VaultError
from isthmus.vault.key_checks import refuse_wrong_keys


class Command(BaseCommand):
    """Start a worker. SIGTERM or Ctrl-C ends it: running jobs may finish within a grace, then they are given back."""

    help = "Runs background operations. Any number of workers may run; SIGTERM ends one in good order."

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        try:
            refuse_wrong_keys()
        except VaultError as error:
            raise CommandError(error.message) from error
        if not Worker().run():
            raise CommandError("The worker's processes ended unasked. Start it again.")
