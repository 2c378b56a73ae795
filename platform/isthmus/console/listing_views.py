"""The lists as files and as JSON."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from isthmus import clock
from isthmus.access import api_use, policy
from isthmus.access.api import AccessTokenAuthentication
from isthmus.console.access import ANYWHERE, KIND
from isthmus.console.errors import FilterRefused
from isthmus.console.filters import FilterForm
from isthmus.console.listings import Listing, csv_lines, find_listing, listings
from isthmus.console.paging import PAGE_SIZE

__all__ = ["ListingView", "ListingsView", "exportable"]

MOST_ROWS = 500

Given = ParamSpec("Given")
View = Callable[Concatenate[HttpRequest, Given], HttpResponseBase]


def exportable(*names: str) -> Callable[[View[Given]], View[Given]]:
    """Let the page of a list answer `?format=csv` with everything that its filters let through.

    Of a page with several lists the first is meant, another one with `list=<name>`. Stands below the guard of the view,
    which so guards the export too.
    """

    def decorate(view: View[Given]) -> View[Given]:
        @wraps(view)
        def decorated(request: HttpRequest, /, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponseBase:
            if request.GET.get("format") != "csv":
                return view(request, *args, **kwargs)
            wanted = request.GET.get("list", "")
            listing = find_listing(wanted if wanted in names else names[0])
            filters = listing.form(request.GET)
            if not filters.is_valid():
                # The page says what is wrong.
                query = request.GET.copy()
                del query["format"]
                return redirect(f"{request.path}?{query.urlencode()}")
            return _as_file(request, listing.of(cast("User", request.user)), filters)

        return decorated

    return decorate


def _as_file(request: HttpRequest, listing: Listing[Any], filters: FilterForm[Any]) -> StreamingHttpResponse:
    pieces = _pieces(listing, filters)
    # Under ASGI Django would read an ordinary iterator to its end before it sends the first byte.
    body: Any = _one_by_one(pieces) if isinstance(request, ASGIRequest) else pieces
    return StreamingHttpResponse(
        () if request.method == "HEAD" else body,
        content_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="{listing.name}-{clock.now():%Y-%m-%d-%H%M}.csv"',
            "Cache-Control": "no-store",
        },
    )


def _pieces(listing: Listing[Any], filters: FilterForm[Any]) -> Iterator[str]:
    with_heading = True
    for rows in listing.chunks(filters):
        yield csv_lines(listing, rows, with_heading=with_heading)
        with_heading = False


async def _one_by_one(pieces: Iterator[str]) -> AsyncIterator[str]:
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


class SessionAuthentication(BaseAuthentication):
    """Takes who is signed in to the pages. For answers that change nothing: no token of a form is asked for."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        """Return the user of the session, or `None` without any."""
        user = request._request.user  # noqa: SLF001 - REST framework keeps Django's request there
        return (user, None) if user.is_authenticated and user.is_active else None


class _ConsoleView(APIView):
    """What both answers have in common."""

    # The token first: its challenge is the one that a 401 carries.
    authentication_classes = (AccessTokenAuthentication, SessionAuthentication)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let authenticated callers in. Programs have an allowance. Raises `ApiLimitReached`."""
        self.started_seconds = clock.monotonic_seconds()
        super().initial(request, *args, **kwargs)
        if request.auth is not None:
            api_use.require_allowance()

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Count what programs ask, and tell them how much of the allowance is used."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if isinstance(request, Request) and request.auth is not None:
            api_use.set_limit_info(final)
            api_use.note(
                api_use.Call(
                    surface="console",
                    target=f"{request.method} {kwargs.get('name', '')}".strip(),
                    user=cast("User", request.user),
                    client=getattr(request.auth, "application", None),
                    status=final.status_code,
                    milliseconds=int((clock.monotonic_seconds() - self.started_seconds) * 1000),
                )
            )
        return final


class ListingsView(_ConsoleView):
    """`/api/console/`: which lists there are."""

    def get(self, request: Request) -> Response:
        """Describe each list that the caller may read."""
        policy.require(request.user, KIND, "view", ANYWHERE)
        return Response({"listings": [_described(listing) for listing in listings()]})


class ListingView(_ConsoleView):
    """`/api/console/<name>`: the rows of a list, page by page."""

    def get(self, request: Request, name: str) -> Response:
        """Return some rows and the address of the next ones."""
        listing = find_listing(name).of(cast("User", request.user))
        if listing.action:
            policy.require(request.user, KIND, listing.action, ANYWHERE)
        given = {key: request.query_params[key] for key in request.query_params}
        size = _size(given.pop("limit", str(PAGE_SIZE)))
        cursor = given.pop("cursor", "")
        page = listing.page(listing.strict_form(given), cursor=cursor, size=size)
        return Response(
            {
                "name": listing.name,
                "label": listing.label,
                "rows": [listing.as_dict(row) for row in page.rows],
                "next": _address(request, page.older),
                "previous": _address(request, page.newer),
            }
        )


def _described(listing: Listing[Any]) -> dict[str, object]:
    return {
        "name": listing.name,
        "label": listing.label,
        "url": reverse("console:listing", args=[listing.name]),
        "page": reverse(listing.url_name),
        "columns": [{"name": column.name, "label": column.label} for column in listing.columns],
        "filters": list(listing.filter_names),
    }


def _size(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_ROWS:
        raise FilterRefused(f"limit is a number from 1 to {MOST_ROWS}.", fields=["limit"])
    return int(text)


def _address(request: Request, cursor: str) -> str | None:
    if not cursor:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return f"{request.path}?{query.urlencode()}"
