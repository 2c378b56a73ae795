"""Refusals of the OAuth endpoints, in the words that Salesforce's clients know."""

from typing import Any

from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error

__all__ = ["refusal"]


def refusal(error: str, description: str, request: Any = None) -> CustomOAuth2Error:
    """Return what to raise for a request that is refused: always a 400.

    The standard's 401 (RFC 6749, 5.2) would make some clients ask for a new session instead of showing the reason.
    """
    return CustomOAuth2Error(error, description=description, request=request)
