"""OAuth 2.0 client credentials: the client acts on its own behalf (https://www.rfc-editor.org/rfc/rfc6749#section-4.4)."""

from collections.abc import Mapping

from django.views.decorators.debug import sensitive_variables

from credentials.errors import SettingsRefused
from credentials.protocols.base import AuthenticationProtocol, TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.client_authentication import (
    BODY,
    CLIENT_AUTHENTICATION_CHOICES,
    HEADER,
    PRIVATE_KEY_JWT,
    OAuthClient,
    token_request,
)
from credentials.protocols.jwt_claims import KEY_ID
from credentials.protocols.options import ProtocolOption, SettingValue

__all__ = [
    "CLIENT_OPTIONS",
    "SCOPE",
    "TOKEN_URL",
    "OAuthClientCredentials",
    "client_of",
    "client_secret_options",
    "refuse_client_settings",
]


def _is_scope(scope: SettingValue) -> str | None:
    # https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    allowed = all("!" <= character <= "~" and character not in '"\\' for character in str(scope).replace(" ", ""))
    return None if allowed else "Scopes are ASCII words separated by blanks, without quotes and backslashes."


TOKEN_URL = ProtocolOption(
    name="token_url",
    label="Token URL",
    type="url",
    is_required=True,
    endpoint="token_endpoint",
    help_text="Absolute address of the token endpoint. Empty: the identity provider's.",
)
SCOPE = ProtocolOption(
    name="scope", label="Scope", help_text="Scopes to ask for, separated by blanks.", validate=_is_scope
)
CLIENT_OPTIONS = (
    ProtocolOption(
        name="client_authentication",
        label="Client authentication",
        default=HEADER,
        is_required=True,
        choices=CLIENT_AUTHENTICATION_CHOICES,
        help_text="How the client proves itself. The header is what RFC 6749 asks every endpoint to take.",
    ),
    ProtocolOption(
        name="certificate",
        label="Certificate",
        type="certificate",
        help_text="Signs the assertion, where that is how the client proves itself.",
    ),
    ProtocolOption(
        name="assertion_audience",
        label="Audience of the assertion",
        help_text="Empty: the token URL. Some servers want their issuer here.",
    ),
    KEY_ID,
    ProtocolOption(name="client_id", label="Client id", is_required=True, is_sensitive=True),
    ProtocolOption(name="client_secret", label="Client secret", is_required=True, is_sensitive=True),
)


def client_secret_options(options: list[ProtocolOption], settings: Mapping[str, object]) -> list[ProtocolOption]:
    """Leave the client secret out where an assertion proves the client."""
    needs_secret = settings.get("client_authentication", HEADER) in {HEADER, BODY}
    return [option for option in options if option.name != "client_secret" or needs_secret]


def refuse_client_settings(settings: Mapping[str, SettingValue]) -> None:
    """Raise `SettingsRefused` for an assertion without a certificate."""
    if settings["client_authentication"] == PRIVATE_KEY_JWT and not settings["certificate"]:
        raise SettingsRefused("A signed assertion needs a certificate.", fields=["certificate"])


def client_of(protocol: AuthenticationProtocol) -> OAuthClient:
    """Return the client that the protocol's settings and secrets describe."""
    return OAuthClient(
        client_id=protocol.secrets["client_id"],
        authentication=str(protocol.settings["client_authentication"]),
        client_secret=protocol.secrets.get("client_secret"),
        signing_key=protocol.certificates.get("certificate"),
        assertion_audience=str(protocol.settings["assertion_audience"]),
        key_id=str(protocol.settings["key_id"]),
    )


class OAuthClientCredentials(BearerTokenProtocol):
    """Fetches tokens with client id, and client secret or signed assertion."""

    name = "oauth_client_credentials"
    label = "OAuth 2.0 client credentials"
    options = (
        TOKEN_URL,
        *CLIENT_OPTIONS[:4],
        SCOPE,
        ProtocolOption(
            name="audience", label="Audience", help_text="Whom the token is for, where the endpoint wants to be told."
        ),
        *CLIENT_OPTIONS[4:],
    )

    @classmethod
    def secret_options(cls, settings: Mapping[str, object]) -> list[ProtocolOption]:
        return client_secret_options(super().secret_options(settings), settings)

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        refuse_client_settings(settings)

    @sensitive_variables()
    def token_request(self) -> TokenRequest:
        fields = {name: str(self.settings[name]) for name in ("scope", "audience")}
        return token_request(str(self.settings["token_url"]), client_of(self), "client_credentials", fields)
