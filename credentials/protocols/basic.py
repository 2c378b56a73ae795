"""HTTP Basic: user name and password with every request (https://www.rfc-editor.org/rfc/rfc7617)."""

import base64

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest

from credentials.protocols.base import AuthenticationProtocol, RequestFlow, signed_copy
from credentials.protocols.options import ProtocolOption, SettingValue
from isthmus.vault.secret import Secret

__all__ = ["Basic"]


def _without_colon(username: SettingValue) -> str | None:
    return "A user name holds no colon: it ends where the colon is." if ":" in str(username) else None


class Basic(AuthenticationProtocol):
    """Sends user name and password, encoded as UTF-8."""

    name = "basic"
    label = "User name and password (HTTP Basic)"
    options = (
        ProtocolOption(
            name="username", label="User name", is_required=True, is_sensitive=True, validate=_without_colon
        ),
        ProtocolOption(name="password", label="Password", is_required=True, is_sensitive=True),
    )

    def flow(self, request: PreparedRequest) -> RequestFlow:
        yield signed_copy(request, _authorization(self.secrets["username"], self.secrets["password"]))


@sensitive_variables()
def _authorization(username: Secret, password: Secret) -> str:
    pair = f"{username.reveal()}:{password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
