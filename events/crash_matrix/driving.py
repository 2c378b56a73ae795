"""Starts the processes of a run, kills one every few seconds, and has the history checked in the end."""

import contextlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from events.crash_matrix.nats import free_port, nats_command
from isthmus.supervisor import ProcessSpec, Supervisor, import_path

__all__ = ["Plan", "Verdict", "run"]

APP = "events.crash_matrix"
_PREPARE_SECONDS = 300
_CHECK_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run goes."""

    engine: str
    """`sqlite`, `postgresql` or `jetstream` (with its index in SQLite)."""
    seconds: float
    writers: int
    buses: int
    kill_every_seconds: float
    seed: int
    postgres: str = ""
    """Address of a server on which a database may be made, for `postgresql`."""
    nats_server: str = ""
    """Path of the server's program, for `jetstream`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came out."""

    engine: str
    kills: dict[str, int]
    """How often each process was killed."""
    counts: dict[str, int]
    violations: list[str]


def run(plan: Plan, write: Callable[[str], None]) -> Verdict:
    """Make a database, let writers and buses work on it and be killed, and return the verdict.

    `write` gets what the processes print. Raises `RuntimeError` when a step of the run itself fails.
    """
    chance = random.Random(plan.seed)  # noqa: S311 - a run can be repeated
    with tempfile.TemporaryDirectory(prefix="isthmus-crash-matrix-") as folder, _scratch(plan, Path(folder)) as url:
        environment = _environment(url, Path(folder), plan)
        for step in (["migrate", "--verbosity", "0"], ["crash_matrix", "prepare"]):
            _manage(step, environment, _PREPARE_SECONDS)
        writers = Supervisor(_writers(plan, folder), environment=environment, write=write)
        servers = Supervisor(_servers(plan, Path(folder), environment), environment=environment, write=write)
        servers.start()
        writers.start()
        try:
            _wait_for(Path(folder, "diary"))
            kills = _kill_for(plan, chance, writers, servers)
            writers.stop()
            answer = _manage(["crash_matrix", "check", "--diary", f"{folder}/diary"], environment, _CHECK_SECONDS)
        finally:
            writers.stop()
            servers.stop()
    found: dict[str, Any] = json.loads(answer)
    return Verdict(engine=plan.engine, kills=kills, counts=found["counts"], violations=found["violations"])


def _wait_for(diary: Path) -> None:
    """Return when the writers are at work: starting takes long where many start at once."""
    pause = threading.Event()
    for _ in range(int(_PREPARE_SECONDS / 0.2)):
        if diary.exists():
            return
        pause.wait(0.2)
    raise RuntimeError("No writer has begun.")


def _kill_for(plan: Plan, chance: random.Random, writers: Supervisor, servers: Supervisor) -> dict[str, int]:
    """Let everything work, and kill somebody every few seconds; return who how often."""
    victims = [(writers, f"writer-{number}") for number in range(plan.writers)]
    victims += [(servers, f"bus-{number}") for number in range(plan.buses)]
    if plan.engine == "jetstream":
        victims.append((servers, "nats"))
    kills = dict.fromkeys((name for _, name in victims), 0)
    pause, passed = threading.Event(), 0.0
    while passed + plan.kill_every_seconds <= plan.seconds:
        wait = plan.kill_every_seconds * chance.uniform(0.5, 1.5)
        pause.wait(wait)
        passed += wait
        supervisor, name = chance.choice(victims)
        with contextlib.suppress(ProcessLookupError):
            supervisor.kill(name)
            kills[name] += 1
    pause.wait(max(0.0, plan.seconds - passed))
    return kills


def _writers(plan: Plan, folder: str) -> list[ProcessSpec]:
    command = [sys.executable, "-m", "django", "crash_matrix", "write", "--diary", f"{folder}/diary", "--seed"]
    return [
        ProcessSpec(name=f"writer-{number}", command=[*command, str(plan.seed + number)])
        for number in range(plan.writers)
    ]


def _servers(plan: Plan, folder: Path, environment: Mapping[str, str]) -> list[ProcessSpec]:
    buses = [
        ProcessSpec(name=f"bus-{number}", command=[sys.executable, "-m", "django", "bus"])
        for number in range(plan.buses)
    ]
    if plan.engine != "jetstream":
        return buses
    port = urlsplit(environment["ISTHMUS_EVENT_LOG_URL"]).port or 0
    command = nats_command(plan.nats_server, folder / "nats", port)
    return [ProcessSpec(name="nats", command=command), *buses]


def _environment(url: str, folder: Path, plan: Plan) -> dict[str, str]:
    log_url = f"nats://127.0.0.1:{free_port()}/CRASH_MATRIX" if plan.engine == "jetstream" else ""
    return {
        "DATABASE_URL": url,
        "ISTHMUS_APPS": APP,
        "ISTHMUS_DATA_DIR": str(folder / "data"),
        "ISTHMUS_EVENT_LOG_URL": log_url,
        "ISTHMUS_LOG_LEVEL": "WARNING",
        "ISTHMUS_EVENTS_HOURLY_PUBLISH_ALLOCATION": "0",
        "ISTHMUS_EVENTS_RELAY_LEASE_SECONDS": "2",
        "ISTHMUS_EVENTS_SUBSCRIBER_LEASE_SECONDS": "2",
        "ISTHMUS_EVENTS_RETRY_LONGEST_SECONDS": "1",
        "ISTHMUS_EVENTS_CHECK_INTERVAL_SECONDS": "1",
    }


def _manage(arguments: list[str], environment: Mapping[str, str], seconds: float) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "django", *arguments],
        env={**os.environ, "PYTHONPATH": import_path(), "DJANGO_SETTINGS_MODULE": "isthmus.settings", **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-2_000:]}")
    return done.stdout


@contextlib.contextmanager
def _scratch(plan: Plan, folder: Path) -> Iterator[str]:
    """Give the address of an empty database that goes with the block."""
    if plan.engine != "postgresql":
        yield f"sqlite:///{folder / 'crash_matrix.sqlite3'}"
        return
    name = f"isthmus_crash_matrix_{secrets.token_hex(6)}"
    _on_server(plan.postgres, f'CREATE DATABASE "{name}"')
    try:
        yield urlunsplit(urlsplit(plan.postgres)._replace(path=f"/{name}"))
    finally:
        _on_server(plan.postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _on_server(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute(statement.encode())
