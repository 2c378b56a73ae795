"""`manage.py bus`: relays published events and runs subscribers until SIGTERM or Ctrl-C."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.bus_process import Bus
from events.logs import get_event_log
from isthmus.jobs import processes
from isthmus.vault.errors import VaultError
from isthmus.vault.key_checks import refuse_wrong_keys


class Command(BaseCommand):
    """Runs the bus."""

    help = "Relay published events into the log and run subscribers, until SIGTERM or Ctrl-C. Any number may run."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            refuse_wrong_keys()
        except VaultError as error:
            raise CommandError(error.message) from error
        bus = Bus(get_event_log(), name=processes.new_name())
        for number in (signal.SIGTERM, signal.SIGINT):
            # In a thread: a handler runs in the middle of whatever the main thread does, taking a lock included.
            signal.signal(number, lambda *_: threading.Thread(target=bus.stop).start())
        bus.run()
