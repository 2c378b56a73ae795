"""One web request is one transaction, as far as the limits on callouts are concerned."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from callouts import limits

__all__ = ["CalloutLimitsMiddleware"]

Next = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class CalloutLimitsMiddleware:
    """Counts the callouts of each request, and the time they take, on an account of the request's own."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._answer_async(request)
        with limits.transaction_context():
            return cast("HttpResponseBase", self._get_response(request))

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        with limits.transaction_context():
            return await cast("Awaitable[HttpResponseBase]", self._get_response(request))
