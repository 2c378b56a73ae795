"""Who may see the console and who may act in it: grants of the kind `console`."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, Literal, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django_htmx.http import HttpResponseClientRefresh

from isthmus.access import policy
from isthmus.access.errors import PermissionRefused
from isthmus.access.registry import ALL_TARGETS

__all__ = ["ANYWHERE", "KIND", "Action", "may", "requires"]

KIND = "console"
ANYWHERE = ALL_TARGETS
Action = Literal["view", "operate", "administer"]
Given = ParamSpec("Given")
View = Callable[Concatenate[HttpRequest, Given], HttpResponseBase]


def may(user: policy.AnyUser, action: Action) -> bool:
    """Return whether `user` may look at the console (`view`), act in it (`operate`), or make it another (`administer`).

    Each includes those before it.
    """
    return policy.is_granted(user, KIND, action, ANYWHERE)


def requires(action: Action) -> Callable[[View[Given]], View[Given]]:
    """Let a view answer only those who are granted `action`: others sign in first, or are refused with 403."""

    def guard(view: View[Given]) -> View[Given]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            try:
                policy.require(request.user, KIND, action, ANYWHERE)
            except PermissionRefused as refused:
                raise PermissionDenied(refused.message) from refused
            return view(request, *args, **kwargs)

        return guarded

    return guard


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    if request.headers.get("HX-Request"):
        # A part of a page is being refreshed: the whole page has to go to the sign-in, not the part.
        return HttpResponseClientRefresh()
    return redirect_to_login(request.get_full_path(), resolve_url("console:login"))
