"""How a lead's wish reaches the bank."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User

from callouts.external_services import external_service
from crm.models import Lead
from examples.mortgage.callbacks import SubmitApplicationCallback
from examples.mortgage.models import MortgageRequest

__all__ = ["SERVICE", "open_request", "submit"]

SERVICE = "AcmeMortgages"


def open_request(user: User, lead: Lead, *, reference: str, amount: float, income: float) -> MortgageRequest:
    """Enter a lead's wish for a mortgage; entering the same `reference` again changes nothing."""
    request: MortgageRequest
    request, _ = MortgageRequest.objects.get_or_create(
        external_reference=reference,
        defaults={"lead": lead, "requested_amount": amount, "monthly_income": income, "created_by": user},
    )
    return request


def submit(request: MortgageRequest, *, user: User, patience: timedelta) -> dict[str, Any]:
    """Send a request to the bank and note its application number. Safe to repeat: its reference names it."""
    lead = request.lead
    answer = external_service(SERVICE).submit_application(
        body={
            "applicant": {"name": f"{lead.first_name} {lead.last_name}".strip(), "address": lead.street},
            "requestedAmount": float(request.requested_amount),
            "monthlyIncome": float(request.monthly_income),
        },
        callback=SubmitApplicationCallback,
        callback_timeout=patience,
        reference=request.record_id,
        user=user,
    )
    # Without a body where the first answer was lost for good and the callback came: that one told the number.
    number = (answer.body or {}).get("applicationNumber") or request.application_number
    # Only forward: the bank may have called back before this answer was read.
    MortgageRequest.objects.filter(pk=request.pk, status=MortgageRequest.Status.NEW).update(
        status=MortgageRequest.Status.SUBMITTED
    )
    MortgageRequest.objects.filter(pk=request.pk).update(application_number=number, invocation_id=answer.invocation_id)
    return {"application_number": number, "invocation_id": str(answer.invocation_id)}
