"""Runs jsforce (tests/peers/jsforce_client.mjs) as a process: what it got from the record API comes back as JSON."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["require_jsforce", "walk"]

HERE = Path(__file__).resolve().parent


def require_jsforce():
    """Leave the test out, saying so, where node or the package is missing; where everything must run, fail."""
    if shutil.which("node") and (HERE / "node_modules" / "jsforce").exists():
        return
    reason = "npm's jsforce is not installed: `make test` installs it where npm is there."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def walk(instance_url, access_token, version):
    """Let the client do all that it does, and return what it got."""
    given = json.dumps({"instanceUrl": instance_url, "accessToken": access_token, "version": version})
    done = subprocess.run(
        ["node", "jsforce_client.mjs"],
        cwd=HERE,
        input=f"{given}\n",
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)
