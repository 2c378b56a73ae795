"""The outside systems of the demo as processes."""

import sys
from pathlib import Path

from isthmus.supervisor import ProcessSpec

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "bank_spec"]

CLIENT_ID = "isthmus"
CLIENT_SECRET = "demo-bank-secret"


def bank_spec(port: int, data: Path, *, thinking_seconds: float = 1.0) -> ProcessSpec:
    """Return the mortgage bank, on loopback, with its ledger in `data`."""
    return ProcessSpec(
        name="bank",
        command=[
            *(sys.executable, "-m", "examples.bank", "--port", str(port), "--data", str(data)),
            *("--thinking-seconds", str(thinking_seconds)),
            *("--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET),
        ],
    )
