"""procrastinate as its guide sets it up, on the database of `PEER_DSN`. `work` as the argument runs a worker."""

import asyncio
import os
import sys
from pathlib import Path
from time import time

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["PEER_DSN"]))


@app.task(name="nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="note_delay")
def note_delay(sent_at: float, file: str) -> None:
    """Append the seconds since it was deferred to a file."""
    delay = time() - sent_at
    with Path(file).open("a") as notes:
        notes.write(f"{delay}\n")


async def _work() -> None:
    async with app.open_async():
        # Ten at a time in each of two processes drains the fastest.
        await app.run_worker_async(concurrency=10, install_signal_handlers=True)


if __name__ == "__main__" and sys.argv[1:] == ["work"]:
    asyncio.run(_work())
