"""The authentication protocols by name."""

from collections.abc import Iterator
from contextlib import contextmanager

from credentials.errors import UnknownProtocol
from credentials.protocols.aws_signature_v4 import AwsSignatureV4
from credentials.protocols.base import AuthenticationProtocol
from credentials.protocols.basic import Basic
from credentials.protocols.custom_headers import CustomHeaders
from credentials.protocols.no_authentication import NoAuthentication
from credentials.protocols.oauth_authorization_code import OAuthAuthorizationCode
from credentials.protocols.oauth_client_credentials import OAuthClientCredentials
from credentials.protocols.oauth_jwt_bearer import OAuthJwtBearer
from credentials.protocols.oauth_token_exchange import OAuthTokenExchange
from credentials.protocols.self_signed_jwt import SelfSignedJwt
from credentials.protocols.webhook_signature import WebhookSignature

__all__ = ["all_protocols", "get_protocol", "register_protocol", "register_protocol_temporarily"]

_protocols: dict[str, type[AuthenticationProtocol]] = {}


def register_protocol(protocol: type[AuthenticationProtocol]) -> None:
    """Add a protocol. Raises `ValueError` when its name is taken or it declares an option twice."""
    if protocol.name in _protocols:
        raise ValueError(f"An authentication protocol named {protocol.name!r} is registered already.")
    names = [option.name for option in protocol.options]
    if len(names) != len(set(names)):
        raise ValueError(f"The authentication protocol {protocol.name!r} declares an option twice.")
    _protocols[protocol.name] = protocol


@contextmanager
def register_protocol_temporarily(protocol: type[AuthenticationProtocol]) -> Iterator[None]:
    """Add a protocol while the block runs (for tests)."""
    register_protocol(protocol)
    try:
        yield
    finally:
        del _protocols[protocol.name]


def get_protocol(name: str) -> type[AuthenticationProtocol]:
    """Return the protocol of that name. Raises `UnknownProtocol`."""
    try:
        return _protocols[name]
    except KeyError:
        raise UnknownProtocol(f"There is no protocol {name!r}; there are: {', '.join(sorted(_protocols))}.") from None


def all_protocols() -> list[type[AuthenticationProtocol]]:
    """Return every protocol, by label."""
    return sorted(_protocols.values(), key=lambda protocol: protocol.label)


for _built_in in (
    NoAuthentication,
    Basic,
    CustomHeaders,
    OAuthClientCredentials,
    OAuthAuthorizationCode,
    OAuthJwtBearer,
    OAuthTokenExchange,
    SelfSignedJwt,
    AwsSignatureV4,
    WebhookSignature,
):
    register_protocol(_built_in)
