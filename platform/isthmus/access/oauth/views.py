"""The OAuth endpoints that programs call."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe
from oauth2_provider.models import AccessToken, RefreshToken, revoke_access_token
from oauth2_provider.oauth2_backends import get_oauthlib_core
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isthmus import clock, correlation
from isthmus.access import api_use
from isthmus.access.api import AccessTokenAuthentication, QueryTokenAuthentication, SessionInvalid
from isthmus.access.client_address import client_address
from isthmus.access.identity import identity_url, organization_id, user_id
from isthmus.access.models import ApiClient, Scope
from isthmus.access.oauth import identity_tokens, userinfo
from isthmus.access.oauth.validator import client_of, presented_credentials
from isthmus.access.tokens import checksum
from isthmus.logs import get_logger

__all__ = [
    "IdentityView",
    "IntrospectView",
    "RevokeView",
    "TokenView",
    "UserInfoView",
    "no_such_resource",
    "openid_configuration",
    "signing_keys",
]

log = get_logger(__name__)

# RFC 6749, 5.1: nobody between us and the client keeps a token.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_DESCRIPTIONS = {
    "unsupported_grant_type": "grant type not supported",
    "unauthorized_client": "this flow is not enabled for the client",
    "invalid_scope": "the requested scope is not allowed",
    "invalid_grant": "authentication failure",
}


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
class OAuthView(ABC, View):
    """An endpoint that answers JSON whatever happens: OAuth clients read no error pages."""

    methods: tuple[str, ...] = ("POST",)

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            if request.method not in self.methods:
                answer = _refused("invalid_request", f"must use HTTP {' or '.join(self.methods)}", status=405)
                answer["Allow"] = ", ".join(self.methods)
                return answer
            return self.answer(request)
        except RequestDataTooBig:
            return _refused("invalid_request", "request is too large", status=413)
        except Exception:
            # The outermost edge.
            log.exception("oauth.failed", path=request.path)
            told = f"An unexpected error occurred. Give this id to support: {correlation.current_or_new()}"
            return _refused("server_error", told, status=500)

    @abstractmethod
    def answer(self, request: HttpRequest) -> HttpResponse:
        """Answer a request with one of the methods."""


class TokenView(OAuthView):
    """`POST /services/oauth2/token`: a client shows what it has and gets an access token."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        _, headers, body, status = get_oauthlib_core().create_token_response(request)
        told = json.loads(body)
        if status == 200:
            log.info("oauth.token_issued", client_id=_client_id(request), identity=told["id"])
        else:
            told.setdefault("error_description", _DESCRIPTIONS.get(told["error"], told["error"]))
            if told["error"] in {"unsupported_grant_type", "unauthorized_client"}:
                told["error_description"] = _DESCRIPTIONS[told["error"]]
            log.warning("oauth.token_refused", client_id=_client_id(request), error=told.get("error"))
            status = 400 if status == 401 else status
        return _answer(told, status=status, headers=headers)


class RevokeView(OAuthView):
    """`/services/oauth2/revoke`: the token, and what was given with it, is void at once (RFC 7009).

    As Salesforce has it, whoever holds the token may void it: the token itself is the proof.
    """

    methods = ("POST", "GET")

    def answer(self, request: HttpRequest) -> HttpResponse:
        text = (request.POST.get("token") or request.GET.get("token") or "").strip()
        digest = checksum(text)
        token = AccessToken.objects.filter(token_checksum=digest).first()
        if token is not None:
            revoke_access_token(token)
        else:
            refresh = RefreshToken.objects.filter(token_checksum=digest, revoked=None).first()
            if refresh is None:
                return _refused("unsupported_token_type", "this token type is not supported", status=400)
            refresh.revoke()
        log.info("oauth.token_revoked")
        found = HttpResponse(b"", status=200, headers=_UNCACHED)
        # Clients take a content type at its word, and nothing is no JSON.
        del found["Content-Type"]
        return found


class IntrospectView(OAuthView):
    """`POST /services/oauth2/introspect` (RFC 7662): a client asks about a token of its own."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        client = _authenticated_client(request)
        if client is None:
            return _refused("invalid_client", "invalid client credentials", status=401)
        digest = checksum(request.POST.get("token", "").strip())
        access = AccessToken.objects.select_related("user").filter(token_checksum=digest, application=client).first()
        if access is not None and access.expires > clock.now() and access.user is not None and access.user.is_active:
            told = _introspected(access.user, client, access.scope, "access_token", access.created)
            return _answer({**told, "exp": int(access.expires.timestamp())}, status=200)
        refresh = RefreshToken.objects.select_related("user", "access_token").filter(
            token_checksum=digest, application=client, revoked=None
        )
        found = refresh.first()
        if found is not None and found.user.is_active:
            scope = found.access_token.scope if found.access_token is not None else ""
            return _answer(_introspected(found.user, client, scope, "refresh_token", found.created), status=200)
        return _answer({"active": False}, status=200)


class _HasIdentityScope(BasePermission):
    """Any scope that tells who one is."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        scopes = set(getattr(request.auth, "scope", "").split())
        return bool(scopes & {Scope.API, Scope.FULL, Scope.ID, Scope.OPENID, Scope.PROFILE, Scope.WEB})


