"""The OAuth provider: django-oauth-toolkit, with Salesforce's answers and the run-as user bound to the token."""

import base64
import binascii
import hashlib
import hmac
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib.auth.hashers import check_password
from oauth2_provider.models import AccessToken
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.oauth2.rfc6749.errors import CustomOAuth2Error

from isthmus import clock
from isthmus.access.identity import identity_url
from isthmus.access.models import ApiClient

__all__ = ["TokenRequestValidator", "presented_credentials"]

# What a client id or secret can be made of; a database need not be asked about anything else (NUL least of all).
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")


class TokenRequestValidator(OAuth2Validator):
    """Answers the provider's questions about clients, and keeps the tokens it gives.

    Every failure is a 400 with `error` and `error_description`, as Salesforce's clients expect it; the standard's 401
    (RFC 6749, 5.2) would make some of them ask for a new session instead of showing the reason.
    """

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Accept HTTP Basic or the form's `client_id` and `client_secret`. Raises with the reason of a refusal."""
        client_id, secret = presented_credentials(request)
        client = _client(client_id)
        if client is None:
            raise CustomOAuth2Error("invalid_client_id", description="client identifier invalid", request=request)
        if not _PRINTABLE.fullmatch(secret) or not check_password(secret, client.client_secret):
            raise CustomOAuth2Error("invalid_client", description="invalid client credentials", request=request)
        request.client = client
        request.client_secret = secret
        return True

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a client that has nobody to run as. Raises with the reason."""
        if client.user is None:
            raise CustomOAuth2Error("invalid_grant", description="no client credentials user enabled", request=request)
        if not client.user.is_active:
            raise CustomOAuth2Error("inactive_user", description="user is inactive", request=request)
        toolkit: Any = super()
        return bool(toolkit.validate_grant_type(client_id, grant_type, client, request, *args, **kwargs))

    def _create_access_token(
        self, expires: datetime, request: Any, token: dict[str, Any], source_refresh_token: Any = None
    ) -> AccessToken:
        """Bind the token to the client's run-as user, and complete the answer in `token`."""
        client: ApiClient = request.client
        moment = clock.now()
        # Takes the row's lock and looks once more: a secret or user replaced meanwhile gets no token, and whoever
        # replaces one next waits for this token and then revokes it.
        unchanged = ApiClient.objects.filter(pk=client.pk, client_secret=client.client_secret, user=client.user)
        if not unchanged.update(last_used_at=moment):
            raise CustomOAuth2Error("invalid_client", description="invalid client credentials", request=request)
        request.user = client.user
        toolkit: Any = super()
        expires = moment + timedelta(seconds=token["expires_in"])
        stored: AccessToken = toolkit._create_access_token(  # noqa: SLF001 - the toolkit's documented hook
            expires, request, token, source_refresh_token
        )
        identity = identity_url(request.user)
        issued_at = str(int(moment.timestamp() * 1000))
        token.update(
            instance_url=settings.BASE_URL,
            id=identity,
            issued_at=issued_at,
            signature=_signature(request.client_secret, identity + issued_at),
        )
        return stored


def presented_credentials(request: Any) -> tuple[str, str]:
    """Return the client id and secret of a token request, "" for what is missing; HTTP Basic wins over the form."""
    scheme, _, encoded = (request.headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return request.client_id or "", request.client_secret or ""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _client(client_id: str) -> ApiClient | None:
    if not _PRINTABLE.fullmatch(client_id):
        return None
    return ApiClient.objects.select_related("user").filter(client_id=client_id).first()


def _signature(secret: str, signed: str) -> str:
    """Return what django-salesforce verifies: only the client itself knows the secret, so it is made as it logs in."""
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)).decode()
