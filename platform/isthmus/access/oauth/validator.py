"""Answers the provider's questions about clients, codes and scopes, and keeps the tokens it gives."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib.auth.hashers import check_password
from oauth2_provider.models import AccessToken, Grant
from oauth2_provider.oauth2_validators import OAuth2Validator

from isthmus import clock
from isthmus.access.client_address import address_in
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.identity import identity_url
from isthmus.access.models import ApiClient, ApiClientSecret, Flow, Scope
from isthmus.access.oauth import identity_tokens
from isthmus.access.oauth.errors import refusal
from isthmus.access.run_as import check_run_as_user
from isthmus.access.sign_in import second_factor
from isthmus.access.tokens import checksum

__all__ = ["OAuthValidator", "client_of", "presented_credentials"]

# What a client id or secret can be made of; a database need not be asked about anything else (NUL least of all).
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
_FLOWS = {
    "authorization_code": Flow.AUTHORIZATION_CODE,
    "client_credentials": Flow.CLIENT_CREDENTIALS,
    "password": Flow.PASSWORD,
    "urn:ietf:params:oauth:grant-type:jwt-bearer": Flow.JWT_BEARER,
}


class OAuthValidator(OAuth2Validator):
    """The provider's view of what is stored. Authorization codes are stored as hashes, as tokens are."""

    # --- clients --------------------------------------------------------------------------------------------------
    def client_authentication_required(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Return whether the client has a secret to show."""
        client_id, secret = presented_credentials(request)
        client = _usable(client_of(client_id), request)
        return bool(secret) or client.client_type == ApiClient.CLIENT_CONFIDENTIAL

    def authenticate_client(self, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Accept HTTP Basic or the form's `client_id` and `client_secret`. Raises with the reason of a refusal."""
        client_id, secret = presented_credentials(request)
        client = _usable(client_of(client_id), request)
        if not _PRINTABLE.fullmatch(secret) or not check_password(secret, client.client_secret):
            raise refusal("invalid_client", "invalid client credentials", request)
        request.client = client
        request.client_id = client.client_id
        return True

    def authenticate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Accept a public client by its id alone."""
        request.client = _usable(client_of(client_id or ""), request)
        return bool(request.client.client_type == ApiClient.CLIENT_PUBLIC)

    def validate_client_id(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> bool:
        """Return whether there is such a client, at the authorization endpoint."""
        client = client_of(client_id or "")
        if client is None or client.is_expired:
            return False
        request.client = client
        return True

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a flow that the client may not use, and a client that has nobody to run as. Raises with the reason."""
        if grant_type == "refresh_token":
            return True
        if not client.allows_flow(_FLOWS[grant_type]):
            return False
        if grant_type == "client_credentials":
            if client.user is None:
                raise refusal("invalid_grant", "no client credentials user enabled", request)
            if not client.user.is_active:
                raise refusal("inactive_user", "user is inactive", request)
        return True

    def validate_response_type(
        self, client_id: str, response_type: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may ask people for authorization codes."""
        return response_type == "code" and client.allows_flow(Flow.AUTHORIZATION_CODE)

    # --- scopes ---------------------------------------------------------------------------------------------------
    def validate_scopes(
        self, client_id: str, scopes: Iterable[str], client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the client may have these scopes."""
        return set(scopes) <= set(client.scopes.split())

    def get_default_scopes(self, client_id: str, request: Any, *args: Any, **kwargs: Any) -> list[str]:
        """Return what a request gets that names no scope: all that the client may have.

        A client that acts on its own cannot stay signed in: it signs in whenever it likes.
        """
        own = request.client.scopes.split()
        if request.grant_type == "client_credentials":
            return [scope for scope in own if scope != Scope.REFRESH_TOKEN]
        return list(own)

    # --- authorization codes --------------------------------------------------------------------------------------
    def is_pkce_required(self, client_id: str, request: Any) -> bool:
        """Return whether a code needs a challenge: those of public clients always do."""
        client: ApiClient | None = request.client or client_of(client_id)
        return client is None or client.requires_pkce or client.client_type == ApiClient.CLIENT_PUBLIC

    def save_authorization_code(self, client_id: str, code: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the hash of the code."""
        super().save_authorization_code(client_id, {**code, "code": checksum(code["code"])}, request)

    def validate_code(
        self, client_id: str, code: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the code is the client's and still good. Raises with the reason if not."""
        grant = Grant.objects.filter(code=checksum(code), application=client).first()
        if grant is None:
            raise refusal("invalid_grant", "invalid authorization code", request)
        if grant.expires <= clock.now():
            raise refusal("invalid_grant", "expired authorization code", request)
        return bool(super().validate_code(client_id, checksum(code), client, request))

    def get_code_challenge(self, code: str, request: Any) -> Any:
        return super().get_code_challenge(checksum(code), request)

    def get_code_challenge_method(self, code: str, request: Any) -> Any:
        return super().get_code_challenge_method(checksum(code), request)

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: ApiClient, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the address is the one that the code was asked for with. Raises if not."""
        if not super().confirm_redirect_uri(client_id, checksum(code), redirect_uri, client):
            raise refusal("redirect_uri_mismatch", "redirect_uri must match configuration")
        return True

    def invalidate_authorization_code(self, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> None:
        super().invalidate_authorization_code(client_id, checksum(code), request)

    def get_authorization_code_scopes(self, client_id: str, code: str, redirect_uri: str, request: Any) -> Any:
        return super().get_authorization_code_scopes(client_id, checksum(code), redirect_uri, request)

    # --- tokens ---------------------------------------------------------------------------------------------------
    def validate_refresh_token(
        self, refresh_token: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether the token is good; one that was used before voids every token of its line. Raises if not."""
        toolkit: Any = super()
        if not toolkit.validate_refresh_token(refresh_token, client, request):
            raise refusal("invalid_grant", "expired access/refresh token", request)
        return True

    def rotate_refresh_token(self, request: Any) -> bool:
        """Return whether the client gets a new refresh token with each use."""
        return bool(request.client.rotates_refresh_tokens)

    def validate_user(
        self, username: str, password: str, client: ApiClient, request: Any, *args: Any, **kwargs: Any
    ) -> bool:
        """Return whether this is a user's password. Raises if not."""
        toolkit: Any = super()
        # No user's name has a NUL in it, and no database likes to be asked.
        if "\0" in username or not toolkit.validate_user(username, password, client, request):
            raise refusal("invalid_grant", "authentication failure", request)
        if second_factor.has_device(request.user):
            # A password alone is not enough for who has a second factor.
            raise refusal("invalid_grant", "authentication failure", request)
        return True

    def _save_bearer_token(self, token: dict[str, Any], request: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the token, bound to whom it acts as, and complete the answer in `token`. Runs in a transaction."""
        client: ApiClient = request.client
        moment = clock.now()
        # Takes the row's lock and looks once more: a secret or user replaced meanwhile gets no token, and whoever
        # replaces one next waits for this token and then revokes it.
        unchanged = ApiClient.objects.filter(pk=client.pk, client_secret=client.client_secret, user=client.user)
        if not unchanged.update(last_used_at=moment):
            raise refusal("invalid_client", "invalid client credentials", request)
        toolkit: Any = super()
        toolkit._save_bearer_token(token, request, *args, **kwargs)  # noqa: SLF001 - the toolkit's documented hook
        user: Any = request.user if request.user is not None else client.user
        try:
            check_run_as_user(user)
        except RunAsUserRefused as error:
            raise refusal("inactive_user", "user is inactive", request) from error
        if request.grant_type == "refresh_token" and not client.rotates_refresh_tokens:
            token.pop("refresh_token", None)
        identity = identity_url(user)
        issued_at = str(int(moment.timestamp() * 1000))
        token.update(
            instance_url=settings.BASE_URL,
            id=identity,
            issued_at=issued_at,
            signature=_signature(_secret_of(client), identity + issued_at),
        )
        if Scope.OPENID in token.get("scope", "").split():
            token["id_token"] = identity_tokens.issue(
                user, client, nonce=getattr(request, "nonce", None), access_token=token["access_token"]
            )

    def _create_access_token(
        self, expires: datetime, request: Any, token: dict[str, Any], source_refresh_token: Any = None
    ) -> AccessToken:
        """Bind the token to the client's run-as user where the client acts on its own."""
        if request.grant_type == "client_credentials":
            request.user = request.client.user
        toolkit: Any = super()
        expires = clock.now() + timedelta(seconds=token["expires_in"])
        stored: AccessToken = toolkit._create_access_token(  # noqa: SLF001 - the toolkit's documented hook
            expires, request, token, source_refresh_token
        )
        return stored

    def _check_and_set_request_resource(self, request: Any) -> None:
        """Let the toolkit find the code, which it looks up by the request's own."""
        given = request.code
        request.code = checksum(given) if given else given
        try:
            toolkit: Any = super()
            toolkit._check_and_set_request_resource(request)  # noqa: SLF001 - the toolkit's hook
        finally:
            request.code = given


def presented_credentials(request: Any) -> tuple[str, str]:
    """Return the client id and secret of a token request, "" for what is missing; HTTP Basic wins over the form."""
    scheme, _, encoded = (request.headers.get("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return getattr(request, "client_id", None) or "", getattr(request, "client_secret", None) or ""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def client_of(client_id: str) -> ApiClient | None:
    """Return the client of that id, `None` when there is none."""
    if not _PRINTABLE.fullmatch(client_id):
        return None
    return ApiClient.objects.select_related("user").filter(client_id=client_id).first()


def _usable(client: ApiClient | None, request: Any) -> ApiClient:
    if client is None:
        raise refusal("invalid_client_id", "client identifier invalid", request)
    if client.is_expired:
        raise refusal("invalid_client", "client has expired", request)
    if not client.allows_address(address_in(request.headers)):
        raise refusal("invalid_grant", "ip restricted", request)
    return client


def _secret_of(client: ApiClient) -> str:
    kept = ApiClientSecret.objects.filter(client=client).first()
    return kept.secret.reveal() if kept is not None else ""


def _signature(secret: str, signed: str) -> str:
    """Return what django-salesforce verifies: only this server and the client itself know the secret."""
    return base64.b64encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)).decode()
