"""What an authentication protocol is.

`flow(request)` is a generator that its driver (the callouts) runs: it yields a request, the driver sends it and gives
the response back, until the generator ends; the last response is the callout's. A driver that gets no answer throws
its error into the generator; one that will not send a request closes it. Either way no token stays claimed.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from requests import PreparedRequest, Response

from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.tokens import TokenStore
from isthmus.vault.secret import Secret

__all__ = [
    "AuthenticationContext",
    "AuthenticationFlow",
    "AuthenticationProtocol",
    "RequestFlow",
    "TokenRequest",
    "signed_copy",
]

RequestFlow: TypeAlias = Generator[PreparedRequest, Response, None]


class TokenRequest(PreparedRequest):
    """A request to a token endpoint: what it and its answer hold is never logged."""


class AuthenticationFlow(Protocol):
    """What a driver needs to know of a protocol."""

    def flow(self, request: PreparedRequest) -> RequestFlow:
        """Yield the requests that lead to an answer to `request`, which itself stays as it is."""


@dataclass(frozen=True, kw_only=True)
class AuthenticationContext:
    """What a protocol works with."""

    settings: Mapping[str, SettingValue]
    secrets: Mapping[str, Secret]
    tokens: TokenStore


class AuthenticationProtocol(ABC):
    """Base of the protocols. `options` declares everything that can be set."""

    name: ClassVar[str]
    label: ClassVar[str]
    options: ClassVar[Sequence[ProtocolOption]] = ()

    def __init__(self, context: AuthenticationContext) -> None:
        self.settings = context.settings
        self.secrets = context.secrets
        self.tokens = context.tokens

    @abstractmethod
    def flow(self, request: PreparedRequest) -> RequestFlow:
        """See `AuthenticationFlow.flow`."""

    @classmethod
    def secret_options(cls) -> list[ProtocolOption]:
        """The options that are secrets of a principal."""
        return [option for option in cls.options if option.is_sensitive]

    @classmethod
    def setting_options(cls) -> list[ProtocolOption]:
        """The options that are settings of an external credential."""
        return [option for option in cls.options if not option.is_sensitive]


def signed_copy(request: PreparedRequest, authorization: str) -> PreparedRequest:
    """Return a copy with this `Authorization`, so that the caller's own request never holds a secret."""
    signed = request.copy()
    signed.headers["Authorization"] = authorization
    return signed
