"""What the benches of background operations run: nothing, or a note of how late it started."""

from pathlib import Path
from time import time

from isthmus.jobs import queueable


@queueable()
def nothing() -> None:
    """Do nothing."""


@queueable()
def note_delay(sent_at: float, file: str) -> None:
    """Append the seconds since it was enqueued to a file."""
    delay = time() - sent_at
    with Path(file).open("a") as notes:
        notes.write(f"{delay}\n")
