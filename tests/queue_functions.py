"""Functions that tests hand to the queue, and what they were told."""

from typing import Any

from django.contrib.auth.models import Group

from callouts import http
from callouts.queue.follow_ups import CalloutOutcome
from isthmus.jobs import queueable

__all__ = ["ask", "told", "told_of_failure", "verdicts"]

told: list[tuple[str, CalloutOutcome]] = []
verdicts: list[bool | None] = []
builds: list[list[str]] = []


@queueable()
def told_of_success(outcome: CalloutOutcome) -> None:
    told.append(("success", outcome))
    Group.objects.create(name=f"answered {outcome.id}")


@queueable()
def told_of_failure(outcome: CalloutOutcome) -> None:
    told.append(("failure", outcome))


@queueable()
def ask(outcome: CalloutOutcome) -> bool | None:
    told.append(("probe", outcome))
    return verdicts.pop(0)


@queueable()
def without_outcome(number: int) -> None:
    """Cannot follow a callout."""


@queueable()
def chunk_request(records: list[str], context: Any) -> http.Request:
    builds.append(records)
    if context == "fail" and "3" in records:
        raise KeyError("3")
    return http.Request(method="POST", url="callout:Bank/bulk", json={"ids": records})


@queueable()
def refused_of(outcome: CalloutOutcome) -> dict[str, str]:
    return {str(one): "closed" for one in outcome.json().get("refused", [])}
