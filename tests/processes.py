"""The platform's processes, started for real: each instance has its own database, data directory and environment.

with migrated_instance("sqlite", tmp_path) as instance:
    worker = instance.start("worker")
    wait_until(lambda: instance.rows("SELECT 1 FROM jobs_processheartbeat"), "the worker reports")
    worker.kill_group(signal.SIGTERM)
    assert worker.wait(60) == 0
"""

import atexit
import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Instance", "RunningCommand", "is_running", "migrated_instance", "wait_until"]

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")

# Reads code and writes what it printed and how it failed, one JSON line each.
_SHELL = """
import contextlib, io, json, sys, traceback
from django.db import close_old_connections
for line in sys.stdin:
    close_old_connections()
    printed, error = io.StringIO(), ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(json.loads(line), {})
        except BaseException:
            error = traceback.format_exc()
    print(json.dumps([printed.getvalue(), error]), flush=True)
"""


def wait_until(condition: Callable[[], T], what: str, *, timeout_seconds: float = 60) -> T:
    """Return what `condition` gives as soon as it is true; fail, naming `what` was awaited, when the time is over."""
    until = time.monotonic() + timeout_seconds
    pause = threading.Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"Waited {timeout_seconds} s in vain until {what}.")
        pause.wait(0.05)


def is_running(pid: int) -> bool:
    """Return whether a process of this id runs; one that ended and was not collected yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


class RunningCommand:
    """A command that was started, the leader of a process group of its own."""

    def __init__(self, arguments: list[str], environment: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("ab") as stream:
            self._process = subprocess.Popen(
                arguments, env=environment, cwd=ROOT, stdout=stream, stderr=stream, start_new_session=True
            )
        self.pid = self._process.pid

    @property
    def output(self) -> str:
        """What it has written so far, errors too."""
        return self._output.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def members(self) -> list[int]:
        """Return the ids of the running processes of its group, its own among them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.pid and fields[0] != "Z":
                    found.append(int(folder.name))
        return found

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self._process.send_signal(number)

    def kill_group(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group, as systemd and Ctrl-C do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, timeout_seconds: float) -> int:
        """Return its exit status. Raises `subprocess.TimeoutExpired`."""
        return self._process.wait(timeout_seconds)

    def end(self) -> None:
        """Make sure that nothing of it is left."""
        self.kill_group(signal.SIGKILL)
        self._process.wait(10)


class Instance:
    """A platform of its own: database, data directory, environment."""

    def __init__(self, database_url: str, folder: Path, **environment: str) -> None:
        self.database_url = database_url
        self.folder = folder
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ISTHMUS_")},
            "DATABASE_URL": database_url,
            "ISTHMUS_DATA_DIR": str(folder / "data"),
            "ISTHMUS_LOG_LEVEL": "INFO",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self._started: list[RunningCommand] = []
        self._shell: subprocess.Popen[str] | None = None

    def start(self, *arguments: str, **environment: str) -> RunningCommand:
        """Start `manage.py <arguments>` in the background; it is ended with the instance."""
        return self.start_python("manage.py", *arguments, name=arguments[0], **environment)

    def start_python(self, *arguments: str, name: str, **environment: str) -> RunningCommand:
        """Start Python with these arguments in the background; it is ended with the instance."""
        output = self.folder / f"{name}-{len(self._started)}.log"
        paths = os.pathsep.join([str(ROOT), str(ROOT / "platform")])
        command = RunningCommand(
            [sys.executable, *arguments], {"PYTHONPATH": paths, **self.environment, **environment}, output
        )
        self._started.append(command)
        return command

    def run(self, *arguments: str, timeout_seconds: float = 180) -> str:
        """Run `manage.py <arguments>` to its end and return what it printed. An error status fails the test."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, code: str) -> str:
        """Run code with the platform loaded and return what it printed, stripped. An exception fails the test.

        One process serves all calls of an instance: loading the platform takes most of the time.
        """
        if self._shell is None:
            self._shell = subprocess.Popen(
                [sys.executable, "manage.py", "shell", "--no-imports", "--verbosity", "0", "--command", _SHELL],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        self._shell.stdin.write(json.dumps(code) + "\n")
        self._shell.stdin.flush()
        answer = self._shell.stdout.readline()
        assert answer, "The shell of the instance has ended."
        printed, error = json.loads(answer)
        assert not error, error
        return printed.strip()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Read the database past the platform."""
        if self.database_url.startswith("sqlite"):
            with contextlib.closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=20)) as base:
                return base.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(self.database_url, autocommit=True) as base:
            return base.execute(sql).fetchall()

    def end(self) -> None:
        """End every command that was started."""
        if self._shell:
            self._shell.kill()
            self._shell.communicate()
            self._shell = None
        for command in self._started:
            command.end()

    def outputs(self) -> str:
        """What all started commands have written."""
        return "\n".join(command.output for command in self._started)


@contextlib.contextmanager
def migrated_instance(engine: str, folder: Path, *, postgres: str = "", **environment: str) -> Iterator[Instance]:
    """Give an instance with a migrated database: `engine` is "sqlite", or "postgresql" on the server `postgres`.

    Everything that was started ends with the block, and a PostgreSQL database is dropped. `environment` is that of
    every command; with `ISTHMUS_APPS` the tables of these apps are made too.
    """
    apps = environment.get("ISTHMUS_APPS", "")
    if engine == "sqlite":
        database = folder / "instance.sqlite3"
        shutil.copy(_sqlite_template(apps), database)
        url = f"sqlite:///{database}"
    else:
        url = _with_name(postgres, f"isthmus_instance_{secrets.token_hex(6)}")
        _on_server(postgres, f'CREATE DATABASE "{_name(url)}" TEMPLATE "{_name(_postgres_template(postgres, apps))}"')
    instance = Instance(url, folder, **environment)
    try:
        yield instance
    except BaseException:
        print(instance.outputs()[-20_000:])
        raise
    finally:
        instance.end()
        if engine != "sqlite":
            _drop(postgres, _name(url))


@functools.cache
def _sqlite_template(apps: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="isthmus-template-"))
    atexit.register(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    path = folder / "template.sqlite3"
    Instance(f"sqlite:///{path}", folder, ISTHMUS_APPS=apps).run(
        "migrate", "--run-syncdb", "--verbosity", "0", timeout_seconds=300
    )
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@functools.cache
def _postgres_template(postgres: str, apps: str) -> str:
    url = _with_name(postgres, f"isthmus_template_{secrets.token_hex(6)}")
    _on_server(postgres, f'CREATE DATABASE "{_name(url)}"')
    atexit.register(functools.partial(_drop, postgres, _name(url)))
    folder = Path(tempfile.mkdtemp(prefix="isthmus-template-"))
    atexit.register(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    Instance(url, folder, ISTHMUS_APPS=apps).run("migrate", "--run-syncdb", "--verbosity", "0", timeout_seconds=300)
    return url


def _on_server(postgres: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as base:
        base.execute(statement)


def _drop(postgres: str, name: str) -> None:
    _on_server(postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _with_name(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
