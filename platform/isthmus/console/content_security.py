"""The content security policy: strict everywhere, a little less so where the admin's theme needs it."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

__all__ = ["AdminContentSecurityMiddleware"]

ADMIN_ADDITIONS = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}
"""The admin's theme evaluates attributes (Alpine's standard build) and writes its colours into the page:
https://alpinejs.dev/advanced/csp. It stays away from every other address."""


class AdminContentSecurityMiddleware:
    """Adds to the policy under the admin's address; stands after `CSPMiddleware`, which writes the header."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        answer = self._get_response(request)
        if request.path.startswith(reverse("admin:index")):
            # django-csp reads this attribute; its own decorators set it too.
            answer._csp_update = ADMIN_ADDITIONS  # type: ignore[attr-defined]  # noqa: SLF001 - as said
        return answer
