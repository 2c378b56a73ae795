"""The pages of named credentials: state, a test of the connection, who can use it and why somebody cannot."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_safe

from callouts.connection_tests import METHODS, try_connection
from callouts.console import status_of, title_of
from callouts.models import IntegrationLogEntry, Outcome
from credentials.explain import explain, who_can_use
from credentials.models import NamedCredential, Principal, PrincipalKind, PrincipalStatus
from credentials.origins import Origin
from credentials.registry import get_protocol
from isthmus.console.access import requires
from isthmus.console.tones import Status, Tone

__all__ = ["credential", "credentials"]

_STATUSES = {
    PrincipalStatus.NOT_CONFIGURED: Status("Not configured", Tone.NEUTRAL),
    PrincipalStatus.CONFIGURED: Status("Configured", Tone.GOOD),
    PrincipalStatus.AUTHENTICATED: Status("Authenticated", Tone.GOOD),
    PrincipalStatus.FAILED: Status("Failed", Tone.BAD),
}
_EACH = Status("Each user connects", Tone.NEUTRAL, "user")
_OFF = Status("Switched off", Tone.NEUTRAL, "pause")
_LATEST = 8


class TestForm(forms.Form):
    """What to call, and as whom."""

    __test__ = False  # pytest collects by name

    method = forms.ChoiceField(choices=[(name, name) for name in METHODS], initial="GET")
    path = forms.CharField(required=False, max_length=1_000, help_text="Within the address above.")
    as_user = forms.ModelChoiceField(
        get_user_model().objects.filter(is_active=True).order_by("username"), required=False, label="As"
    )


class WhyForm(forms.Form):
    """Whom to ask about."""

    user = forms.ModelChoiceField(
        get_user_model().objects.filter(is_active=True).order_by("username"), required=False, label="User"
    )


@require_safe
@requires("view")
def credentials(request: HttpRequest) -> HttpResponse:
    """List the named credentials with their state."""
    rows = (
        NamedCredential.objects.select_related("external_credential", "principal")
        .prefetch_related("external_credential__principals")
        .order_by("name")
    )
    used = dict(
        IntegrationLogEntry.objects.filter(named_credential__in=[row.name for row in rows], outcome=Outcome.SUCCEEDED)
        .values_list("named_credential")
        .annotate(last=Max("started_at"))
    )
    shown = [
        (row, _status(row), get_protocol(row.external_credential.protocol).label, used.get(row.name)) for row in rows
    ]
    return render(request, "callouts/credentials.html", {"rows": shown})


@require_http_methods(["GET", "HEAD", "POST"])
@requires("view")
def credential(request: HttpRequest, name: str) -> HttpResponse:
    """Show one named credential; a POST tests its connection."""
    named = get_object_or_404(NamedCredential.objects.with_authentication(), name=name)
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - the guard saw to it
    may_test = user.has_perm("credentials.change_namedcredential")
    form = TestForm(request.POST if request.method == "POST" else None, initial={"as_user": user})
    outcome = None
    if request.method == "POST":
        if not may_test:
            raise PermissionDenied("Testing a connection takes the right to change the named credential.")
        if form.is_valid():
            given = form.cleaned_data
            outcome = try_connection(named, given["as_user"] or user, method=given["method"], path=given["path"])
    why = WhyForm(request.GET if "user" in request.GET else None)
    asked = why.cleaned_data["user"] if why.is_bound and why.is_valid() else None
    context: dict[str, Any] = {
        "named": named,
        "status": _status(named),
        "protocol": get_protocol(named.external_credential.protocol).label,
        "base": Origin.parse(named.url).base,
        "principals": _principals(named),
        "test_form": form,
        "may_test": may_test,
        "outcome": outcome,
        "who": who_can_use(named),
        "why_form": why,
        "explanation": explain(named.name, asked) if asked else None,
        "entries": _latest(named),
    }
    return render(request, "callouts/credential.html", context)


def _status(named: NamedCredential) -> Status:
    if not named.is_enabled:
        return _OFF
    principals = [named.principal] if named.principal else list(named.external_credential.principals.all())
    states = [PrincipalStatus(each.status) for each in principals if each.kind != PrincipalKind.PER_USER]
    for state in (PrincipalStatus.FAILED, PrincipalStatus.NOT_CONFIGURED, PrincipalStatus.CONFIGURED):
        if state in states:
            return _STATUSES[state]
    if states:
        return _STATUSES[PrincipalStatus.AUTHENTICATED]
    return (
        Status("Each user connects", Tone.NEUTRAL, "user") if principals else _STATUSES[PrincipalStatus.NOT_CONFIGURED]
    )


def _principals(named: NamedCredential) -> list[tuple[Principal, Status]]:
    chosen = Q(pk=named.principal_id) if named.principal_id else Q(external_credential=named.external_credential)
    rows = Principal.objects.filter(chosen).select_related("external_credential").in_order_of_choice()
    return [
        (row, _EACH if row.kind == PrincipalKind.PER_USER else _STATUSES[PrincipalStatus(row.status)]) for row in rows
    ]


def _latest(named: NamedCredential) -> list[tuple[IntegrationLogEntry, str, Status]]:
    rows = IntegrationLogEntry.objects.filter(named_credential=named.name).order_by("-started_at", "-id")[:_LATEST]
    return [(row, title_of(row), status_of(row)) for row in rows]
