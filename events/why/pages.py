"""The page that answers *why did this not fire?* for a record, one of its changes, or an event."""

from collections.abc import Sequence

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from events.models import EventLogEntry, Subscription
from events.why.events import explain_event
from events.why.findings import Group, Verdict
from events.why.records import RecordAnswer, explain_record
from isthmus.console.access import requires
from isthmus.objects.console import object_and_number
from isthmus.objects.object_types import ObjectType

__all__ = ["WhyForm", "why"]


class WhyForm(forms.Form):
    """What did not fire, and when."""

    record = forms.CharField(label="Record id", max_length=18, required=False)
    event = forms.IntegerField(label="or replay id", min_value=1, max_value=2**63 - 1, required=False)
    until = forms.DateTimeField(
        label="Changed until (UTC)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    subscription = forms.ModelChoiceField(
        Subscription.objects.order_by("name"), label="At", required=False, empty_label="Every subscription"
    )

    def __init__(self, given: QueryDict | None) -> None:
        super().__init__(given, auto_id="why-%s")

    def clean_record(self) -> tuple[ObjectType, int] | None:
        """Return which record is meant."""
        text = str(self.cleaned_data["record"]).strip()
        found = object_and_number(text) if text else None
        if text and found is None:
            raise forms.ValidationError("This is no id of a record of any object here.")
        return found


@require_safe
@requires("view")
def why(request: HttpRequest) -> HttpResponse:
    """Show what was considered, and what decided."""
    form = WhyForm(request.GET or None)
    answer: RecordAnswer | None = None
    groups: Sequence[Group] = ()
    problem = ""
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        subscription = given["subscription"].pk if given["subscription"] else None
        if given["record"]:
            answer = explain_record(
                *given["record"], replay_id=given["event"], until=given["until"], subscription_id=subscription
            )
            groups = answer.groups
        elif given["event"]:
            groups, problem = _about_event(given["event"], subscription)
    context = {
        "form": form,
        "answer": answer,
        "groups": groups,
        "problem": problem,
        "headline": _headline(groups),
    }
    return render(request, "events/why.html", context)


def _about_event(replay_id: int, subscription_id: int | None) -> tuple[Sequence[Group], str]:
    entry = EventLogEntry.objects.select_related("topic").filter(pk=replay_id).first()
    if entry is None:
        return (), f"No event has the replay id {replay_id}: there was none, or it is no longer kept."
    return explain_event(entry, subscription_id=subscription_id), ""


def _headline(groups: Sequence[Group]) -> tuple[Verdict, str] | None:
    """Return in one sentence how it stands: what stopped it on its way, or how many subscriptions have it."""
    if not groups:
        return None
    on_the_way = [finding for group in groups if group.decides and not group.url for finding in group.findings]
    for verdict in (Verdict.STOPPED, Verdict.HELD):
        for finding in on_the_way:
            if finding.verdict is verdict:
                return verdict, finding.reason
    readers = [group.verdict for group in groups if group.url]
    fired = sum(verdict in {Verdict.PASSED, Verdict.NOTE} for verdict in readers)
    told = f"{fired} of {len(readers)} subscription{'' if len(readers) == 1 else 's'} handled it."
    if fired == len(readers):
        return Verdict.PASSED, told
    return (Verdict.HELD if Verdict.STOPPED not in readers else Verdict.STOPPED), told
