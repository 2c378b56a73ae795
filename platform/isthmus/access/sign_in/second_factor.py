"""The second factor: time-based one-time codes (RFC 6238) of an authenticator app, and recovery codes.

A code works once. After a few wrong ones the device waits, longer each time. Its key is sealed like every secret.
"""

import base64
import hashlib
import secrets
from datetime import timedelta
from urllib.parse import quote

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables
from django_otp.oath import TOTP

from isthmus import clock, ids
from isthmus.access.models import RecoveryCode, TotpDevice
from isthmus.audit import actions as audit

__all__ = [
    "confirm",
    "has_device",
    "is_passed",
    "key_uri",
    "mark_passed",
    "new_recovery_codes",
    "remove",
    "start",
    "verify",
]

_PASSED = "isthmus_second_factor"
_STEP, _DIGITS, _TOLERANCE = 30, 6, 1
_FREE_TRIES = 5
_LONGEST_WAIT = timedelta(minutes=15)
_RECOVERY_CODES = 10


def has_device(user: User) -> bool:
    """Return whether the user has to give codes."""
    return TotpDevice.objects.filter(user=user).exclude(confirmed_at=None).exists()


def is_passed(request: HttpRequest, user: User) -> bool:
    """Return whether this session has given a code."""
    return bool(request.session.get(_PASSED) == user.pk)


def mark_passed(request: HttpRequest, user: User) -> None:
    """Note that this session has given a code; its key changes, so that an earlier copy of it is worth nothing."""
    request.session.cycle_key()
    request.session[_PASSED] = user.pk


@sensitive_variables()
def start(user: User) -> TotpDevice:
    """Return the user's device, made with a new key unless one is confirmed already."""
    device = TotpDevice.objects.filter(user=user).first()
    if device is not None and device.confirmed_at is not None:
        return device
    if device is None:
        device = TotpDevice(user=user)
        device.key = base64.b32encode(secrets.token_bytes(20)).decode()
        device.save()
    return device


@sensitive_variables()
def key_uri(device: TotpDevice) -> str:
    """Return the address that an authenticator app reads (https://github.com/google/google-authenticator/wiki)."""
    label = quote(f"Isthmus:{device.user.get_username()}")
    return f"otpauth://totp/{label}?secret={device.key.reveal()}&issuer=Isthmus"


def confirm(device: TotpDevice, code: str) -> bool:
    """Return whether `code` is right; from then on the user has to give codes."""
    if device.confirmed_at is not None or not _is_right(device, code):
        return False
    device.confirmed_at = clock.now()
    device.save(update_fields=["confirmed_at"])
    audit.record("access.second_factor_set", target=device.user.get_username())
    return True


def new_recovery_codes(user: User) -> list[str]:
    """Return new recovery codes, each good once; earlier ones are void. Only their hashes are stored."""
    codes = [f"{ids.new_token(5)[:5]}-{ids.new_token(5)[:5]}".lower().replace("_", "x") for _ in range(_RECOVERY_CODES)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(code)) for code in codes)
    return codes


def verify(user: User, code: str) -> bool:
    """Return whether `code` is a right one of the user's device, or an unused recovery code."""
    device = TotpDevice.objects.filter(user=user).exclude(confirmed_at=None).first()
    if device is None:
        return False
    used, _ = RecoveryCode.objects.filter(user=user, digest=_digest(code.strip().lower())).delete()
    return bool(used) or _is_right(device, code)


def remove(user: User) -> None:
    """Let the user sign in without codes again."""
    with transaction.atomic():
        TotpDevice.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).delete()
        audit.record("access.second_factor_removed", target=user.get_username())


@sensitive_variables()
def _is_right(device: TotpDevice, code: str) -> bool:
    now = clock.now()
    with transaction.atomic():
        held = TotpDevice.objects.select_for_update().get(pk=device.pk)
        if held.locked_until is not None and held.locked_until > now:
            return False
        totp = TOTP(base64.b32decode(held.key.reveal()), _STEP, 0, _DIGITS)
        totp.time = now.timestamp()
        given = code.replace(" ", "")
        is_code = given.isascii() and given.isdigit() and len(given) == _DIGITS
        # A code works once: not the same step, and no earlier one, again.
        if is_code and totp.verify(int(given), tolerance=_TOLERANCE, min_t=held.last_step + 1):
            held.last_step, held.failures, held.locked_until = totp.t(), 0, None
        else:
            held.failures += 1
            if held.failures >= _FREE_TRIES:
                wait = timedelta(seconds=2 ** min(held.failures - _FREE_TRIES, 16))
                held.locked_until = now + min(wait, _LONGEST_WAIT)
        held.save(update_fields=["last_step", "failures", "locked_until"])
        return held.failures == 0


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
