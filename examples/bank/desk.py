"""The mortgage desk: decides applications some time later and tells their owners, until they have heard it."""

import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from json import dumps

from examples.bank.ledger import Application, Ledger

__all__ = ["Decision", "MortgageDesk", "decide"]

COMMITTEE_AMOUNT = 1_000_000
"""From here on the committee decides, which meets once a month."""
AFFORDABLE_MONTHS = 60
"""A loan of up to so many monthly incomes is approved."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How the desk decided: `approved`, `rejected` or `error`."""

    status: str
    approved_amount: float | None = None


def decide(application: Application) -> Decision | None:
    """Return the decision on an application, or `None` while the committee has it."""
    amount = float(application.body["requestedAmount"])
    if amount >= COMMITTEE_AMOUNT:
        return None
    if not application.body["applicant"].get("address"):
        return Decision(status="error")
    if amount <= float(application.body.get("monthlyIncome") or 0) * AFFORDABLE_MONTHS:
        return Decision(status="approved", approved_amount=amount)
    return Decision(status="rejected")


class MortgageDesk(threading.Thread):
    """Works through the ledger until it is stopped; all it knows is in the ledger, so it may die at any moment."""

    def __init__(self, ledger: Ledger, *, thinking_seconds: float, retry_seconds: float) -> None:
        super().__init__(daemon=True, name="mortgage-desk")
        self._ledger = ledger
        self._thinking_seconds = thinking_seconds
        self._retry_seconds = retry_seconds
        self._closed = threading.Event()

    def close(self) -> None:
        """Let the desk finish what it has in hand and stop."""
        self._closed.set()

    def run(self) -> None:
        while not self._closed.wait(0.05):
            for application in self._ledger.undecided(received_before=time.time() - self._thinking_seconds):
                decision = decide(application)
                if decision is not None:
                    self._ledger.decide(application.number, decision.status, decision.approved_amount)
            for application in self._ledger.undelivered():
                self._tell(application)

    def _tell(self, application: Application) -> None:
        urls = application.body.get("callbackUrlForOutcomes", {})
        body: dict[str, object] = {"applicationNumber": application.number, "status": application.status}
        url = urls.get(application.status, "")
        if application.status == "approved":
            body["approvedAmount"] = application.approved_amount
        elif application.status == "rejected":
            body = {"applicationNumber": application.number, "errorMessage": "The income does not carry this loan."}
        else:
            url = application.error_url
            body = {"applicationNumber": application.number, "errorMessage": "The address could not be verified."}
        if not url:
            self._ledger.note_delivery(application.number, "", None, "no address was given", done=True, delay=0)
            return
        status, answer = _post(url, body, application.number)
        done = status is not None and (status < 300 or status in {404, 408, 410})
        self._ledger.note_delivery(application.number, url, status, answer, done=done, delay=self._retry_seconds)


def _post(url: str, body: dict[str, object], number: str) -> tuple[int | None, str]:
    request = urllib.request.Request(
        url,
        data=dumps(body).encode(),
        headers={"Content-Type": "application/json", "applicationNumber": number},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(500).decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read(500).decode(errors="replace")
    except OSError as error:
        return None, str(error)
