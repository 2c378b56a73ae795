"""OAuth 2.0 token exchange: one token becomes another, for another audience (https://www.rfc-editor.org/rfc/rfc8693)."""

from collections.abc import Generator, Mapping

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest, Response

from credentials.errors import SettingsRefused
from credentials.protocols.base import TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.client_authentication import token_request
from credentials.protocols.oauth_client_credentials import (
    CLIENT_OPTIONS,
    SCOPE,
    TOKEN_URL,
    client_of,
    client_secret_options,
    refuse_client_settings,
)
from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.protocols.token_answers import read_token_answer
from credentials.tokens import TokenAnswer
from isthmus.vault.secret import Secret

__all__ = ["OAuthTokenExchange"]

_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_TYPES = tuple(
    (f"urn:ietf:params:oauth:token-type:{name}", label)
    for name, label in (
        ("access_token", "Access token"),
        ("refresh_token", "Refresh token"),
        ("id_token", "ID token"),
        ("jwt", "JWT"),
        ("saml2", "SAML 2.0 assertion"),
    )
)


class OAuthTokenExchange(BearerTokenProtocol):
    """Exchanges a stored token, or the token of another principal."""

    name = "oauth_token_exchange"
    label = "OAuth 2.0 token exchange"
    options = (
        TOKEN_URL,
        ProtocolOption(
            name="subject_principal",
            label="Token of another principal",
            type="principal",
            help_text="ExternalCredential.Principal whose access token is exchanged. Empty: the subject token below.",
        ),
        ProtocolOption(
            name="subject_token_type",
            label="Type of the subject token",
            default=_TYPES[0][0],
            is_required=True,
            choices=_TYPES,
        ),
        ProtocolOption(name="audience", label="Audience", help_text="Logical name of the service to be called."),
        ProtocolOption(name="resource", label="Resource", type="url", help_text="Address of the service to be called."),
        SCOPE,
        *CLIENT_OPTIONS,
        ProtocolOption(name="subject_token", label="Subject token", is_required=True, is_sensitive=True),
        ProtocolOption(
            name="actor_token", label="Actor token", is_sensitive=True, help_text="An access token; optional."
        ),
    )

    @classmethod
    def secret_options(cls, settings: Mapping[str, object]) -> list[ProtocolOption]:
        found = client_secret_options(super().secret_options(settings), settings)
        return [option for option in found if option.name != "subject_token" or not settings.get("subject_principal")]

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        refuse_client_settings(settings)

    def fetch(self) -> Generator[PreparedRequest, Response, TokenAnswer]:
        subject = yield from self._subject_token()
        return read_token_answer((yield self._exchange(subject)))

    # Apart from the generator, whose frames the decorator does not reach.
    @sensitive_variables()
    def _exchange(self, subject: Secret) -> TokenRequest:
        fields = {
            "subject_token": subject.reveal(),
            **{name: str(self.settings[name]) for name in ("subject_token_type", "audience", "resource", "scope")},
        }
        if "actor_token" in self.secrets:
            fields |= {"actor_token": self.secrets["actor_token"].reveal(), "actor_token_type": _TYPES[0][0]}
        return token_request(str(self.settings["token_url"]), client_of(self), _GRANT, fields)

    def _subject_token(self) -> Generator[PreparedRequest, Response, Secret]:
        other = self.principals.get("subject_principal")
        if other is None:
            return self.secrets["subject_token"]
        if not isinstance(other, BearerTokenProtocol):
            raise SettingsRefused(
                f"The protocol {other.label} gives no token to exchange.", fields=["subject_principal"]
            )
        token = yield from other.current_token()
        return token.text
