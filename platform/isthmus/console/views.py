"""The pages that belong to no app: home, search, time line, signing in and out."""

from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from isthmus import correlation, health
from isthmus.console import overview, registry, timeline
from isthmus.console.access import requires
from isthmus.console.rollups import spans
from isthmus.console.tones import Status, Tone

__all__ = ["SignIn", "SignOut", "home", "search", "time_line"]

LATEST_SHOWN = 12


class SignIn(auth_views.LoginView):
    """Signs a user in and goes on to the page that was asked for."""

    template_name = "console/sign_in.html"
    redirect_authenticated_user = True


class SignOut(auth_views.LogoutView):
    """Signs the user out; only by POST, so that no link of another site can."""


@require_safe
@requires("view")
def home(request: HttpRequest) -> HttpResponse:
    """Show what needs a person, how every part is, today against yesterday, what waits, and what happened last."""
    probes = [(probe, state, _status_of(probe, state)) for probe, state in health.probe_all()]
    unwell = [probe for probe, state, _ in probes if not state.ok]
    span = spans.chosen(request.GET)
    return render(
        request,
        "console/home.html",
        {
            "probes": probes,
            "unwell": unwell,
            "is_ready": not any(probe.required for probe in unwell),
            "needs": overview.all_needs(),
            "comparisons": overview.comparisons(),
            "figures": registry.all_figures(),
            "waiting": overview.all_waiting(),
            "charts": overview.home_charts(span),
            "span": span,
            "latest": timeline.latest(LATEST_SHOWN),
        },
    )


def _status_of(probe: health.Probe, state: health.Health) -> Status:
    if state.ok:
        return Status("Well", Tone.GOOD)
    return Status("Down", Tone.BAD) if probe.required else Status("Look here", Tone.WARNING)


@require_safe
@requires("view")
def search(request: HttpRequest) -> HttpResponse:
    """Lead from an id to its time line; say so when the text cannot be an id."""
    wanted = request.GET.get("q", "").strip()
    if wanted and correlation.accept(wanted) == wanted:
        return redirect("console:time-line", reference=wanted)
    return render(request, "console/search.html", {"wanted": wanted})


@require_safe
@requires("view")
def time_line(request: HttpRequest, reference: str) -> HttpResponse:
    """Show everything that is known about one id, in the order in which it happened."""
    found = timeline.trace(reference)
    return render(request, "console/time_line.html", {"found": found, "shown": timeline.ENTRIES_SHOWN})
