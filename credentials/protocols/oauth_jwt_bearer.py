"""OAuth 2.0 JWT bearer grant: a signed assertion about a subject becomes a token (https://www.rfc-editor.org/rfc/rfc7523)."""

from collections.abc import Mapping

from django.views.decorators.debug import sensitive_variables

from credentials.protocols.base import TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.client_authentication import NONE, OAuthClient, signed_jwt, token_request
from credentials.protocols.jwt_claims import CLAIM_OPTIONS, claims_of, refuse_claim_settings
from credentials.protocols.oauth_client_credentials import SCOPE, TOKEN_URL
from credentials.protocols.options import ProtocolOption, SettingValue
from isthmus.vault.secret import Secret

__all__ = ["OAuthJwtBearer"]

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_NO_CLIENT, _CLIENT_ID, _SECRET = "none", "client_id", "secret"


class OAuthJwtBearer(BearerTokenProtocol):
    """Signs an assertion with a certificate's key and exchanges it at the token endpoint."""

    name = "oauth_jwt_bearer"
    label = "OAuth 2.0 JWT bearer"
    options = (
        TOKEN_URL,
        *CLAIM_OPTIONS,
        SCOPE,
        ProtocolOption(
            name="client_authentication",
            label="Client authentication",
            default=_NO_CLIENT,
            is_required=True,
            choices=(
                (_NO_CLIENT, "None: the assertion says it all"),
                (_CLIENT_ID, "The issuer as client id"),
                (_SECRET, "The issuer as client id, with a secret in the header"),
            ),
        ),
        ProtocolOption(name="client_secret", label="Client secret", is_required=True, is_sensitive=True),
    )

    @classmethod
    def secret_options(cls, settings: Mapping[str, object]) -> list[ProtocolOption]:
        return super().secret_options(settings) if settings.get("client_authentication") == _SECRET else []

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        refuse_claim_settings(settings)

    @sensitive_variables()
    def token_request(self) -> TokenRequest:
        url = str(self.settings["token_url"])
        claims = claims_of(self, audience=url)
        fields = {
            "assertion": signed_jwt(
                self.certificates["certificate"],
                claims,
                lifetime_seconds=int(self.settings["lifetime_seconds"]),
                key_id=str(self.settings["key_id"]),
            ),
            "scope": str(self.settings["scope"]),
        }
        return token_request(url, self._client(), _GRANT, fields)

    def _client(self) -> OAuthClient | None:
        kind = self.settings["client_authentication"]
        if kind == _NO_CLIENT:
            return None
        issuer = Secret(str(self.settings["issuer"]))
        if kind == _CLIENT_ID:
            return OAuthClient(client_id=issuer, authentication=NONE)
        return OAuthClient(client_id=issuer, client_secret=self.secrets["client_secret"])
