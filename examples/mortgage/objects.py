"""Which of our models are records."""

from examples.mortgage.models import MortgageRequest
from isthmus.objects.registry import expose

expose(
    MortgageRequest,
    api_name="Mortgage_Request__c",
    key_prefix="a0M",
    fields={
        "Lead__c": "lead",
        "External_Reference__c": "external_reference",
        "Requested_Amount__c": "requested_amount",
        "Monthly_Income__c": "monthly_income",
        "Status__c": "status",
        "Application_Number__c": "application_number",
        "Approved_Amount__c": "approved_amount",
        "Reason__c": "reason",
    },
    external_ids=["External_Reference__c"],
)
