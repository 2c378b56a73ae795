"""Development runs with nothing set; production refuses an insecure default and names the cure."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isthmus import keys

ROOT = Path(__file__).resolve().parent.parent.parent
LOAD = (
    "import isthmus.settings as s; print(s.ENVIRONMENT, s.DEBUG, bool(s.SECRET_KEY), bool(s.ISTHMUS_ENCRYPTION_KEYS))"
)
GOOD = {
    **keys.new_keys(),
    "ISTHMUS_ENVIRONMENT": "production",
    "ALLOWED_HOSTS": "isthmus.example.org",
    "ISTHMUS_BASE_URL": "https://isthmus.example.org",
}


def load(tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a process that has only `environment`."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ISTHMUS_DATA_DIR": str(tmp_path / "data")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD],
        cwd=ROOT,
        env={**bare, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_development_runs_with_nothing_set_and_makes_its_own_keys(tmp_path):
    assert load(tmp_path).stdout == "development False True True\n"
    kept = tmp_path / "data" / "development.keys"
    assert kept.stat().st_mode & 0o077 == 0
    before = kept.read_text()
    load(tmp_path)
    assert kept.read_text() == before


def test_processes_that_start_at_once_share_the_development_keys(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: keys.development_keys(tmp_path / "data"), range(32)))
    assert all(each == found[0] for each in found)
    assert sorted(found[0]) == ["ISTHMUS_ENCRYPTION_KEYS", "SECRET_KEY"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["development.keys"]


def test_production_runs_when_all_is_set(tmp_path):
    assert load(tmp_path, **GOOD).stdout == "production False True True\n"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is missing or weak. `python -m isthmus.keys`"),
        ({"SECRET_KEY": "django-insecure-" + "x" * 60}, "SECRET_KEY is missing or weak. `python -m isthmus.keys`"),
        ({"ISTHMUS_ENCRYPTION_KEYS": ""}, "ISTHMUS_ENCRYPTION_KEYS is missing. `python -m isthmus.keys`"),
        ({"DEBUG": "true"}, "DEBUG is on. Unset DEBUG"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is empty"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is empty or `*`"),
        ({"ISTHMUS_BASE_URL": "http://isthmus.example.org"}, "ISTHMUS_BASE_URL is not https"),
        ({"ISTHMUS_ENVIRONMENT": "staging"}, "ISTHMUS_ENVIRONMENT is 'staging'; it takes development or production"),
    ],
    ids=lambda value: next(iter(value.items())) if isinstance(value, dict) else "",
)
def test_production_refuses_an_insecure_default_and_names_the_cure(tmp_path, wrong, cure):
    refused = load(tmp_path, **{**GOOD, **wrong})
    assert refused.returncode != 0
    assert cure in refused.stderr
    assert refused.stdout == ""


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    refused = load(tmp_path, ISTHMUS_ENVIRONMENT="production")
    for name in ("SECRET_KEY", "ISTHMUS_ENCRYPTION_KEYS", "ALLOWED_HOSTS", "ISTHMUS_BASE_URL"):
        assert f"- {name} " in refused.stderr


def test_the_keys_command_needs_no_settings(tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "isthmus.keys"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "ISTHMUS_ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = dict(line.split("=", 1) for line in made.splitlines())
    assert load(tmp_path, **{**GOOD, **lines}).returncode == 0
