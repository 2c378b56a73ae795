"""The OAuth endpoints."""

import json
from collections.abc import Mapping

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from oauth2_provider.oauth2_backends import get_oauthlib_core

from isthmus import correlation
from isthmus.logs import get_logger

__all__ = ["TokenView", "no_such_resource"]

log = get_logger(__name__)

# RFC 6749, 5.1: nobody between us and the client keeps a token.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@method_decorator(csrf_exempt, name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
class TokenView(View):
    """`POST /services/oauth2/token`: a client says who it is and gets an access token."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            if request.method != "POST":
                answer = _answer({"error": "invalid_request", "error_description": "must use HTTP POST"}, status=405)
                answer["Allow"] = "POST"
                return answer
            return self._token(request)
        except RequestDataTooBig:
            return _answer({"error": "invalid_request", "error_description": "request is too large"}, status=413)
        except Exception:
            # The outermost edge: OAuth clients read JSON, never an error page.
            log.exception("oauth.token_failed")
            told = f"An unexpected error occurred. Give this id to support: {correlation.current_or_new()}"
            return _answer({"error": "server_error", "error_description": told}, status=500)

    def _token(self, request: HttpRequest) -> HttpResponse:
        _, headers, body, status = get_oauthlib_core().create_token_response(request)
        told = json.loads(body)
        if told.get("error") == "unsupported_grant_type":
            told["error_description"] = "grant type not supported"
        if status == 200:
            log.info("oauth.token_issued", client_id=_client_id(request), identity=told["id"])
        else:
            log.warning("oauth.token_refused", client_id=_client_id(request), error=told.get("error"))
        return _answer(told, status=status, headers=headers)


@csrf_exempt
def no_such_resource(_request: HttpRequest) -> HttpResponse:
    """Answer for API addresses that nobody has, in the form that API clients read."""
    body = [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]
    return JsonResponse(body, safe=False, status=404, content_type="application/json;charset=UTF-8")


def _client_id(request: HttpRequest) -> str:
    """Return the client id of the form for the log, "" when it came by HTTP Basic."""
    return request.POST.get("client_id", "")[:255]


def _answer(body: Mapping[str, object], *, status: int, headers: Mapping[str, str] | None = None) -> HttpResponse:
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}
    return JsonResponse(
        body, status=status, headers={**kept, **_UNCACHED}, content_type="application/json;charset=UTF-8"
    )
