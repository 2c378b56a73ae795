"""OAuth 2.0 client credentials: the client acts on its own behalf (https://www.rfc-editor.org/rfc/rfc6749#section-4.4)."""

import base64
from urllib.parse import quote_plus

from authlib.oauth2.rfc6749.parameters import prepare_token_request
from django.views.decorators.debug import sensitive_variables
from requests import Request

from credentials.protocols.base import TokenRequest
from credentials.protocols.bearer_token import BearerTokenProtocol
from credentials.protocols.options import ProtocolOption, SettingValue

__all__ = ["OAuthClientCredentials"]

_HEADER, _BODY = "header", "body"


def _is_scope(scope: SettingValue) -> str | None:
    # https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    allowed = all("!" <= character <= "~" and character not in '"\\' for character in str(scope).replace(" ", ""))
    return None if allowed else "Scopes are ASCII words separated by blanks, without quotes and backslashes."


class OAuthClientCredentials(BearerTokenProtocol):
    """Fetches tokens with client id and client secret."""

    name = "oauth_client_credentials"
    label = "OAuth 2.0 client credentials"
    options = (
        ProtocolOption(
            name="token_url",
            label="Token URL",
            type="url",
            is_required=True,
            help_text="Absolute address of the token endpoint.",
        ),
        ProtocolOption(
            name="client_authentication",
            label="Client authentication",
            default=_HEADER,
            is_required=True,
            choices=((_HEADER, "In the Authorization header"), (_BODY, "In the body")),
            help_text="Where client id and secret are sent. The header is what RFC 6749 asks every endpoint to take.",
        ),
        ProtocolOption(
            name="scope", label="Scope", help_text="Scopes to ask for, separated by blanks.", validate=_is_scope
        ),
        ProtocolOption(
            name="audience", label="Audience", help_text="Whom the token is for, where the endpoint wants to be told."
        ),
        ProtocolOption(name="client_id", label="Client id", is_required=True, is_sensitive=True),
        ProtocolOption(name="client_secret", label="Client secret", is_required=True, is_sensitive=True),
    )

    @sensitive_variables()
    def token_request(self) -> TokenRequest:
        fields = {name: self.settings[name] for name in ("scope", "audience") if self.settings[name]}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        client_id, client_secret = self.secrets["client_id"].reveal(), self.secrets["client_secret"].reveal()
        if self.settings["client_authentication"] == _BODY:
            fields |= {"client_id": client_id, "client_secret": client_secret}
        else:
            headers["Authorization"] = _basic_authorization(client_id, client_secret)
        body = prepare_token_request("client_credentials", **fields)
        made = Request("POST", str(self.settings["token_url"]), headers=headers, data=body)
        request = TokenRequest()
        request.prepare(method=made.method, url=made.url, headers=made.headers, data=made.data)
        return request


@sensitive_variables()
def _basic_authorization(client_id: str, client_secret: str) -> str:
    # Both are form-encoded first, https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1; Authlib leaves that out.
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
