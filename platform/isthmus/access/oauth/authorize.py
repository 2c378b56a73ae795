"""`/services/oauth2/authorize`: a person signs in and agrees, or not, that a client acts for them."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils.cache import add_never_cache_headers
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauthlib.oauth2.rfc6749.errors import FatalClientError, OAuth2Error

from isthmus import clock
from isthmus.access.client_address import client_address
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.models import ApiClient, Approval, Scope
from isthmus.access.run_as import check_run_as_user
from isthmus.logs import get_logger

__all__ = ["authorize"]

log = get_logger(__name__)

_LONGEST = 16_384
_PROMPTED = "isthmus_prompted"
"""In the session: the query for which the user has just signed in anew."""


@require_http_methods(["GET", "POST"])
@sensitive_variables("query")
def authorize(request: HttpRequest) -> HttpResponseBase:
    """Show who asks for what (GET), or take the answer (POST); then lead back to the client."""
    query = request.META.get("QUERY_STRING", "") if request.method == "GET" else request.POST.get("query", "")
    asked = _Asked(query)
    try:
        asked.validate()
    except OAuth2Error as error:
        if isinstance(error, FatalClientError) or not error.redirect_uri:
            return _refused(request, error)
        return _back(error.in_uri(error.redirect_uri), error.redirect_uri)
    client = asked.client
    if not client.allows_address(client_address(request)):
        return _back_with_error(asked, "access_denied", "ip restricted")
    if (answer := _sign_in_first(request, asked)) is not None:
        return answer
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - for the type checker: whoever is signed in is one
    try:
        check_run_as_user(user)
    except RunAsUserRefused:
        return _back_with_error(asked, "inactive_user", "user is inactive")
    if request.method == "GET":
        if "consent" not in asked.prompts and _is_approved(user, client, asked.scopes):
            return _grant(asked, user)
        return _consent_page(request, asked)
    if request.POST.get("answer") != "allow":
        return _back_with_error(asked, "access_denied", "end-user denied authorization")
    return _grant(asked, user)


class _Asked:
    """An authorization request."""

    def __init__(self, query: str) -> None:
        self.query = query[:_LONGEST]
        parameters = dict(parse_qsl(self.query, keep_blank_values=True))
        # Salesforce's clients send a challenge without naming its method, and mean the only one there is.
        if parameters.get("code_challenge") and not parameters.get("code_challenge_method"):
            parameters["code_challenge_method"] = "S256"
        self.prompts = set(parameters.get("prompt", "").split())
        self.state = parameters.get("state", "")
        self._uri = f"/services/oauth2/authorize?{urlencode(parameters)}"
        self._server = get_oauthlib_core().server
        self.scopes: list[str] = []
        self.credentials: dict[str, Any] = {}

    def validate(self) -> None:
        """Find out what is asked for. Raises what is wrong with it."""
        self.scopes, self.credentials = self._server.validate_authorization_request(self._uri, "GET")
        method = self.credentials.get("code_challenge_method")
        if method not in (None, "S256"):
            request = self.credentials["request"]
            raise OAuth2Error(
                description="only the code challenge method S256 is taken", request=request, state=self.state
            )

    @property
    def client(self) -> ApiClient:
        """Who asks."""
        client: ApiClient = self.credentials["request"].client
        return client

    @property
    def redirect_uri(self) -> str:
        """Where the answer goes."""
        return str(self.credentials["redirect_uri"])

    def grant(self, user: User) -> str:
        """Make the code and return the address to go to."""
        headers, _, _ = self._server.create_authorization_response(
            self._uri, "GET", scopes=self.scopes, credentials={"user": user}
        )
        return str(headers["Location"])


def _sign_in_first(request: HttpRequest, asked: _Asked) -> HttpResponseBase | None:
    """Return the way to the sign-in page, `None` for somebody who is signed in as the client wants it."""
    here = f"{request.path}?{asked.query}"
    if not request.user.is_authenticated:
        if "login" in asked.prompts:
            request.session[_PROMPTED] = asked.query
        return redirect_to_login(here, resolve_url("console:login"))
    if request.method == "GET" and "login" in asked.prompts:
        if request.session.pop(_PROMPTED, None) == asked.query:
            return None
        logout(request)
        request.session[_PROMPTED] = asked.query
        return redirect_to_login(here, resolve_url("console:login"))
    return None


def _consent_page(request: HttpRequest, asked: _Asked) -> HttpResponse:
    scopes = [Scope(scope).label for scope in asked.scopes if scope in Scope]
    answer = render(
        request,
        "access/authorize.html",
        {
            "client": asked.client,
            "scopes": scopes,
            "query": asked.query,
            "destination": urlsplit(asked.redirect_uri).netloc or asked.redirect_uri,
        },
    )
    _let_form_lead_to(answer, asked.redirect_uri)
    add_never_cache_headers(answer)
    return answer


def _grant(asked: _Asked, user: User) -> HttpResponse:
    with transaction.atomic():
        Approval.objects.update_or_create(
            user=user,
            client=asked.client,
            defaults={"scopes": " ".join(asked.scopes), "approved_at": clock.now()},
        )
        location = asked.grant(user)
    log.info("oauth.authorized", client_id=asked.client.client_id, user=user.get_username())
    return _back(location, asked.redirect_uri)


def _is_approved(user: User, client: ApiClient, scopes: list[str]) -> bool:
    approval = Approval.objects.filter(user=user, client=client).first()
    return approval is not None and set(scopes) <= set(approval.scopes.split())


def _refused(request: HttpRequest, error: OAuth2Error) -> HttpResponse:
    log.warning("oauth.authorization_refused", error=error.error)
    return render(request, "access/authorize_refused.html", {"error": error}, status=400)


def _back_with_error(asked: _Asked, error: str, description: str) -> HttpResponse:
    told = {"error": error, "error_description": description, **({"state": asked.state} if asked.state else {})}
    separator = "&" if urlsplit(asked.redirect_uri).query else "?"
    return _back(f"{asked.redirect_uri}{separator}{urlencode(told)}", asked.redirect_uri)


def _back(location: str, redirect_uri: str) -> HttpResponse:
    """Lead to the client; its address may have a scheme of its own, which Django's redirect would not take."""
    answer = HttpResponse(status=302)
    answer["Location"] = location
    answer["Cache-Control"] = "no-store"
    # The code is in the address: nobody behind it needs to see where the browser came from.
    answer["Referrer-Policy"] = "no-referrer"
    _let_form_lead_to(answer, redirect_uri)
    return answer


def _let_form_lead_to(answer: HttpResponse, redirect_uri: str) -> None:
    """Browsers follow a redirect after a form only to where the policy lets forms go."""
    parts = urlsplit(redirect_uri)
    source = f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"
    answer._csp_update = {"form-action": [source]}  # type: ignore[attr-defined]  # noqa: SLF001 - django-csp's hook
