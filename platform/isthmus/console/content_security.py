"""The content security policy: strict everywhere, a little less so where the set-up pages' theme needs it."""

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse

__all__ = ["ContentSecurityMiddleware"]

ADMIN_ADDITIONS = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}
"""The theme evaluates attributes (Alpine's standard build, https://alpinejs.dev/advanced/csp) and writes its colours
into the page. Nothing of this reaches any other address."""


class ContentSecurityMiddleware(CSPMiddleware):
    """Writes the policy of the settings, with the additions under the admin's address."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path.startswith(reverse("admin:index")):
            parts.update = {**(parts.update or {}), **ADMIN_ADDITIONS}
        return parts
