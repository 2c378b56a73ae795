"""What an operator does with an invocation or a callback."""

import uuid
from datetime import timedelta

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from callouts.callbacks import operating
from callouts.external_services.actions import cancel, extend
from callouts.external_services.models import CallbackReceipt, Invocation
from isthmus import clock
from isthmus.console.access import requires
from isthmus.console.references import as_uuid
from isthmus.errors import IsthmusError

__all__ = ["act", "route"]

_LONGEST_HOURS = 24 * 365


@require_POST
@requires("operate")
def act(request: HttpRequest, invocation_id: uuid.UUID, what: str) -> HttpResponse:
    """Cancel, extend, or simulate a callback."""
    found = get_object_or_404(Invocation.objects.select_related("operation", "version", "service__named_credential"),
                              pk=invocation_id)  # fmt: skip
    try:
        told = _ACTS[what](request, found)
    except IsthmusError as refused:
        messages.error(request, refused.message)
    except ValueError as wrong:
        messages.error(request, str(wrong))
    else:
        messages.success(request, told)
    return redirect("external_services:invocation", invocation_id=invocation_id)


def _cancel(request: HttpRequest, found: Invocation) -> str:
    cancel(found, _user(request), request.POST.get("reason", "").strip()[:500])
    return "It is cancelled: callbacks that come now are late."


def _extend(request: HttpRequest, found: Invocation) -> str:
    given = request.POST.get("hours", "")
    if not given.isdecimal() or not 0 < int(given) <= _LONGEST_HOURS:
        raise ValueError(f"Hours are a number from 1 to {_LONGEST_HOURS}.")
    # From now, or from its end where that is later: longer is what was asked for.
    until = max(found.expires_at, clock.now()) + timedelta(hours=int(given))
    extend(found, _user(request), until=until)
    return f"It waits until {until:%Y-%m-%d %H:%M} UTC."


def _simulate(request: HttpRequest, found: Invocation) -> str:
    answer = operating.simulate(
        found,
        _user(request),
        callback_name=request.POST.get("callback", ""),
        body=request.POST.get("body", ""),
        content_type=request.POST.get("content_type", "") or "application/json",
    )
    return f"The outside would have been told {answer.status}: {answer.message}"


_ACTS = {"cancel": _cancel, "extend": _extend, "simulate": _simulate}


@require_POST
@requires("operate")
def route(request: HttpRequest, receipt_id: uuid.UUID) -> HttpResponse:
    """Let the handler of a callback run that had been refused."""
    found = get_object_or_404(CallbackReceipt, pk=receipt_id)
    wanted = request.POST.get("invocation", "").strip()
    meant = None
    if wanted:
        known = as_uuid(wanted)
        by_reference = Invocation.objects.filter(reference=wanted).order_by("-submitted_at")
        meant = Invocation.objects.filter(pk=known).first() if known else by_reference.first()
        if meant is None:
            messages.error(request, f"There is no invocation {wanted}.")
            return redirect("external_services:receipt", receipt_id=receipt_id)
    try:
        operating.route(found, _user(request), invocation=meant, callback_name=request.POST.get("callback", "").strip())
    except IsthmusError as refused:
        messages.error(request, refused.message)
    else:
        messages.success(request, "It is routed: its handler runs now.")
    return redirect("external_services:receipt", receipt_id=receipt_id)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the guard saw to it
    return request.user
