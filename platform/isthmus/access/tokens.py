"""The text of an access token, and how a stored token is found by it without being readable itself."""

import hashlib
from datetime import timedelta
from typing import Any

from oauth2_provider.models import AccessToken, set_token_value
from oauth2_provider.settings import oauth2_settings

from isthmus import clock, ids
from isthmus.access.identity import organization_id

__all__ = ["checksum", "generate_access_token", "generate_refresh_token", "issue", "new_token_text"]


def new_token_text() -> str:
    """Return a new token: `<organisation id>!<256 random bits>`.

    The `sf` command line takes only this form, with letters, digits, `_` and `.` after the `!`
    (https://github.com/forcedotcom/sfdx-core, `sfdc.ts`, `accessTokenRegex`).
    """
    return f"{organization_id(length=15)}!{ids.new_token(32).replace('-', '.')}"


def generate_access_token(_request: object, refresh_token: bool = False) -> str:  # noqa: ARG001, FBT001, FBT002, RUF100 - oauthlib's signature
    """Return a new token text, in the form in which the OAuth provider asks for it."""
    return new_token_text()


def generate_refresh_token(_request: object, refresh_token: bool = False) -> str:  # noqa: ARG001, FBT001, FBT002, RUF100 - oauthlib's signature
    """Return a new refresh token text: 384 random bits."""
    return ids.new_token(48).replace("-", ".")


def checksum(text: str) -> str:
    """Return what a token is found by; the text itself is never stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def issue(user: Any) -> tuple[str, AccessToken]:
    """Store a token for `user` that no API client asked for, and return its text with it."""
    text = new_token_text()
    token = AccessToken(
        user=user,
        expires=clock.now() + timedelta(seconds=oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS),
        scope=" ".join(oauth2_settings.DEFAULT_SCOPES),
    )
    set_token_value(token, text)
    token.save()
    return text, token
