"""A JWT signed here is the token itself, as Google's service accounts and many in-house systems take it."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables
from requests import PreparedRequest

from credentials.protocols.base import AuthenticationProtocol, RequestFlow, signed_copy
from credentials.protocols.client_authentication import signed_jwt
from credentials.protocols.jwt_claims import CLAIM_OPTIONS, claims_of, refuse_claim_settings
from credentials.protocols.options import SettingValue

__all__ = ["SelfSignedJwt"]


class SelfSignedJwt(AuthenticationProtocol):
    """Signs a token for each request. Its audience is the called origin unless the settings name one."""

    name = "self_signed_jwt"
    label = "Self-signed JWT"
    options = CLAIM_OPTIONS

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        refuse_claim_settings(settings)

    def flow(self, request: PreparedRequest) -> RequestFlow:
        yield self._signed(request)

    # Apart from the generator, whose frames the decorator does not reach.
    @sensitive_variables()
    def _signed(self, request: PreparedRequest) -> PreparedRequest:
        called = urlsplit(str(request.url))
        token = signed_jwt(
            self.certificates["certificate"],
            claims_of(self, audience=f"{called.scheme}://{called.netloc}"),
            lifetime_seconds=int(self.settings["lifetime_seconds"]),
            key_id=str(self.settings["key_id"]),
        )
        return signed_copy(request, f"Bearer {token}")