class _CountedView(APIView):
    """Tells in each answer how much of the allowance is used."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the header for callers who brought a token."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if getattr(request, "auth", None) is not None:
            api_use.set_limit_info(final)
        return final


class UserInfoView(_CountedView):
    """`/services/oauth2/userinfo`."""

    authentication_classes = (AccessTokenAuthentication,)
    permission_classes = (_HasIdentityScope,)

    def get(self, request: Request) -> Response:
        """Tell who the token's user is."""
        user: Any = request.user
        return Response(userinfo.userinfo(user), headers={"Cache-Control": "no-store"})

    post = get


class IdentityView(_CountedView):
    """`/id/<organisation>/<user>`: who that is, told to a token of the same user."""

    authentication_classes = (QueryTokenAuthentication, AccessTokenAuthentication)
    permission_classes = (_HasIdentityScope,)

    def get(self, request: Request, organization: str, user: str) -> Response:
        """Tell who the user is."""
        caller: Any = request.user
        own = user_id(caller)
        if user not in {own, own[:15]} or organization not in {organization_id(), organization_id(length=15)}:
            raise SessionInvalid
        return Response(userinfo.identity(caller), headers={"Cache-Control": "no-store"})

    post = get


@require_safe
def openid_configuration(_request: HttpRequest) -> HttpResponse:
    """Tell clients where everything is (OpenID Connect Discovery 1.0)."""
    base = settings.BASE_URL
    return _json(
        {
            "issuer": base,
            "authorization_endpoint": f"{base}/services/oauth2/authorize",
            "token_endpoint": f"{base}/services/oauth2/token",
            "revocation_endpoint": f"{base}/services/oauth2/revoke",
            "introspection_endpoint": f"{base}/services/oauth2/introspect",
            "userinfo_endpoint": f"{base}/services/oauth2/userinfo",
            "jwks_uri": f"{base}/id/keys",
            "scopes_supported": list(Scope.values),
            "response_types_supported": ["code"],
            "grant_types_supported": [
                "authorization_code",
                "client_credentials",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
            ],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "name", "preferred_username", "given_name", "family_name", "email", "zoneinfo"],
        }
    )


@require_safe
def signing_keys(_request: HttpRequest) -> HttpResponse:
    """Give the keys that verify identity tokens."""
    return _json(identity_tokens.public_keys())


@csrf_exempt
def no_such_resource(_request: HttpRequest) -> HttpResponse:
    """Answer for API addresses that nobody has, in the form that API clients read."""
    body = [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]
    return JsonResponse(body, safe=False, status=404, content_type="application/json;charset=UTF-8")


def _authenticated_client(request: HttpRequest) -> ApiClient | None:
    client_id, secret = presented_credentials(_Presented(request))
    client = client_of(client_id)
    if client is None or client.is_expired or not client.allows_address(client_address(request)):
        return None
    if client.client_type == ApiClient.CLIENT_PUBLIC or not secret:
        return None
    return client if check_password(secret, client.client_secret) else None


class _Presented:
    """A request as `presented_credentials` reads it."""

    def __init__(self, request: HttpRequest) -> None:
        self.headers = request.headers
        self.client_id = request.POST.get("client_id", "")
        self.client_secret = request.POST.get("client_secret", "")


def _introspected(user: Any, client: ApiClient, scope: str, token_type: str, created: Any) -> dict[str, Any]:
    issued = int(created.timestamp())
    return {
        "active": True,
        "scope": scope,
        "client_id": client.client_id,
        "username": user.get_username(),
        "sub": identity_url(user),
        "token_type": token_type,
        "iat": issued,
        "nbf": issued,
    }


def _client_id(request: HttpRequest) -> str:
    """Return the client id of the form for the log, "" when it came by HTTP Basic."""
    return request.POST.get("client_id", "")[:255]


def _json(body: Mapping[str, object]) -> HttpResponse:
    answer = JsonResponse(body, content_type="application/json;charset=UTF-8")
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


def _refused(error: str, description: str, *, status: int) -> HttpResponse:
    return _answer({"error": error, "error_description": description}, status=status)


def _answer(body: Mapping[str, object], *, status: int, headers: Mapping[str, str] | None = None) -> HttpResponse:
    kept = {
        name: value
        for name, value in (headers or {}).items()
        if name.lower() not in {"content-type", "www-authenticate"}
    }
    return JsonResponse(
        body, status=status, headers={**kept, **_UNCACHED}, content_type="application/json;charset=UTF-8"
    )
