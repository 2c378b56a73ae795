"""A short run of the crash matrix on each engine."""

import json
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from events.crash_matrix.nats import nats_server_path
from tests.processes import ROOT

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "jetstream"])
def test_whoever_is_killed_nothing_is_lost_doubled_or_invented(engine, request):
    command = ["crash_matrix", "--engine", engine, "--seconds", "16", "--kill-every", "3", "--writers", "2"]
    if engine == "postgresql":
        command += ["--postgres", request.getfixturevalue("postgres")]
    elif engine == "jetstream" and not nats_server_path():
        pytest.skip("There is no nats-server on this machine.")
    done = subprocess.run(
        [sys.executable, "manage.py", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [verdict] = map(json.loads, done.stdout.splitlines())
    assert verdict["violations"] == []
    assert sum(verdict["kills"].values()) >= 3
    assert verdict["counts"]["steps"] > 20


def test_the_steps_of_a_run_are_for_its_own_processes():
    with pytest.raises(CommandError, match="own processes"):
        call_command("crash_matrix", "prepare")
