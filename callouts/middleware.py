"""One web request is one transaction, as far as the limits on callouts are concerned."""

from contextlib import AbstractContextManager

from django.http import HttpRequest

from callouts import limits
from isthmus.middleware import Surrounding

__all__ = ["CalloutLimitsMiddleware"]


class CalloutLimitsMiddleware(Surrounding):
    """Counts the callouts of each request, and the time they take, on an account of the request's own."""

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        return limits.transaction_context()
