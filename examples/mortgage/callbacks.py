"""What the bank's calls back do here."""

from typing import Any

from callouts.callbacks import Callback, CallbackHandler
from examples.mortgage.actions import decisions
from examples.mortgage.models import MortgageRequest
from isthmus.access.policy import system_user

__all__ = ["SubmitApplicationCallback"]


class SubmitApplicationCallback(CallbackHandler):
    """One method for each callback that the document of `SubmitApplication` names."""

    def application_outcome_approved(self, callbacks: list[Callback]) -> None:
        """Turn approvals into Contacts and Opportunities."""
        for callback in callbacks:
            body = _body(callback)
            decisions.record_approval(
                system_user(),
                callback.reference,
                number=body["applicationNumber"],
                amount=body.get("approvedAmount", callback.request["body"]["requestedAmount"]),
            )

    def application_outcome_rejected(self, callbacks: list[Callback]) -> None:
        """Close what the bank does not finance."""
        self._refuse(callbacks, MortgageRequest.Status.REJECTED)

    def application_error(self, callbacks: list[Callback]) -> None:
        """Close what the bank could not work with."""
        self._refuse(callbacks, MortgageRequest.Status.ERROR)

    def timed_out(self, callbacks: list[Callback]) -> None:
        """Note that the bank was silent."""
        for callback in callbacks:
            decisions.record_silence(callback.reference)

    def _refuse(self, callbacks: list[Callback], status: MortgageRequest.Status) -> None:
        for callback in callbacks:
            body = _body(callback)
            decisions.record_refusal(
                system_user(),
                callback.reference,
                status,
                number=body["applicationNumber"],
                reason=body.get("errorMessage", ""),
            )


def _body(callback: Callback) -> dict[str, Any]:
    # `None` is for callbacks that did not come, which only `timed_out` gets.
    body: dict[str, Any] = callback.response.body if callback.response else {}
    return body
