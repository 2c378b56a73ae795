"""What outside callers may ask of this app."""

from dataclasses import dataclass

from apexrest import context, http_post, rest_resource
from apexrest.upsert import require_saved, upsert_by_reference

__all__ = ["SupportRequest", "SupportRequests", "SupportTicket"]


@dataclass(frozen=True)
class SupportRequest:
    """A customer's plea, known to the caller by its own reference."""

    externalReference: str  # noqa: N815 - the name on the wire
    customerEmail: str  # noqa: N815 - the name on the wire
    subject: str
    description: str = ""


@dataclass(frozen=True)
class SupportTicket:
    """What the caller gets: which case it became, and whether it is new."""

    caseId: str  # noqa: N815 - the name on the wire
    status: str
    message: str


@rest_resource("/v1/support-requests/*")
class SupportRequests:
    """Support requests from outside become Cases; the same reference twice is one Case."""

    @http_post(statuses={201: "The case is new."})
    def create(self, requestBody: SupportRequest) -> SupportTicket:  # noqa: N803 - the name on the wire
        """Open a case, or find the one this reference opened before (201 the first time, 200 after)."""
        result = require_saved(
            upsert_by_reference(
                context.request.user,
                "Case",
                requestBody.externalReference,
                {
                    "Subject": requestBody.subject,
                    "Description": requestBody.description,
                    "SuppliedEmail": requestBody.customerEmail,
                    "Origin": "Web",
                },
            )
        )
        context.response.status = 201 if result.created else 200
        message = "Support request accepted." if result.created else "Support request already known; case updated."
        return SupportTicket(caseId=result.id or "", status="created" if result.created else "updated", message=message)
