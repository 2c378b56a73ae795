"""The standard objects as Salesforce names them.

Picklists offer Salesforce's usual values and accept others, as the standard ones do there.
"""

from crm import picklists
from crm.models import Account, Case, Contact, Lead, Opportunity, Order
from isthmus.objects.registry import ExposedField, FieldKind, expose

REFERENCE = "External_Reference__c"


def _phone(source: str) -> ExposedField:
    return ExposedField(source=source, kind=FieldKind.PHONE)


def _picklist(source: str, values: tuple[str, ...]) -> ExposedField:
    return ExposedField(source=source, picklist=values)


def _money(source: str) -> ExposedField:
    return ExposedField(source=source, kind=FieldKind.CURRENCY)


def _address(prefix: str, source_prefix: str) -> dict[str, str | ExposedField]:
    return {
        f"{prefix}{part}": f"{source_prefix}{source}"
        for part, source in (
            ("Street", "street"),
            ("City", "city"),
            ("State", "state"),
            ("PostalCode", "postal_code"),
            ("Country", "country"),
        )
    }


_COMMON: dict[str, str | ExposedField] = {
    "OwnerId": "owner",
    REFERENCE: ExposedField(source="external_reference", label="External Reference"),
}

expose(
    Account,
    api_name="Account",
    key_prefix="001",
    external_ids=[REFERENCE],
    fields={
        "Name": "name",
        "Type": _picklist("account_type", picklists.ACCOUNT_TYPES),
        "ParentId": "parent",
        **_address("Billing", "billing_"),
        "Phone": _phone("phone"),
        "Fax": _phone("fax"),
        "AccountNumber": "account_number",
        "Website": ExposedField(source="website", kind=FieldKind.URL),
        "Industry": _picklist("industry", picklists.INDUSTRIES),
        "AnnualRevenue": _money("annual_revenue"),
        "NumberOfEmployees": "number_of_employees",
        "Description": "description",
        **_COMMON,
    },
)

expose(
    Contact,
    api_name="Contact",
    key_prefix="003",
    external_ids=[REFERENCE],
    fields={
        "AccountId": "account",
        "LastName": "last_name",
        "FirstName": "first_name",
        "Salutation": _picklist("salutation", picklists.SALUTATIONS),
        "Name": "name",
        **_address("Mailing", "mailing_"),
        "Phone": _phone("phone"),
        "MobilePhone": _phone("mobile_phone"),
        "Email": "email",
        "Title": "title",
        "Department": "department",
        "LeadSource": _picklist("lead_source", picklists.LEAD_SOURCES),
        "Birthdate": "birthdate",
        "Description": "description",
        **_COMMON,
    },
)

expose(
    Lead,
    api_name="Lead",
    key_prefix="00Q",
    external_ids=[REFERENCE],
    fields={
        "LastName": "last_name",
        "FirstName": "first_name",
        "Salutation": _picklist("salutation", picklists.SALUTATIONS),
        "Name": "name",
        "Title": "title",
        "Company": "company",
        **_address("", ""),
        "Phone": _phone("phone"),
        "MobilePhone": _phone("mobile_phone"),
        "Email": "email",
        "Website": ExposedField(source="website", kind=FieldKind.URL),
        "Description": "description",
        "LeadSource": _picklist("lead_source", picklists.LEAD_SOURCES),
        "Status": _picklist("status", picklists.LEAD_STATUSES),
        "Industry": _picklist("industry", picklists.INDUSTRIES),
        "Rating": _picklist("rating", picklists.RATINGS),
        "AnnualRevenue": _money("annual_revenue"),
        "NumberOfEmployees": "number_of_employees",
        "IsConverted": ExposedField(source="is_converted", read_only=True),
        **_COMMON,
    },
)

expose(
    Opportunity,
    api_name="Opportunity",
    key_prefix="006",
    external_ids=[REFERENCE],
    fields={
        "AccountId": "account",
        "Name": "name",
        "Description": "description",
        "StageName": _picklist("stage_name", picklists.OPPORTUNITY_STAGES),
        "Amount": _money("amount"),
        "Probability": ExposedField(source="probability", kind=FieldKind.PERCENT),
        "CloseDate": "close_date",
        "Type": _picklist("opportunity_type", picklists.OPPORTUNITY_TYPES),
        "NextStep": "next_step",
        "LeadSource": _picklist("lead_source", picklists.LEAD_SOURCES),
        **_COMMON,
    },
)

expose(
    Order,
    api_name="Order",
    key_prefix="801",
    external_ids=[REFERENCE],
    fields={
        "OrderNumber": ExposedField(source="order_number", auto_number=True, name_field=True),
        "AccountId": "account",
        "OpportunityId": "opportunity",
        "BillToContactId": "bill_to_contact",
        "Status": _picklist("status", picklists.ORDER_STATUSES),
        "EffectiveDate": "effective_date",
        "EndDate": "end_date",
        "Type": "order_type",
        "PoNumber": "po_number",
        "TotalAmount": _money("total_amount"),
        **_address("Billing", "billing_"),
        **_address("Shipping", "shipping_"),
        "Description": "description",
        **_COMMON,
    },
)

expose(
    Case,
    api_name="Case",
    key_prefix="500",
    external_ids=[REFERENCE],
    fields={
        "CaseNumber": ExposedField(source="case_number", auto_number=True, name_field=True),
        "ContactId": "contact",
        "AccountId": "account",
        "ParentId": "parent",
        "SuppliedName": "supplied_name",
        "SuppliedEmail": "supplied_email",
        "SuppliedPhone": "supplied_phone",
        "SuppliedCompany": "supplied_company",
        "Type": _picklist("case_type", picklists.CASE_TYPES),
        "Status": _picklist("status", picklists.CASE_STATUSES),
        "Reason": _picklist("reason", picklists.CASE_REASONS),
        "Origin": _picklist("origin", picklists.CASE_ORIGINS),
        "Subject": "subject",
        "Priority": _picklist("priority", picklists.CASE_PRIORITIES),
        "Description": "description",
        "IsClosed": "is_closed",
        **_COMMON,
    },
)
