"""OAuth 2.0 authorization code with PKCE: a person consents once, refresh tokens do the rest.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636 (S256 always). Client id and
secret are the identity provider's, which many credentials share; each principal (or each user at a per-user one)
holds the grant that a person gave.
"""

from collections.abc import Generator

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Response

from credentials.errors import NotConnected, SettingsRefused, TokenEndpointRefused
from credentials.protocols.base import AuthenticationContext, TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.client_authentication import OAuthClient, client_request, token_request
from credentials.protocols.oauth_client_credentials import SCOPE
from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.protocols.token_answers import read_token_answer
from credentials.tokens import TokenAnswer
from isthmus.vault.secret import Secret

__all__ = ["OAuthAuthorizationCode"]

_PARAMETERS_OURS = {
    "response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope",
}  # fmt: skip


def _is_parameters(text: SettingValue) -> str | None:
    for number, line in enumerate(str(text).splitlines(), start=1):
        name, given, _ = line.partition("=")
        if line.strip() and (not given or not name.strip()):
            return f"Line {number} is not `name=value`."
        if name.strip() in _PARAMETERS_OURS:
            return f"{name.strip()} is set by the platform."
    return None


class OAuthAuthorizationCode(BearerTokenProtocol):
    """Refreshes the grant that a person gave at the identity provider."""

    name = "oauth_authorization_code"
    label = "OAuth 2.0 authorization code (with PKCE)"
    needs_provider = True
    is_interactive = True
    # A rotated refresh token is given once: were it rolled back, the grant would be lost.
    needs_commit = True
    options = (
        SCOPE,
        ProtocolOption(
            name="authorize_parameters",
            label="Further parameters",
            type="long_text",
            help_text="For the page of consent, one `name=value` a line: `prompt=consent`, `access_type=offline`.",
            validate=_is_parameters,
        ),
    )

    def __init__(self, context: AuthenticationContext) -> None:
        super().__init__(context)
        if context.provider is None:
            raise SettingsRefused("The authorization code needs an identity provider. Choose one.")
        self.provider = context.provider

    @sensitive_variables()
    def authorization_url(self, *, state: str, code_verifier: str, redirect_uri: str) -> str:
        """Return the address of the page on which a person consents."""
        lines = (line.partition("=") for line in str(self.settings["authorize_parameters"]).splitlines())
        further = {name.strip(): value.strip() for name, _, value in lines if name.strip()}
        return str(
            prepare_grant_uri(
                self.provider.authorization_endpoint,
                self.provider.client_id.reveal(),
                "code",
                redirect_uri=redirect_uri,
                scope=str(self.settings["scope"]) or None,
                state=state,
                code_challenge=create_s256_code_challenge(code_verifier),
                code_challenge_method="S256",
                **further,
            )
        )

    @sensitive_variables()
    def code_request(self, *, code: str, code_verifier: str, redirect_uri: str) -> TokenRequest:
        """Return the request that exchanges the code for tokens."""
        fields = {"code": code, "code_verifier": code_verifier, "redirect_uri": redirect_uri}
        return token_request(self.provider.token_endpoint, self._client(), "authorization_code", fields)

    def revocation_requests(self) -> list[TokenRequest]:
        """Return what tells the provider that the grant is over (https://www.rfc-editor.org/rfc/rfc7009)."""
        if not self.provider.revocation_endpoint:
            return []
        refresh = [(token, "refresh_token") for token in self.tokens.refresh_tokens()[:1]]
        held = self.tokens.held().token
        access = [(held.text, "access_token")] if held and not refresh else []
        return [self._revocation(token, hint) for token, hint in (*refresh, *access)]

    def fetch(self) -> Generator[PreparedRequest, Response, TokenAnswer]:
        """Refresh with the newest refresh token, and if that one is refused with the one before it.

        The one before counts where the newest never reached us whole, or the provider lost what it had given. What is
        held is never replaced by nothing: a refusal leaves it as it is.
        """
        candidates = self.tokens.refresh_tokens()
        if not candidates:
            raise NotConnected
        refusal: TokenEndpointRefused | None = None
        for refresh_token in candidates:
            try:
                answer = read_token_answer((yield self._refresh(refresh_token)))
            except TokenEndpointRefused as error:
                refusal = refusal or error
                if not error.is_grant_invalid:
                    break
            else:
                return answer
        raise refusal or NotConnected()

    @sensitive_variables()
    def _refresh(self, refresh_token: Secret) -> TokenRequest:
        fields = {"refresh_token": refresh_token.reveal()}
        return token_request(self.provider.token_endpoint, self._client(), "refresh_token", fields)

    @sensitive_variables()
    def _revocation(self, token: Secret, hint: str) -> TokenRequest:
        fields = {"token": token.reveal(), "token_type_hint": hint}
        return client_request(self.provider.revocation_endpoint, self._client(), fields)

    def _client(self) -> OAuthClient:
        provider = self.provider
        return OAuthClient(
            client_id=provider.client_id,
            authentication=provider.client_authentication,
            client_secret=provider.client_secret,
            signing_key=provider.signing_key,
            assertion_audience=provider.assertion_audience,
        )
