"""Logs are structured, carry the correlation id on every line, and are JSON in production."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = """
import logging, logging.config
from isthmus import correlation, logs
logging.config.dictConfig(logs.configuration(as_json={as_json}, level="INFO"))
with correlation.bind("trace-1"):
    logs.get_logger("sample").info("callout.sent", status=201)
    logging.getLogger("somebody.else").warning("plain %s", "text")
    try:
        secret = "hunter2"
        raise ValueError("broken")
    except ValueError:
        logs.get_logger("sample").exception("it.failed")
logs.get_logger("sample").info("outside")
logs.get_logger("sample").debug("not.shown")
"""


def lines(*, as_json: bool) -> list[str]:
    """Log in a process of its own: the configuration is for a whole process."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(as_json=as_json)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stderr.splitlines()


def test_production_logs_one_json_object_a_line_with_the_correlation_id():
    found = [json.loads(line) for line in lines(as_json=True)]
    assert [line["event"] for line in found] == ["callout.sent", "plain text", "it.failed", "outside"]
    assert [line["correlation_id"] for line in found] == ["trace-1", "trace-1", "trace-1", "-"]
    assert found[0]["status"] == 201
    assert found[0]["logger"] == "sample"
    assert found[0]["level"] == "info"
    assert "ValueError: broken" in found[2]["exception"]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_values(as_json):
    text = "\n".join(lines(as_json=as_json))
    assert "ValueError: broken" in text
    assert "hunter2" not in text


def test_development_logs_text_with_the_correlation_id():
    first = lines(as_json=False)[0]
    assert "callout.sent" in first
    assert "correlation_id=trace-1" in first
