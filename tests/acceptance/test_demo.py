"""The main job, end to end, with real processes: undisturbed, and with processes killed in the middle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import migrated_instance

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.processes, pytest.mark.timeout(420)]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """A migrated database that nobody else uses."""
    server = "" if request.param == "sqlite" else request.getfixturevalue("postgres")
    with migrated_instance(request.param, tmp_path, postgres=server, ISTHMUS_APPS="examples.mortgage") as instance:
        yield instance.database_url


def demo(tmp_path: Path, database_url: str, *arguments: str) -> None:
    """Run the demo; its own comparisons decide (applications, records, events, each exactly once)."""
    command = [sys.executable, "-m", "examples.demo", "--data", str(tmp_path / "demo"), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step held" in done.stdout


def test_the_demo_holds(tmp_path, database_url):
    demo(tmp_path, database_url)


@pytest.mark.parametrize(
    "kills",
    [
        ["worker@received>=2", "bus@delivered>=3", "web@decided>=5"],
        ["web@received>=1", "worker@delivered>=2", "bus@told>=2"],
        ["bus@received>=1", "worker@received>=8", "web@delivered>=6", "bus@told>=8"],
    ],
    ids=" ".join,
)
def test_killed_processes_lose_and_repeat_nothing(tmp_path, database_url, kills):
    """SIGKILL reaches each of web, worker and bus in the middle; each is started again; nothing is lost or doubled."""
    demo(tmp_path, database_url, "--applicants", "16", *[word for kill in kills for word in ("--kill", kill)])
