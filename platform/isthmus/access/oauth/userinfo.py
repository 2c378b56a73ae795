"""What is told about a user: `/services/oauth2/userinfo` and the identity address."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser

from isthmus import clock
from isthmus.access.identity import identity_url, organization_id, user_id

__all__ = ["identity", "userinfo"]

_PHOTO = "/static/console/mark.svg"


def userinfo(user: AbstractUser) -> dict[str, Any]:
    """Return the claims about the user (OpenID Connect's names, and those that Salesforce's clients read)."""
    return {
        "sub": identity_url(user),
        "user_id": user_id(user),
        "organization_id": organization_id(),
        "preferred_username": user.get_username(),
        "nickname": user.first_name or user.get_username(),
        "name": user.get_full_name() or user.get_username(),
        "email": user.email,
        "email_verified": False,
        "given_name": user.first_name,
        "family_name": user.last_name,
        "zoneinfo": settings.TIME_ZONE,
        "photos": _photos(),
        "profile": f"{settings.BASE_URL}/{user_id(user)}",
        "picture": settings.BASE_URL + _PHOTO,
        "urls": _urls(user),
        "active": user.is_active,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_US",
        "utcOffset": 0,
        "updated_at": _changed_at(user),
    }


def identity(user: AbstractUser) -> dict[str, Any]:
    """Return what the identity address answers: the same under its own names."""
    return {
        "id": identity_url(user),
        "asserted_user": True,
        "user_id": user_id(user),
        "organization_id": organization_id(),
        "username": user.get_username(),
        "nick_name": user.first_name or user.get_username(),
        "display_name": user.get_full_name() or user.get_username(),
        "email": user.email,
        "email_verified": False,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "timezone": settings.TIME_ZONE,
        "photos": _photos(),
        **dict.fromkeys(("addr_street", "addr_city", "addr_state", "addr_country", "addr_zip")),
        "mobile_phone": None,
        "mobile_phone_verified": False,
        "is_lightning_login_user": False,
        "status": {"created_date": None, "body": None},
        "urls": _urls(user),
        "active": user.is_active,
        "user_type": "STANDARD",
        "language": "en_US",
        "locale": "en_US",
        "utcOffset": 0,
        "last_modified_date": _changed_at(user),
        "is_app_installed": True,
    }


def _photos() -> dict[str, str]:
    picture = settings.BASE_URL + _PHOTO
    return {"picture": picture, "thumbnail": picture}


def _urls(user: AbstractUser) -> dict[str, str]:
    """Return the addresses by which clients find the API; `{version}` is theirs to fill in."""
    base = settings.BASE_URL
    return {
        "enterprise": f"{base}/services/Soap/c/{{version}}/{organization_id(length=15)}",
        "partner": f"{base}/services/Soap/u/{{version}}/{organization_id(length=15)}",
        "rest": f"{base}/services/data/v{{version}}/",
        "sobjects": f"{base}/services/data/v{{version}}/sobjects/",
        "search": f"{base}/services/data/v{{version}}/search/",
        "query": f"{base}/services/data/v{{version}}/query/",
        "recent": f"{base}/services/data/v{{version}}/recent/",
        "profile": f"{base}/{user_id(user)}",
        "custom_domain": base,
    }


def _changed_at(user: AbstractUser) -> str:
    moment = user.date_joined or clock.now()
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "+0000")
