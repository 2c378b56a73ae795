"""The values that the standard picklists offer."""

__all__ = [
    "ACCOUNT_TYPES",
    "CASE_ORIGINS",
    "CASE_PRIORITIES",
    "CASE_REASONS",
    "CASE_STATUSES",
    "CASE_TYPES",
    "INDUSTRIES",
    "LEAD_SOURCES",
    "LEAD_STATUSES",
    "OPPORTUNITY_STAGES",
    "OPPORTUNITY_TYPES",
    "ORDER_STATUSES",
    "RATINGS",
    "SALUTATIONS",
]

ACCOUNT_TYPES = ("Prospect", "Customer - Direct", "Customer - Channel", "Technology Partner", "Other")
CASE_ORIGINS = ("Phone", "Email", "Web")
CASE_PRIORITIES = ("High", "Medium", "Low")
CASE_REASONS = ("Installation", "Equipment Complexity", "Performance", "Breakdown", "Feedback", "Other")
CASE_STATUSES = ("New", "Working", "Escalated", "Closed")
CASE_TYPES = ("Question", "Problem", "Feature Request")
INDUSTRIES = (
    "Agriculture",
    "Banking",
    "Construction",
    "Consulting",
    "Education",
    "Energy",
    "Finance",
    "Government",
    "Healthcare",
    "Insurance",
    "Manufacturing",
    "Media",
    "Retail",
    "Technology",
    "Transportation",
    "Other",
)
LEAD_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
LEAD_STATUSES = ("Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted")
OPPORTUNITY_STAGES = (
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)
OPPORTUNITY_TYPES = ("Existing Customer - Upgrade", "Existing Customer - Replacement", "New Customer")
ORDER_STATUSES = ("Draft", "Activated")
RATINGS = ("Hot", "Warm", "Cold")
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.")
