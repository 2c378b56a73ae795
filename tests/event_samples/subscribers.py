"""Subscribers that tests can hold up: a file named `gate` in `EVENT_SAMPLES_FOLDER` lets them go on."""

import os
import threading
from pathlib import Path

from events.subscribers import Event, subscriber
from tests.event_samples.models import Handled


def keep(name: str, events: list[Event]) -> None:
    Handled.objects.bulk_create(
        Handled(subscriber=name, number=event.payload["Number__c"], event_uuid=event.event_uuid, process=os.getpid())
        for event in events
    )


@subscriber("Counted__e", name="plain", batch_size=10)
def plain(events):
    keep("plain", events)


@subscriber("Counted__e", name="gated", batch_size=5)
def gated(events):
    """Writes, tells the test that it has written, and waits before it returns, so that it can be killed in between."""
    keep("gated", events)
    if "EVENT_SAMPLES_FOLDER" not in os.environ:
        return
    folder = Path(os.environ["EVENT_SAMPLES_FOLDER"])
    (folder / f"entered-{os.getpid()}").touch()
    pause = threading.Event()
    while not (folder / "gate").exists():
        pause.wait(0.02)
