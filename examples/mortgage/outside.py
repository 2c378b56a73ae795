"""The outside systems of the demo as processes."""

import sys
from pathlib import Path

from isthmus.supervisor import ProcessSpec

__all__ = ["API_KEY", "CLIENT_ID", "CLIENT_SECRET", "CRM_LOGIN", "bank_spec", "crm_spec", "warehouse_spec"]

CLIENT_ID = "isthmus"
CLIENT_SECRET = "demo-bank-secret"
API_KEY = "demo-warehouse-key"
CRM_LOGIN = ("isthmus", "demo-crm-password")


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


def warehouse_spec(port: int, data: Path) -> ProcessSpec:
    """Return the warehouse, on loopback, with its book in `data`; it knows us by an API key."""
    return _partner_spec("warehouse", port, data, ["--api-key", API_KEY])


def crm_spec(port: int, data: Path) -> ProcessSpec:
    """Return the partner's CRM, on loopback, with its book in `data`; it knows us by user and password."""
    return _partner_spec("crm", port, data, ["--login", ":".join(CRM_LOGIN)])


def _partner_spec(name: str, port: int, data: Path, login: list[str]) -> ProcessSpec:
    command = [sys.executable, "-m", "examples.partners", "--name", name, "--port", str(port), "--data", str(data)]
    return ProcessSpec(name=name, command=[*command, *login])
