"""What an authentication protocol is.

`flow(request)` is a generator that its driver (the callouts) runs: it yields a request, the driver sends it and gives
the response back, until the generator ends; the last response is the callout's. A driver that gets no answer throws
its error into the generator; one that will not send a request closes it. Either way no token stays claimed.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

from requests import PreparedRequest, Response

from credentials.protocols.options import ProtocolOption, SettingValue
from credentials.tokens import TokenStore
from isthmus.vault.secret import Secret

__all__ = [
    "AuthenticationContext",
    "AuthenticationFlow",
    "AuthenticationProtocol",
    "ProviderSettings",
    "RequestFlow",
    "SigningKey",
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
class SigningKey:
    """A certificate of ours with its private key."""

    name: str
    certificate_pem: str
    """The certificate, followed by those that lead to its authority."""
    private_key_pem: Secret
    fingerprint: str
    """SHA-256 of the certificate, in lower-case hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """An identity provider, as protocols see it."""

    name: str
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    """"" where the provider has none."""
    client_id: Secret
    client_authentication: str
    client_secret: Secret | None = None
    signing_key: SigningKey | None = None
    assertion_audience: str = ""


@dataclass(frozen=True, kw_only=True)
class AuthenticationContext:
    """What a protocol works with."""

    settings: Mapping[str, SettingValue]
    secrets: Mapping[str, Secret]
    tokens: TokenStore
    user: Mapping[str, str] = field(default_factory=dict)
    """Whose identity this is at a per-user principal: `username`, `email`, `id`. Empty at others."""
    certificates: Mapping[str, SigningKey] = field(default_factory=dict)
    """What the options of the type `certificate` name, by option."""
    principals: "Mapping[str, AuthenticationProtocol]" = field(default_factory=dict)
    """What the options of the type `principal` name, ready to authenticate, by option."""
    provider: ProviderSettings | None = None


class AuthenticationProtocol(ABC):
    """Base of the protocols. `options` declares everything that can be set."""

    name: ClassVar[str]
    label: ClassVar[str]
    options: ClassVar[Sequence[ProtocolOption]] = ()
    needs_provider: ClassVar[bool] = False
    """Whether its external credential must name an identity provider."""
    is_interactive: ClassVar[bool] = False
    """Whether a person has to consent once before it can be used."""

    def __init__(self, context: AuthenticationContext) -> None:
        self.settings = context.settings
        self.secrets = context.secrets
        self.tokens = context.tokens
        self.user = context.user
        self.certificates = context.certificates
        self.principals = context.principals

    @abstractmethod
    def flow(self, request: PreparedRequest) -> RequestFlow:
        """See `AuthenticationFlow.flow`."""

    @classmethod
    def secret_options(cls, settings: Mapping[str, object]) -> list[ProtocolOption]:
        """The options that are secrets of a principal, under these settings of its external credential."""
        return [option for option in cls.options if option.is_sensitive]

    @classmethod
    def signs_with_certificate(cls) -> bool:
        """Whether a certificate's key takes part."""
        return any(option.type == "certificate" and option.is_required for option in cls.options)

    @classmethod
    def masked_names(cls, settings: Mapping[str, object]) -> frozenset[str]:
        """Names of headers and query parameters that carry secrets and do not look like it, in lower case."""
        return frozenset()

    @classmethod
    def refuse_settings(cls, settings: Mapping[str, SettingValue]) -> None:
        """Raise `SettingsRefused` when options that fit one by one do not fit together."""
        return

    @classmethod
    def setting_options(cls) -> list[ProtocolOption]:
        """The options that are settings of an external credential."""
        return [option for option in cls.options if not option.is_sensitive]


def signed_copy(request: PreparedRequest, authorization: str) -> PreparedRequest:
    """Return a copy with this `Authorization`, so that the caller's own request never holds a secret."""
    signed = request.copy()
    signed.headers["Authorization"] = authorization
    return signed
