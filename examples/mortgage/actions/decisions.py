"""What the bank's decisions do to our records."""

from django.contrib.auth.models import User

from examples.mortgage.models import MortgageRequest
from examples.mortgage.platform_events import ApplicationDecided
from isthmus import clock
from isthmus.objects.actions import Operation, SaveResult, save
from isthmus.objects.record_ids import decode

__all__ = ["record_approval", "record_refusal", "record_silence"]

CLOSED_WON = "Closed Won"


def record_approval(user: User, reference: str, *, number: str, amount: float) -> None:
    """The bank approves: the lead becomes a Contact with an Opportunity, and the world is told."""
    request = _request_of(reference)
    lead = request.lead
    [contact] = save(
        user,
        "Contact",
        Operation.CREATE,
        [
            {
                "FirstName": lead.first_name,
                "LastName": lead.last_name,
                "Email": lead.email,
                "MailingStreet": lead.street,
                "LeadSource": "Mortgage",
                "External_Reference__c": number,
            }
        ],
    )
    _insist(contact)
    [opportunity] = save(
        user,
        "Opportunity",
        Operation.CREATE,
        [
            {
                "Name": f"Mortgage {number}",
                "StageName": CLOSED_WON,
                "Amount": amount,
                "CloseDate": clock.now().date().isoformat(),
                "External_Reference__c": number,
            }
        ],
    )
    _insist(opportunity)
    _close(
        user, request, MortgageRequest.Status.APPROVED, lead_status="Closed - Converted", number=number, amount=amount
    )


def record_refusal(user: User, reference: str, status: MortgageRequest.Status, *, number: str, reason: str) -> None:
    """The bank refuses, or could not work with what it was given."""
    _close(user, _request_of(reference), status, lead_status="Closed - Not Converted", number=number, reason=reason)


def record_silence(reference: str) -> None:
    """The bank said nothing for as long as we wait. That is no decision, so no event."""
    MortgageRequest.objects.filter(pk=_request_of(reference).pk).update(
        status=MortgageRequest.Status.TIMED_OUT, reason="The bank did not answer in time."
    )


def _request_of(reference: str) -> MortgageRequest:
    found: MortgageRequest = MortgageRequest.objects.select_related("lead").get(pk=decode(reference)[1])
    return found


def _close(
    user: User,
    request: MortgageRequest,
    status: MortgageRequest.Status,
    *,
    lead_status: str,
    number: str,
    amount: float | None = None,
    reason: str = "",
) -> None:
    MortgageRequest.objects.filter(pk=request.pk).update(
        status=status, application_number=number, approved_amount=amount, reason=reason
    )
    [updated] = save(user, "Lead", Operation.UPDATE, [{"Id": request.lead.record_id, "Status": lead_status}])
    _insist(updated)
    ApplicationDecided(
        application_number=number, outcome=status.value, amount=amount, request_id=request.record_id
    ).publish()


def _insist(result: SaveResult) -> None:
    if not result.success:
        raise RuntimeError("; ".join(error.message for error in result.errors))
