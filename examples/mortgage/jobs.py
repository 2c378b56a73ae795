"""What happens in the background."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command

from examples.mortgage.actions.applications import submit
from examples.mortgage.models import MortgageRequest
from isthmus.access.policy import system_user
from isthmus.jobs import current_job, queueable

__all__ = ["make_demo_data", "submit_application"]


@queueable(max_attempts=8, retry_delays=(1, 2, 4, 8, 15))
def submit_application(request_id: int, patience_seconds: float = 86_400) -> dict[str, Any]:
    """Send one mortgage request to the bank."""
    job = current_job()
    user = User.objects.get(pk=job.user_id) if job.user_id else system_user()
    request = MortgageRequest.objects.select_related("lead").get(pk=request_id)
    answer = submit(request, user=user, patience=timedelta(seconds=patience_seconds))
    job.log("The bank took the application in.", **answer)
    return answer


@queueable(kind="Set-up")
def make_demo_data() -> str:
    """Do what `manage.py seed_demo` does; nobody gets a superuser who is none."""
    asked_by = User.objects.filter(pk=current_job().user_id or 0, is_superuser=True)
    call_command("seed_demo", verbosity=0, with_superuser=asked_by.exists())
    return "The demo data are there."
