"""`platform/` is a source root, not a package: the standard library's `platform` stays importable at every entrance."""

import json
import os
import platform
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import migrated_instance, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
STANDARD = Path(sysconfig.get_path("stdlib")).resolve() / "platform.py"
TELL = "import platform, isthmus; print(platform.__file__); print(isthmus.__file__)"


def standard(path: str) -> bool:
    return Path(path.strip()).resolve() == STANDARD


def run(*command: str, cwd: Path = ROOT, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_the_folder_is_no_package():
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_pytest_sees_the_standard_module():
    assert standard(platform.__file__)


@pytest.mark.parametrize("interpreter", [[sys.executable], [sys.executable, "-S"]], ids=["installed", "bare checkout"])
def test_manage_py_sees_the_standard_module(tmp_path, interpreter):
    # Without site-packages only the paths that manage.py itself adds are there; Django is lent by PYTHONPATH.
    site = sysconfig.get_path("purelib")
    told = run(
        *interpreter, "manage.py", "shell", "-v", "0", "-c", TELL, ISTHMUS_DATA_DIR=str(tmp_path), PYTHONPATH=site
    ).splitlines()
    assert standard(told[0])
    assert told[1] == str(ROOT / "platform" / "isthmus" / "__init__.py")


def test_the_web_server_sees_the_standard_module():
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asginl",
        "--port",
        str(port),
        "tests.platform_probe:application",
    ]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if "Started worker" in line or "Listening" in line:
                break
        told = answer_of(port)
    finally:
        server.terminate()
        server.communicate(timeout=20)
    assert standard(told[0])
    assert told[1] == str(ROOT / "platform" / "isthmus" / "__init__.py")


def answer_of(port: int) -> list[str]:
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return answer.read().decode().splitlines()
        except ConnectionError:
            continue
        except urllib.error.URLError:
            subprocess.run([sys.executable, "-c", "pass"], check=True)  # gives the server a moment
    raise AssertionError("The web server did not answer.")


def test_the_job_cluster_sees_the_standard_module(tmp_path):
    with migrated_instance("sqlite", tmp_path, ISTHMUS_APPS="tests.job_samples") as instance:
        instance.start("worker")
        instance.python("from tests.job_samples.jobs import tell_platform; tell_platform.enqueue()")
        done = "SELECT result FROM jobs_job WHERE state = 'Completed'"
        [[result]] = wait_until(lambda: instance.rows(done), "the job to complete", timeout_seconds=90)
    told = json.loads(result)
    assert standard(told[0])
    assert told[1] == str(ROOT / "platform" / "isthmus" / "__init__.py")


def test_mypy_types_the_standard_module(tmp_path):
    sample = tmp_path / "sample.py"
    sample.write_text(
        "import platform\nfrom isthmus import clock\nreveal_type(platform.python_version())\nreveal_type(clock.now())\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            "pyproject.toml",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(sample),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert 'type is "str"' in done.stdout, done.stdout + done.stderr
    assert 'type is "datetime.datetime"' in done.stdout


def test_a_wheel_installed_elsewhere_sees_the_standard_module_and_carries_the_pages(tmp_path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(site)
    # Lends the libraries only: the path files inside a folder named by a path file are not followed.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    assert not [name for name in names if name.startswith(("platform/", "tests/", "examples/"))]
    told = run(str(tmp_path / "venv/bin/python"), "-c", TELL, cwd=tmp_path).splitlines()
    assert standard(told[0])
    assert told[1] == str(site / "isthmus" / "__init__.py")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    found = run(
        str(tmp_path / "venv/bin/python"),
        "-c",
        "import django; django.setup(); from django.template.loader import get_template;"
        "print(get_template('console/base.html').origin.name)",
        cwd=elsewhere,
        DJANGO_SETTINGS_MODULE="isthmus.settings",
    )
    assert found.strip() == str(site / "isthmus" / "templates" / "console" / "base.html")
    assert not (ROOT / "isthmus").exists()
