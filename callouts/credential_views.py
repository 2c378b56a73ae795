"""The pages of named credentials: state, health, a test of the connection, who can use it and why somebody cannot."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from callouts import destinations
from callouts.connection_tests import METHODS, try_connection
from callouts.console import breaker_status, status_of, title_of
from callouts.credential_health import health_of, success_rates
from callouts.figures import charts_of_credential
from callouts.models import Destination, IntegrationLogEntry
from callouts.queue.models import QueuedCallout
from credentials.explain import explain, who_can_use
from credentials.models import NamedCredential, Principal, PrincipalKind, PrincipalStatus
from credentials.origins import Origin
from credentials.registry import get_protocol
from isthmus.console.access import requires
from isthmus.console.listing_views import exportable
from isthmus.console.rollups import spans
from isthmus.console.tones import Status, Tone

__all__ = ["credential", "credentials", "destination", "listed_credentials", "shown_rows"]

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


def listed_credentials() -> QuerySet[NamedCredential]:
    """Return every named credential with what lists show."""
    return NamedCredential.objects.select_related("external_credential", "principal").prefetch_related(
        "external_credential__principals"
    )


def shown_rows(rows: Sequence[NamedCredential]) -> list[dict[str, Any]]:
    """Return some named credentials with their state and how they do; three queries."""
    last = IntegrationLogEntry.objects.succeeded().last_of_credential("started_at")
    used = dict(
        NamedCredential.objects.filter(pk__in=[row.pk for row in rows])
        .annotate(used_at=last)
        .values_list("name", "used_at")
    )
    rates = success_rates(row.name for row in rows)
    kept = {row.named_credential_id: row for row in Destination.objects.all()}
    return [
        {
            "named": row,
            "status": _status(row),
            "breaker": breaker_status(kept[row.pk]) if row.pk in kept else None,
            "protocol": get_protocol(row.external_credential.protocol).label,
            "used_at": used.get(row.name),
            "success_percent": _percent(rates.get(row.name)),
        }
        for row in rows
    ]


@require_safe
@requires("view")
@exportable("named-credentials")
def credentials(request: HttpRequest) -> HttpResponse:
    """List the named credentials with their state."""
    rows = shown_rows(list(listed_credentials().order_by("name")))
    return render(request, "callouts/credentials.html", {"rows": rows})


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
    span = spans.chosen(request.GET)
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
        **_health(named),
        "charts": charts_of_credential(named.name, span),
        "span": span,
    }
    return render(request, "callouts/credential.html", context)


@require_POST
@requires("operate")
def destination(request: HttpRequest, name: str) -> HttpResponse:
    """Do what an operator decided about the system behind a named credential."""
    named = get_object_or_404(NamedCredential, name=name)
    user, what = request.user, request.POST.get("what", "")
    assert isinstance(user, User)  # noqa: S101 - the guard saw to it
    if what == "reset" and destinations.reset_breaker(named.name, actor=user):
        messages.success(request, "The circuit breaker is closed; callouts leave again.")
    elif what == "release":
        destinations.release(named.name, actor=user)
        messages.success(request, "What was held leaves again.")
    elif what in {"dry-run-on", "dry-run-off"}:
        destinations.switch_dry_run(named, to=what == "dry-run-on", actor=user)
        messages.success(request, "Dry run: nothing is sent." if what == "dry-run-on" else "Callouts are sent again.")
    else:
        messages.info(request, "There was nothing to do.")
    return redirect("named_credentials:detail", name=name)


def _health(named: NamedCredential) -> dict[str, Any]:
    health = health_of(named.name)
    waiting = QueuedCallout.objects.not_ended().filter(named_credential=named.name)
    return {
        "health": health,
        "success_percent": _percent(health.success_rate),
        "breaker": breaker_status(health.destination),
        "waiting": waiting.count(),
        "next_retry": waiting.filter(tries__gt=0).order_by("due_at").values_list("due_at", flat=True).first(),
        "is_closed": health.destination.breaker == "closed",
    }


def _percent(share: float | None) -> str:
    """Return a share as people read it; only a whole success is 100."""
    if share is None:
        return "—"
    return "100 %" if share == 1 else f"{min(99.9, share * 100):.1f} %"


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
