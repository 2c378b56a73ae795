"""The page that answers *may they, and why not?*."""

from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from isthmus.access.explaining import explain
from isthmus.access.registry import all_grant_kinds
from isthmus.console.access import requires
from isthmus.errors import IsthmusError

__all__ = ["why"]


class WhyForm(forms.Form):
    """Who, what, and to what."""

    user = forms.ModelChoiceField(get_user_model().objects.order_by("username"), label="User")
    action = forms.ChoiceField(label="wants to")
    target = forms.CharField(max_length=255, label="on")

    def __init__(self, given: QueryDict | None) -> None:
        super().__init__(given, auto_id="why-%s")
        choices = [
            (kind.label, [(f"{kind.name}.{action}", f"{action} ({kind.name})") for action in kind.actions])
            for kind in all_grant_kinds()
        ]
        self.fields["action"] = forms.ChoiceField(label="wants to", choices=choices)


@require_safe
@requires("view")
def why(request: HttpRequest) -> HttpResponse:
    """Name the rule that decides whether a user may do something."""
    asked = bool(request.GET)
    form = WhyForm(request.GET if asked else None)
    found, problem = None, ""
    if asked and form.is_valid():
        kind, _, action = form.cleaned_data["action"].partition(".")
        try:
            found = explain(form.cleaned_data["user"], kind, action, form.cleaned_data["target"].strip())
        except IsthmusError as error:
            problem = error.message
    return render(request, "console/why.html", {"form": form, "found": found, "problem": problem})
