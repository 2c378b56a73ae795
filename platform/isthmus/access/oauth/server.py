"""Which flows there are: oauthlib's, and the JWT bearer flow (RFC 7523), which it lacks."""

import json
from typing import Any

from oauthlib.oauth2.rfc6749.endpoints.authorization import AuthorizationEndpoint
from oauthlib.oauth2.rfc6749.endpoints.token import TokenEndpoint
from oauthlib.oauth2.rfc6749.errors import OAuth2Error
from oauthlib.oauth2.rfc6749.grant_types.authorization_code import AuthorizationCodeGrant
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase
from oauthlib.oauth2.rfc6749.grant_types.client_credentials import ClientCredentialsGrant
from oauthlib.oauth2.rfc6749.grant_types.refresh_token import RefreshTokenGrant
from oauthlib.oauth2.rfc6749.grant_types.resource_owner_password_credentials import (
    ResourceOwnerPasswordCredentialsGrant,
)
from oauthlib.oauth2.rfc6749.tokens import BearerToken

from isthmus.access.client_address import address_in
from isthmus.access.conf import AccessOptions
from isthmus.access.models import Scope
from isthmus.access.oauth.assertions import user_of_assertion
from isthmus.access.oauth.errors import refusal

__all__ = ["JWT_BEARER", "OAuthServer"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class OAuthServer(AuthorizationEndpoint, TokenEndpoint):
    """Answers authorization and token requests."""

    def __init__(
        self,
        request_validator: Any,
        token_expires_in: Any = None,
        token_generator: Any = None,
        refresh_token_generator: Any = None,
        **_: Any,
    ) -> None:
        code_grant = _CodeGrant(request_validator)
        bearer = _BearerToken(request_validator, token_generator, token_expires_in, refresh_token_generator)
        AuthorizationEndpoint.__init__(
            self, default_response_type="code", response_types={"code": code_grant}, default_token_type=bearer
        )
        grants: dict[str, Any] = {
            "authorization_code": code_grant,
            "client_credentials": ClientCredentialsGrant(request_validator),
            "refresh_token": RefreshTokenGrant(request_validator),
            JWT_BEARER: _JwtBearerGrant(request_validator),
        }
        if AccessOptions().password_flows:
            grants["password"] = ResourceOwnerPasswordCredentialsGrant(request_validator)
        TokenEndpoint.__init__(
            self, default_grant_type="client_credentials", grant_types=grants, default_token_type=bearer
        )


class _BearerToken(BearerToken):
    """Gives a refresh token only to who asked to stay signed in."""

    __slots__ = ()

    def create_token(self, request: Any, refresh_token: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002, RUF100 - oauthlib's signature
        return super().create_token(request, refresh_token and Scope.REFRESH_TOKEN in (request.scopes or ()), **kwargs)


class _CodeGrant(AuthorizationCodeGrant):
    """The authorization code flow; its only code challenge is S256."""

    def validate_code_challenge(self, challenge: str, challenge_method: str, verifier: str) -> bool:
        if not super().validate_code_challenge(challenge, challenge_method, verifier):
            raise refusal("invalid_grant", "invalid code verifier")
        return True


class _JwtBearerGrant(GrantTypeBase):
    """A client signs that it acts for a user who agreed before; its only proof is the signature."""

    def create_token_response(self, request: Any, token_handler: Any) -> tuple[dict[str, str], str, int]:
        """Return headers, body and status."""
        headers = self._get_default_headers()
        try:
            self._validate(request)
            token = token_handler.create_token(request, refresh_token=False)
            validator: Any = self.request_validator
            validator.save_token(token, request)
        except OAuth2Error as error:
            headers.update(error.headers)
            return headers, error.json, error.status_code
        return headers, json.dumps(token), 200

    def _validate(self, request: Any) -> None:
        request.client, request.user, approved = user_of_assertion(getattr(request, "assertion", None) or "", request)
        request.client_id = request.client.client_id
        if not request.client.allows_address(address_in(request.headers)):
            raise refusal("invalid_grant", "ip restricted")
        self.validate_grant_type(request)
        if not request.scope:
            request.scopes = approved.split()
        self.validate_scopes(request)
