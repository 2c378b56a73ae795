"""What surrounds the requests of people: lock-outs are told, codes asked for, sessions kept only while used."""

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode

from isthmus import clock
from isthmus.access.conf import AccessOptions
from isthmus.access.setting_up import sets_up
from isthmus.access.sign_in import second_factor
from isthmus.middleware import Answer, BothWays

__all__ = ["SignInMiddleware"]

_SEEN = "isthmus_seen"
_SEEN_EVERY_SECONDS = 300
_options = AccessOptions()


class SignInMiddleware(BothWays):
    """Lets nobody past the second factor, and tells who is locked out. Programs, which have no session, pass."""

    def answer(self, request: HttpRequest) -> Answer:
        held_back = _held_back(request)
        if held_back is not None:
            return held_back
        answer = self.next_answer(request)
        return _told(request, answer) if _is_locked_out(request) else answer

    async def answer_async(self, request: HttpRequest) -> Answer:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            held_back = await sync_to_async(_held_back)(request)
            if held_back is not None:
                return held_back
        answer = await self.next_answer_async(request)
        return await sync_to_async(_told)(request, answer) if _is_locked_out(request) else answer


def _is_locked_out(request: HttpRequest) -> bool:
    return bool(getattr(request, "axes_locked_out", False))


def _told(request: HttpRequest, answer: Answer) -> Answer:
    """Return the page that tells who tried too often, in place of the form; programs keep their own answer."""
    if request.path.startswith("/services/"):
        return answer
    return render(request, "access/locked_out.html", {"minutes": settings.AXES_COOLOFF_MINUTES}, status=429)


def _held_back(request: HttpRequest) -> HttpResponse | None:
    """Return where somebody must go first, `None` for who may go on."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    user: Any = request.user
    if not isinstance(user, User) or not user.is_authenticated:
        return None
    _keep_session(request)
    if _is_open(request.path) or second_factor.is_passed(request, user):
        return None
    if second_factor.has_device(user):
        return _first(request, "access:second-factor")
    if _options.totp_for_administrators and (user.is_superuser or sets_up(user)):
        return _first(request, "access:two-step")
    return None


def _first(request: HttpRequest, name: str) -> HttpResponse:
    here = request.get_full_path() if request.method in {"GET", "HEAD"} else "/"
    return redirect(f"{reverse(name)}?{urlencode({'next': here})}")


def _is_open(path: str) -> bool:
    return path in {
        reverse("access:second-factor"),
        reverse("access:two-step"),
        reverse("console:logout"),
        reverse("admin:logout"),
    } or path.startswith(settings.STATIC_URL)


def _keep_session(request: HttpRequest) -> None:
    """Let a session that is used go on; written now and then, so that reading stays reading."""
    now = int(clock.now().timestamp())
    if now - request.session.get(_SEEN, 0) >= _SEEN_EVERY_SECONDS:
        request.session[_SEEN] = now
