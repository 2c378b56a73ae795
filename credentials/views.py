"""The pages of one's own connections, and the way to an identity provider and back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from credentials import connections
from credentials.errors import AuthenticationFailed, CredentialError
from credentials.models import Principal
from credentials.my_connections import connections_of
from isthmus.access.errors import PermissionRefused
from isthmus.console.listing_views import exportable

__all__ = ["callback", "end", "my_connections", "start"]


@require_GET
@login_required
@exportable("my-connections")
def my_connections(request: HttpRequest) -> HttpResponse:
    """Every per-user principal that the signed-in user may use, with what they have there."""
    rows = connections_of(_user(request))
    return render(request, "credentials/my_connections.html", {"rows": rows})


@require_POST
@login_required
def start(request: HttpRequest, principal_id: int) -> HttpResponse:
    """Send the browser to the identity provider's page of consent."""
    principal = _principal(principal_id)
    return_to = request.POST.get("return_to") or reverse("credentials:my_connections")
    try:
        departure = connections.connect(principal, _user(request), request.session, return_to=return_to)
    except (CredentialError, PermissionRefused) as error:
        messages.error(request, error.message)
        return redirect("credentials:my_connections")
    return HttpResponseRedirect(departure.url)


@never_cache
@require_GET
@login_required
@sensitive_variables()
def callback(request: HttpRequest, name: str) -> HttpResponse:
    """Take the identity provider's answer; the address with the code in it is left at once."""
    answer = {key: value for key, value in request.GET.items() if isinstance(value, str)}
    try:
        done = connections.finish(name, answer, _user(request), request.session)
    except (CredentialError, AuthenticationFailed) as error:
        messages.error(request, error.message)
        return redirect("credentials:my_connections")
    messages.success(request, f"{done.principal} is connected.")
    return redirect(done.return_to)


@require_POST
@login_required
def end(request: HttpRequest, principal_id: int) -> HttpResponse:
    """Give a grant up."""
    principal = _principal(principal_id)
    try:
        outcome = connections.disconnect(principal, _user(request))
    except PermissionRefused as error:
        messages.error(request, error.message)
    else:
        if outcome.was_revoked:
            messages.success(request, f"{principal} is disconnected, here and at the identity provider.")
        else:
            messages.warning(request, f"{principal} is forgotten here, but not revoked there: {outcome.trouble}")
    return redirect(connections.safe_return(request.POST.get("return_to", "")))


def _principal(principal_id: int) -> Principal:
    rows = Principal.objects.select_related("external_credential__identity_provider__certificate")
    return get_object_or_404(rows, pk=principal_id)


def _user(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - login_required saw to it
    return user
