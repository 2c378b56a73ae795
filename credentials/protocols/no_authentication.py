"""No authentication: for systems that ask for none."""

from requests import PreparedRequest

from credentials.protocols.base import AuthenticationProtocol, RequestFlow

__all__ = ["NoAuthentication"]


class NoAuthentication(AuthenticationProtocol):
    """Sends the request as it is."""

    name = "no_authentication"
    label = "No authentication"

    def flow(self, request: PreparedRequest) -> RequestFlow:
        yield request.copy()
