"""Which of our models are records."""

from examples.mortgage.models import MortgageRequest
from isthmus.objects.registry import expose

expose(
    MortgageRequest,
    api_name="Mortgage_Request__c",
    key_prefix="a0M",
    fields={
        "lead": "Lead__c",
        "external_reference": "External_Reference__c",
        "requested_amount": "Requested_Amount__c",
        "monthly_income": "Monthly_Income__c",
        "status": "Status__c",
        "application_number": "Application_Number__c",
        "approved_amount": "Approved_Amount__c",
        "reason": "Reason__c",
    },
    external_ids=["external_reference"],
)
