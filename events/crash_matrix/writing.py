"""A writer: changes items and publishes events, in long and short transactions, some rolled back, until it is told to
stop or killed.
"""

import os
import random
import signal
import threading
from pathlib import Path

from django.db import OperationalError, transaction

from events import bus
from events.crash_matrix.models import Item, Step
from events.crash_matrix.platform_events import HistoryAlarm, HistoryStep

__all__ = ["ITEMS", "write"]

ITEMS = 6
_LONGEST_SECONDS = 0.3


def write(seed: int, diary: Path) -> None:
    """Write until SIGTERM. What becomes of immediate events is noted in the file `diary`, a line each."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    writer = _Writer(random.Random(seed), diary, stopping)  # noqa: S311 - a run can be repeated
    while not stopping.is_set():
        try:
            writer.turn()
        except OperationalError:
            # The database had no time for this one; whatever was begun is rolled back.
            stopping.wait(0.05)


class _Writer:
    def __init__(self, chance: random.Random, diary: Path, stopping: threading.Event) -> None:
        self._chance = chance
        self._diary = diary
        self._stopping = stopping

    def turn(self) -> None:
        """Do one transaction."""
        with transaction.atomic():
            # In the order of their keys: two writers wait for each other, never in a circle.
            for item in sorted(self._chance.sample(range(1, ITEMS + 1), self._chance.choice([1, 1, 2]))):
                self._step(item)
            if self._chance.random() < 0.1:
                self._alarm()
            if self._chance.random() < 0.2:
                self._stopping.wait(self._chance.random() * _LONGEST_SECONDS)
            if self._chance.random() < 0.2:
                transaction.set_rollback(True)

    def _step(self, pk: int) -> None:
        item = Item.objects.select_for_update().get(pk=pk)
        item.sequence += 1
        item.save()
        event = HistoryStep(item=pk, sequence=item.sequence)
        Step.objects.create(item=pk, sequence=item.sequence, event_uuid=event.event_uuid)
        event.publish()

    def _alarm(self) -> None:
        alarm = HistoryAlarm(number=self._chance.randrange(1_000_000))
        self._note("tried", alarm)
        [result] = bus.publish([alarm])
        if result.success:
            self._note("accepted", alarm)

    def _note(self, what: str, alarm: HistoryAlarm) -> None:
        # One write, so that a kill leaves a whole line or none.
        file = os.open(self._diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{what} {alarm.event_uuid}\n".encode())
        finally:
            os.close(file)
