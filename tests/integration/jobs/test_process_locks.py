"""On SQLite the operating system tells whether a holder of leases still lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from isthmus.jobs import process_locks

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="Elsewhere heartbeats tell, not locks."),
]

LOCK_AND_WAIT = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.lockf(descriptor, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def folder():
    return Path(f"{connection.settings_dict['NAME']}-holders")


def test_a_process_keeps_its_name_and_is_not_dead_to_itself():
    name = process_locks.holder_name()
    assert name == process_locks.holder_name()
    assert name.endswith(f".{os.getpid()}")
    assert process_locks.is_dead(name) is False
    assert (folder() / f"{name}.lock").exists()


def test_a_holder_without_a_file_is_dead():
    assert process_locks.is_dead("nobody.1") is True


def test_another_process_lives_as_long_as_it_holds_its_lock():
    process_locks.holder_name()
    path = folder() / "another.1.lock"
    process = subprocess.Popen(
        [sys.executable, "-c", LOCK_AND_WAIT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        assert process_locks.is_dead("another.1") is False
        process_locks.forget_dead()
        assert path.exists()
    finally:
        process.kill()
        process.communicate()
    assert process_locks.is_dead("another.1") is True
    process_locks.forget_dead()
    assert not path.exists()


def test_asking_does_not_let_go_of_ones_own_lock():
    name = process_locks.holder_name()
    process_locks.is_dead(name)
    process_locks.forget_dead()
    asker = "import fcntl, os, sys; fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    done = subprocess.run(
        [sys.executable, "-c", asker, str(folder() / f"{name}.lock")], capture_output=True, text=True, check=False
    )
    assert "BlockingIOError" in done.stderr
