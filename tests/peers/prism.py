"""Runs Prism (npm's @stoplight/prism-cli), which serves an OpenAPI document and calls its callbacks."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["Prism", "require_prism"]

HERE = Path(__file__).resolve().parent
PRISM = HERE / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"


def require_prism():
    """Leave the test out, saying so, where node or the package is missing; where everything must run, fail."""
    if shutil.which("node") and PRISM.exists():
        return
    reason = "npm's @stoplight/prism-cli is not installed: `make test` installs it where npm is there."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class Prism:
    """The server while it is entered."""

    def __init__(self, document, log):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._document, self._log = document, Path(log)

    def __enter__(self):
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                ["node", str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(self.port), str(self._document)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while "is listening" not in self._log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Prism does not listen: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_error):
        self._process.terminate()
        self._process.wait(timeout=20)
