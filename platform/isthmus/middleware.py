"""What surrounds every request."""

import re
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from isthmus import correlation

__all__ = ["CollapsedSlashesMiddleware", "CorrelationMiddleware"]

Answer = HttpResponseBase
Next = Callable[[HttpRequest], Answer] | Callable[[HttpRequest], Awaitable[Answer]]


class CorrelationMiddleware:
    """Binds the caller's `X-Request-Id` (or a new one) for the request, and names it in the answer."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        if self._is_async:
            return self._answer_async(request)
        with correlation.bind(correlation.accept(request.headers.get(correlation.HEADER))) as correlation_id:
            answer = cast("Answer", self._get_response(request))
            answer[correlation.HEADER] = correlation_id
            return answer

    async def _answer_async(self, request: HttpRequest) -> Answer:
        with correlation.bind(correlation.accept(request.headers.get(correlation.HEADER))) as correlation_id:
            answer = await cast("Awaitable[Answer]", self._get_response(request))
            answer[correlation.HEADER] = correlation_id
            return answer


class CollapsedSlashesMiddleware:
    """Takes `//services//data` for `/services/data`: clients whose instance URL ends with a slash write it so.

    Only the API's addresses are touched; a redirect would turn their POST into GET.
    """

    sync_capable = True
    async_capable = True

    _API = re.compile(r"/+(?:services|cometd|id|\.well-known)(?:/|$)")
    _SLASHES = re.compile(r"//+")

    def __init__(self, get_response: Next) -> None:
        self._get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer | Awaitable[Answer]:
        if "//" in request.path_info and self._API.match(request.path_info):
            request.path_info = self._SLASHES.sub("/", request.path_info)
            request.path = self._SLASHES.sub("/", request.path)
        return self._get_response(request)
