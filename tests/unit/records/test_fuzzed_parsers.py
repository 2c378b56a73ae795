"""The parsers of SOQL and SOSL under a fuzzer that looks for lines not reached yet."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]
LEAST_RUNS = 200


@pytest.mark.parametrize("language", ["soql", "sosl"])
@pytest.mark.skipif(find_spec("atheris") is None, reason="Atheris has no wheel for this system.")
def test_any_text_is_read_or_refused(language, tmp_path):
    options = ["-seed=1", "-runs=20000", "-max_total_time=15", "-max_len=400", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, "-m", "tests.fuzz.query_languages", language, *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert int(runs[1]) > LEAST_RUNS
