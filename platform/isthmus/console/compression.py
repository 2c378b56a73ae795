"""Sends pages compressed. Static files are compressed when they are collected (WhiteNoise), answers of the API are not.

An attacker who can let a page repeat a text of theirs learns from its compressed length what else is on it (BREACH). A
page has one secret, the token against forged requests, which Django masks anew each time; and the length is random by
up to a hundred bytes ("Heal the BREACH", Django's `GZipMiddleware`).
"""

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

from isthmus.middleware import Answer, BothWays

__all__ = ["PageCompressionMiddleware"]


class PageCompressionMiddleware(BothWays):
    """Compresses whole pages; a stream, or anything that is no page, passes as it is."""

    def answer(self, request: HttpRequest) -> Answer:
        return _compressed(request, self.next_answer(request))

    async def answer_async(self, request: HttpRequest) -> Answer:
        return _compressed(request, await self.next_answer_async(request))


def _compressed(request: HttpRequest, answer: Answer) -> Answer:
    if answer.streaming or not answer.get("Content-Type", "").startswith("text/html"):
        return answer
    return _gzip.process_response(request, cast("HttpResponse", answer))


_gzip = GZipMiddleware(lambda _request: HttpResponse())
