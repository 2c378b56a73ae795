"""Jobs whose progress a test can see and hold up: through files and rows."""

import subprocess
import sys
import threading
from pathlib import Path

from isthmus.jobs import current_job, queueable
from tests.job_samples.models import Effect


def leave_a_trace(folder, name):
    """Note in a file, outside any transaction, that the function was entered."""
    with (Path(folder) / f"{name}.entered").open("a") as trace:
        trace.write(f"{current_job().attempt}\n")


def wait_for_gate(folder, name):
    """Wait until the test opens the gate."""
    pause = threading.Event()
    while not (Path(folder) / f"{name}.gate").exists():
        pause.wait(0.05)


def record(name):
    Effect.objects.create(name=name, attempt=current_job().attempt)


@queueable(max_attempts=3, retry_delays=(0.1,))
def note(name):
    record(name)
    return {"noted": name}


@queueable(max_attempts=3, atomic=True)
def atomic_with_gate(folder, name):
    record(name)
    leave_a_trace(folder, name)
    wait_for_gate(folder, name)


@queueable(max_attempts=3)
def plain_with_gate(folder, name):
    leave_a_trace(folder, name)
    wait_for_gate(folder, name)
    record(name)


@queueable(max_attempts=3)
def until_aborted(folder, name):
    leave_a_trace(folder, name)
    pause = threading.Event()
    while True:
        pause.wait(0.05)
        current_job().checkpoint()


@queueable(max_attempts=2, retry_delays=(0.1,))
def fails_first(name):
    if current_job().attempt == 1:
        raise ValueError("not yet")
    record(name)


@queueable(max_attempts=1, time_limit_seconds=1)
def deaf_to_its_limit(folder, name):
    leave_a_trace(folder, name)
    while True:
        try:
            wait_for_gate(folder, name)
        except Exception:
            continue


@queueable(time_limit_seconds=1)
def too_slow(folder, name):
    wait_for_gate(folder, name)


@queueable()
def starts_a_program():
    """A job may start a program and end it with SIGTERM."""
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    program.terminate()
    return program.wait(20)


@queueable()
def tell_platform():
    """Tell which `platform` and which `isthmus` the job cluster's process sees."""
    import platform

    import isthmus

    return [platform.__file__, isthmus.__file__]
