"""The main job, end to end, with real processes: undisturbed, and with processes killed in the middle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import fresh_postgres_database

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """The environment that chooses a database nobody else uses."""
    if request.param == "sqlite":
        yield {"DATABASE_URL": ""}
        return
    with fresh_postgres_database(request.getfixturevalue("postgres")) as url:
        yield {"DATABASE_URL": url}


def demo(tmp_path: Path, database: dict[str, str], *arguments: str) -> None:
    """Run the demo; its own comparisons decide (applications, records, events, each exactly once)."""
    command = [sys.executable, "-m", "examples.demo", "--data", str(tmp_path / "demo"), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **database}, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step held" in done.stdout


def test_the_demo_holds(tmp_path, database):
    demo(tmp_path, database)


@pytest.mark.parametrize(
    "kills",
    [
        ["worker@received>=2", "bus@delivered>=3", "web@decided>=5"],
        ["web@received>=1", "worker@delivered>=2", "bus@told>=2"],
        ["bus@received>=1", "worker@received>=8", "web@delivered>=6", "bus@told>=8"],
    ],
    ids=" ".join,
)
def test_killed_processes_lose_and_repeat_nothing(tmp_path, database, kills):
    """SIGKILL reaches each of web, worker and bus in the middle; each is started again; nothing is lost or doubled."""
    demo(tmp_path, database, "--applicants", "16", *[word for kill in kills for word in ("--kill", kill)])
