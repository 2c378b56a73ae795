"""Who this instance and its users are on the wire: organisation id, user id, identity address."""

import hashlib
import string

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from isthmus.access.conf import AccessOptions

__all__ = ["identity_url", "organization_id", "user_id"]

USER_PREFIX = "005"
ORGANIZATION_PREFIX = "00D"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECKSUM_DIGITS = string.ascii_uppercase + "012345"


def organization_id(*, length: int = 18) -> str:
    """Return the organisation id in its 15- or 18-character form. It stays the same while the base URL does."""
    short = AccessOptions().organization_id or _derived(settings.BASE_URL)
    return short if length == 15 else _with_checksum(short)


def user_id(user: AbstractBaseUser | AnonymousUser) -> str:
    """Return the user's 18-character record id."""
    return _with_checksum(USER_PREFIX + _base62(int(user.pk or 0)))


def identity_url(user: AbstractBaseUser | AnonymousUser) -> str:
    """Return the absolute address that names the user; clients take both ids from its end."""
    return f"{settings.BASE_URL}/id/{organization_id()}/{user_id(user)}"


def _derived(text: str) -> str:
    return ORGANIZATION_PREFIX + _base62(int.from_bytes(hashlib.sha256(text.encode()).digest()) % 62**12)


def _base62(number: int) -> str:
    digits = ""
    for _ in range(12):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def _with_checksum(short: str) -> str:
    """Append the three characters that say which letters are capitals, five letters each."""
    chunks = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(
        _CHECKSUM_DIGITS[sum(character.isupper() << place for place, character in enumerate(chunk))] for chunk in chunks
    )
