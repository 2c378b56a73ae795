"""The pages of one's own connections, and the way to an identity provider and back."""

from dataclasses import dataclass
from datetime import datetime

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
from credentials.models import ConnectionState, Principal, PrincipalKind, StoredToken
from credentials.registry import get_protocol
from isthmus.access.errors import PermissionRefused
from isthmus.console.tones import Status, Tone

__all__ = ["callback", "end", "my_connections", "start"]


_STATUSES = {
    ConnectionState.CONNECTED: Status("Connected", Tone.GOOD),
    ConnectionState.IN_DOUBT: Status("In doubt", Tone.WARNING, "question"),
    ConnectionState.FAILED: Status("Failed", Tone.BAD),
    ConnectionState.NOT_CONNECTED: Status("Not connected", Tone.NEUTRAL),
}


@dataclass(frozen=True, kw_only=True)
class _Connection:
    """One line of the page: a principal and what the user has there."""

    principal: Principal
    token: StoredToken | None

    @property
    def status(self) -> Status:
        """The state as a chip."""
        state = self.token.state if self.token else ConnectionState.NOT_CONNECTED
        return _STATUSES[ConnectionState(state)]

    @property
    def is_connected(self) -> bool:
        """Whether there is something to give up."""
        return self.token is not None and self.token.state != ConnectionState.NOT_CONNECTED

    @property
    def connected_at(self) -> datetime | None:
        """When the user consented."""
        return self.token.connected_at if self.token else None

    @property
    def renewed_at(self) -> datetime | None:
        """When the access token came."""
        return self.token.obtained_at if self.token else None

    @property
    def systems(self) -> str:
        """The named credentials that it is for."""
        return ", ".join(str(named) for named in self.principal.external_credential.named_credentials.all())


@require_GET
@login_required
def my_connections(request: HttpRequest) -> HttpResponse:
    """Every per-user principal that the signed-in user may use, with what they have there."""
    user = _user(request)
    principals = (
        Principal.objects.filter(kind=PrincipalKind.PER_USER)
        .select_related("external_credential")
        .prefetch_related("external_credential__named_credentials")
    )
    mine = {token.principal_id: token for token in StoredToken.objects.filter(user=user)}
    rows = [
        _Connection(principal=principal, token=mine.get(principal.pk))
        for principal in principals
        if get_protocol(principal.external_credential.protocol).is_interactive
        and connections.may_connect(user, principal)
    ]
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
