"""The pages that belong to no app: home, search, time line and its bundle, signing in and out."""

from django.contrib.auth import views as auth_views
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from isthmus import correlation, health
from isthmus.console import bundles, finding, overview, picture, registry, timeline
from isthmus.console.access import requires
from isthmus.console.rollups import spans
from isthmus.console.tones import Status, Tone

__all__ = ["SignIn", "SignOut", "demo_data", "home", "search", "time_line", "time_line_bundle"]

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


@require_http_methods(["GET", "HEAD", "POST"])
@requires("administer")
def demo_data(request: HttpRequest) -> HttpResponse:
    """Say what the demo data are; make them in the background."""
    demo = registry.demo_data()
    if demo is None:
        raise Http404
    if request.method == "POST":
        return redirect(demo.begin(request.user))
    return render(request, "console/demo_data.html", {"demo": demo})


@require_safe
@requires("view")
def search(request: HttpRequest) -> HttpResponse:
    """Lead from an id or a name to what goes by it; say what was looked at where nothing does."""
    wanted = request.GET.get("q", "").strip()
    is_possible = len(wanted) <= finding.LONGEST and wanted.isprintable()
    found = finding.find(request.user, wanted) if wanted and is_possible else None
    if found is not None and len(found.matches) == 1:
        return redirect(found.matches[0].url)
    context = {
        "wanted": wanted,
        "found": found,
        "longest": finding.LONGEST,
        "is_reference": correlation.accept(wanted) == wanted,
    }
    return render(request, "console/search.html", context)


@require_safe
@requires("view")
def time_line(request: HttpRequest, reference: str) -> HttpResponse:
    """Show everything that is known about one id: as a picture, and in the order in which it happened."""
    found = timeline.trace(reference)
    context = {
        "found": found,
        "picture": picture.draw(found.entries),
        "links": registry.links_of(request.user, reference),
        "most_drawn": picture.MOST_DRAWN,
        "shown": timeline.ENTRIES_SHOWN,
    }
    return render(request, "console/time_line.html", context)


@require_safe
@requires("view")
def time_line_bundle(request: HttpRequest, reference: str) -> HttpResponse:
    """Give the time line of one id as a ZIP, redacted."""
    made = bundles.bundle_of(timeline.trace(reference), made_by=request.user.get_username())
    return HttpResponse(
        made,
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{bundles.file_name(reference)}"',
            "Cache-Control": "no-store",
        },
    )
