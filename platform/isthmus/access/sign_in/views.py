"""The pages of the second factor."""

from typing import cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from segno import make_qr

from isthmus.access.sign_in import second_factor
from isthmus.logs import get_logger

__all__ = ["second_factor_page", "two_step"]

log = get_logger(__name__)


class CodeForm(forms.Form):
    """One code."""

    code = forms.CharField(
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
    )


@sensitive_post_parameters("code")
@login_required
@require_http_methods(["GET", "POST"])
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Ask for a code, and let who gives a right one go on."""
    form = CodeForm(request.POST or None)
    user = cast("User", request.user)
    if request.method == "POST" and form.is_valid():
        if second_factor.verify(user, form.cleaned_data["code"]):
            second_factor.mark_passed(request, user)
            return redirect(_next(request))
        log.warning("sign_in.code_refused", user=user.get_username())
        form.add_error("code", "This code is not right, or was used before. After some wrong ones, wait a moment.")
    return render(request, "access/second_factor.html", {"form": form, "next": _next(request)})


@sensitive_post_parameters("code")
@login_required
@require_http_methods(["GET", "POST"])
def two_step(request: HttpRequest) -> HttpResponse:
    """Set the second factor up, or take it away."""
    user = cast("User", request.user)
    device = second_factor.start(user)
    form = CodeForm(request.POST or None)
    codes: list[str] = []
    is_set = device.confirmed_at is not None
    if is_set and not second_factor.is_passed(request, user):
        return redirect("access:second-factor")
    if request.method == "POST" and form.is_valid():
        code = form.cleaned_data["code"]
        if is_set and second_factor.verify(user, code):
            second_factor.remove(user)
            return redirect("access:two-step")
        if not is_set and second_factor.confirm(device, code):
            second_factor.mark_passed(request, user)
            codes, is_set = second_factor.new_recovery_codes(user), True
        else:
            form.add_error("code", "This code is not right. Codes change every 30 seconds.")
    answer = render(
        request,
        "access/two_step.html",
        {
            "form": form,
            "is_set": is_set,
            "codes": codes,
            "next": _next(request),
            "picture": "" if is_set else _picture(second_factor.key_uri(device)),
            "key": "" if is_set else device.key.reveal(),
        },
    )
    add_never_cache_headers(answer)
    return answer


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else "/"


def _picture(text: str) -> str:
    svg = make_qr(text, error="m").svg_inline(scale=4, border=2, dark="#000", light="#fff", omitsize=True)
    return mark_safe(svg)  # noqa: S308 - made by the library from squares alone
