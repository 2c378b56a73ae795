"""What the demo adds to the console: its data, for whoever looks at an empty installation."""

from django.conf import settings
from django.urls import reverse

from isthmus.access.policy import AnyUser
from isthmus.console.registry import DemoData, register_demo_data

__all__ = ["begin", "register"]

ADDS = (
    "Users admin, operator and integration; the first two sign in with their name as their password.",
    "Permission sets that let the operator act in the console and call the bank.",
    "Named credentials for a bank, a warehouse and a partner's CRM, which are programs on this machine.",
    "The external service AcmeMortgages, registered from the bank's OpenAPI document.",
    "An API client for the sf command line, and the topics of the demo's events.",
)


def register() -> None:
    """Join the console; called once, when the app is ready. Production refuses the demo's passwords."""
    if not settings.IS_PRODUCTION:
        register_demo_data(DemoData(adds=ADDS, begin=begin))


def begin(user: AnyUser) -> str:
    """Make the data in the background; return the address of the operation."""
    from examples.mortgage.jobs import make_demo_data
    from isthmus.jobs.actions import enqueue_function

    job = enqueue_function(make_demo_data, user=user, unique_key="demo-data")
    return reverse("jobs:detail", args=[job.pk])
