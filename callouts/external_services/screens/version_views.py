"""Pages about versions of a service: what changed, switching, the document as it was given, connecting."""

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from callouts.external_services import uses
from callouts.external_services.actions import activate, connect
from callouts.external_services.models import DocumentSource, ExternalService, ExternalServiceVersion
from callouts.external_services.version_comparison import changes_between
from isthmus.access import policy
from isthmus.console.access import requires
from isthmus.errors import IsthmusError

__all__ = ["connect_service", "source", "switch", "version"]

_MOST_SHOWN = 300


@require_safe
@requires("view")
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show what differs between a version and the active one, and who uses what changed."""
    service = get_object_or_404(ExternalService.objects.select_related("active_version"), name=name)
    found = get_object_or_404(
        ExternalServiceVersion.objects.defer("page_starts", "anchors"), service=service, number=number
    )
    active = service.active_version
    changes = changes_between(active, found) if active is not None and active.pk != found.pk else []
    touched = [change.name for change in changes if change.kind != "added"]
    found_uses = uses.of_operations(service, touched) if touched else {}
    context = {
        "service": service,
        "version": found,
        "active": active,
        "is_active": active is not None and active.pk == found.pk,
        "changes": [(change, found_uses.get(change.name, [])) for change in changes[:_MOST_SHOWN]],
        "number_of_changes": len(changes),
        "breaking": sum(change.is_breaking for change in changes),
        "sources": found.sources.defer("text"),
        "problems": found.problems or [],
        "may_operate": policy.is_granted(request.user, "console", "operate", "*"),
    }
    return render(request, "external_services/version.html", context)


@require_safe
@requires("view")
def source(request: HttpRequest, name: str, number: int, pk: int) -> HttpResponse:
    """Return a text that a version was made of, as it was given."""
    found = get_object_or_404(DocumentSource, pk=pk, version__number=number, version__service__name=name)
    kind = "application/json" if found.format == "json" else "application/yaml"
    response = HttpResponse(found.text, content_type=f"{kind}; charset=utf-8")
    filename = found.name.rpartition("/")[2] or f"{name}-{number}.{found.format}"
    response["Content-Disposition"] = f'attachment; filename="{filename.encode("ascii", "ignore").decode()}"'
    return response


@require_POST
@requires("operate")
def switch(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Make a version the active one."""
    service = get_object_or_404(ExternalService, name=name)
    try:
        activate(service, number, user=_user(request))
    except IsthmusError as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, f"Version {number} is active.")
    return redirect("external_services:service", name=name)


@require_POST
@requires("operate")
def connect_service(request: HttpRequest, name: str) -> HttpResponse:
    """Make the credentials that the document asks for, all but the secrets."""
    service = get_object_or_404(ExternalService.objects.select_related("active_version"), name=name)
    user = _user(request)
    if not user.has_perm("credentials.add_namedcredential") or not user.has_perm("credentials.add_externalcredential"):
        messages.error(request, "Making credentials needs an administrator's permission to add them.")
        return redirect("external_services:service", name=name)
    try:
        made = connect(
            service, scheme=request.POST.get("scheme", ""), url=request.POST.get("url", "").strip(), user=user
        )
    except IsthmusError as refused:
        messages.error(request, refused.message)
    except ValidationError as invalid:
        messages.error(request, "; ".join(invalid.messages))
    else:
        left = f" Still to be entered in Set-up, Principals: {', '.join(made.secrets)}." if made.secrets else ""
        messages.success(request, f"It is reached through the named credential {made.named_credential.name}.{left}")
    return redirect("external_services:service", name=name)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    return request.user
