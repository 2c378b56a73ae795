"""From the name in `callout:Name/path` to an address and a signature, or a refusal that says what is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from credentials import recent_resolutions
from credentials.errors import (
    CredentialDisabled,
    InsecureOrigin,
    PrincipalAccessRefused,
    PrincipalNotConfigured,
    SettingsRefused,
    UnknownNamedCredential,
)
from credentials.models import (
    Certificate,
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
)
from credentials.origins import Origin
from credentials.protocols.base import (
    AuthenticationContext,
    AuthenticationFlow,
    AuthenticationProtocol,
    ProviderSettings,
    SigningKey,
)
from credentials.protocols.options import SettingValue, cleaned_settings
from credentials.registry import get_protocol
from credentials.secret_store import PrincipalSecrets
from credentials.token_store import DatabaseTokenStore
from isthmus.access import policy
from isthmus.access.policy import AnyUser
from isthmus.vault.secret import Secret

__all__ = [
    "ResolvedCredential",
    "effective_settings",
    "protocol_of",
    "resolve",
    "signing_key_of",
    "with_provider_endpoints",
]

_MAXIMUM_DEPTH = 3
"""How many principals may stand behind one another in token exchanges."""


@dataclass(frozen=True, kw_only=True)
class ResolvedCredential:
    """A named credential that this user may use now."""

    name: str
    origin: Origin
    allow_internal_addresses: bool
    principal_name: str
    """`ExternalCredentialName.PrincipalName`."""
    protocol: type[AuthenticationProtocol]
    client_certificate: SigningKey | None = None
    """What is shown to the system in mutual TLS."""
    ca_bundle: str = ""
    """The certificate authorities to trust, as PEM; "" for the public ones."""
    masked_names: frozenset[str] = frozenset()
    """Headers and query parameters, in lower case, that no log may show."""
    _context: AuthenticationContext = field(repr=False)

    def url_for(self, path_and_query: str) -> str:
        """Return the address of `/path?query`. Raises `OutsideOrigin` rather than leave the credential's origin."""
        return self.origin.url_for(path_and_query)

    def authentication(self) -> AuthenticationFlow:
        """Return what signs one request."""
        return self.protocol(self._context)


def resolve(name: str, user: AnyUser) -> ResolvedCredential:
    """Return the named credential `name` as `user` may use it. `None` is nobody, who may use nothing.

    What was read may be up to `ISTHMUS_CREDENTIALS_RESOLUTION_SECONDS` old; this process's own changes count at once.

    Raises `UnknownNamedCredential`, `CredentialDisabled`, `PrincipalAccessRefused`, `PrincipalNotConfigured`,
    `SettingsRefused` or `InsecureOrigin`.
    """
    return recent_resolutions.recalled(name, user, partial(_resolved, name, user))


def _resolved(name: str, user: AnyUser) -> ResolvedCredential:
    named = NamedCredential.objects.with_authentication().filter(name=name).first()
    if named is None:
        raise UnknownNamedCredential(f"There is no named credential {name!r}.")
    if not named.is_enabled:
        raise CredentialDisabled(f"The named credential {name} is switched off. An administrator can enable it.")
    principal = principal_for(named, user)
    protocol = get_protocol(named.external_credential.protocol)
    settings = effective_settings(named.external_credential)
    refuse_plain_http(named, protocol, settings)
    owner = user if principal.kind == PrincipalKind.PER_USER and isinstance(user, get_user_model()) else None
    return ResolvedCredential(
        name=named.name,
        origin=Origin.parse(named.url),
        allow_internal_addresses=named.allow_internal_addresses,
        principal_name=principal.target,
        protocol=protocol,
        client_certificate=signing_key_of(named.client_certificate) if named.client_certificate else None,
        ca_bundle=named.ca_bundle,
        masked_names=protocol.masked_names(settings),
        _context=context_of(principal, owner, settings, user=user, depth=0),
    )


def protocol_of(principal: Principal, owner: User | None) -> AuthenticationProtocol:
    """Return the protocol as it authenticates this principal (`owner`: whose identity, at a per-user one).

    Raises `SettingsRefused` or `PrincipalNotConfigured`.
    """
    settings = effective_settings(principal.external_credential)
    protocol = get_protocol(principal.external_credential.protocol)
    return protocol(context_of(principal, owner, settings, user=owner, depth=0))


def effective_settings(external: ExternalCredential) -> dict[str, SettingValue]:
    """Return the settings with the protocol's defaults and the identity provider's endpoints filled in.

    Raises `SettingsRefused`.
    """
    protocol = get_protocol(external.protocol)
    try:
        return cleaned_settings(
            protocol.options,
            with_provider_endpoints(protocol, external.settings, external.identity_provider),
            refuse=protocol.refuse_settings,
        )
    except SettingsRefused as error:
        message = f"The settings of the external credential {external.name} do not fit: {error.message}"
        raise SettingsRefused(message, fields=error.fields) from None


def with_provider_endpoints(
    protocol: type[AuthenticationProtocol], settings: Mapping[str, object], provider: IdentityProvider | None
) -> dict[str, object]:
    """Return the settings, with the provider's endpoint in the place of each one that is left open."""
    if provider is None:
        return dict(settings)
    ours = {option.name: getattr(provider, option.endpoint) for option in protocol.options if option.endpoint}
    return {**settings, **{name: url for name, url in ours.items() if url and not settings.get(name)}}


def signing_key_of(certificate: Certificate) -> SigningKey:
    """Return the certificate as protocols and TLS use it. Raises `PrincipalNotConfigured` while it is not signed."""
    if not certificate.certificate_pem:
        raise PrincipalNotConfigured(f"The certificate {certificate.name} waits to be signed by its authority.")
    return SigningKey(
        name=certificate.name,
        certificate_pem=certificate.certificate_pem,
        private_key_pem=certificate.private_key,
        fingerprint=certificate.fingerprint,
    )


def context_of(
    principal: Principal, owner: User | None, settings: dict[str, SettingValue], *, user: AnyUser, depth: int
) -> AuthenticationContext:
    """Return what the protocol works with. Raises `SettingsRefused` or `PrincipalNotConfigured`."""
    external = principal.external_credential
    protocol = get_protocol(external.protocol)
    return AuthenticationContext(
        settings=settings,
        secrets=_secrets_of(principal, owner, protocol, settings),
        tokens=DatabaseTokenStore(principal, owner),
        user=_facts_of(owner),
        certificates=_certificates_of(protocol, settings),
        principals=_principals_of(protocol, settings, user=user, depth=depth),
        provider=_provider_settings(external.identity_provider),
    )


def principal_for(named: NamedCredential, user: AnyUser) -> Principal:
    """Return the fixed principal, or else the first one that the user may use.

    Raises `PrincipalAccessRefused` or `PrincipalNotConfigured`.
    """
    if named.principal is not None:
        candidates = [named.principal]
    else:
        principals = Principal.objects.filter(external_credential=named.external_credential)
        candidates = list(
            principals.select_related("external_credential__identity_provider__certificate").in_order_of_choice()
        )
    for principal in candidates:
        if policy.is_granted(user, "principal", "use", principal.target):
            return principal
    if not candidates:
        raise PrincipalNotConfigured(f"The external credential {named.external_credential.name} has no principal yet.")
    who = user.get_username() if isinstance(user, get_user_model()) else "An anonymous caller"
    targets = " or ".join(principal.target for principal in candidates)
    raise PrincipalAccessRefused(
        f"{who} lacks the grant principal.use on {targets}, which {named.name} needs. "
        "An administrator can give it in Set-up, Permission sets."
    )


def refuse_plain_http(
    named: NamedCredential, protocol: type[AuthenticationProtocol], settings: dict[str, SettingValue]
) -> None:
    """Raise `InsecureOrigin` if secrets would cross a public network in the clear."""
    has_secrets = bool(protocol.secret_options(settings)) or protocol.needs_provider or named.client_certificate
    if named.allow_internal_addresses or not (has_secrets or protocol.signs_with_certificate()):
        return
    endpoints = [str(settings[option.name]) for option in protocol.setting_options() if option.type == "url"]
    if any(url.lower().startswith("http:") for url in (named.url, *endpoints)):
        raise InsecureOrigin(
            f"{named.name} would send secrets over plain http. Use https, or allow internal addresses if the system "
            "is in the house."
        )


def _secrets_of(
    principal: Principal,
    owner: User | None,
    protocol: type[AuthenticationProtocol],
    settings: Mapping[str, SettingValue],
) -> PrincipalSecrets:
    needed = protocol.secret_options(settings)
    secrets = PrincipalSecrets(PrincipalSecret.objects.of(principal, owner) if needed else ())
    missing = [option.label for option in needed if option.is_required and option.name not in secrets]
    if missing:
        whose = f" for {owner.get_username()}" if owner else ""
        raise PrincipalNotConfigured(
            f"{principal.target} lacks{whose}: {', '.join(missing)}. Enter it under Principals."
        )
    return secrets


def _certificates_of(
    protocol: type[AuthenticationProtocol], settings: Mapping[str, SettingValue]
) -> dict[str, SigningKey]:
    named = {
        option.name: str(settings[option.name])
        for option in protocol.setting_options()
        if option.type == "certificate" and settings[option.name]
    }
    if not named:
        return {}
    found = {certificate.name: certificate for certificate in Certificate.objects.filter(name__in=named.values())}
    for name in named.values():
        if name not in found:
            raise PrincipalNotConfigured(f"There is no certificate {name!r}. Choose another, or make it.")
    return {option: signing_key_of(found[name]) for option, name in named.items()}


def _principals_of(
    protocol: type[AuthenticationProtocol], settings: Mapping[str, SettingValue], *, user: AnyUser, depth: int
) -> dict[str, AuthenticationProtocol]:
    named = {
        option.name: str(settings[option.name])
        for option in protocol.setting_options()
        if option.type == "principal" and settings[option.name]
    }
    return {option: _other_principal(target, user, depth) for option, target in named.items()}


def _other_principal(target: str, user: AnyUser, depth: int) -> AuthenticationProtocol:
    if depth >= _MAXIMUM_DEPTH:
        raise SettingsRefused("Principals stand behind one another in a circle, or too deep.")
    policy.require(user, "principal", "use", target)
    external_name, _, name = target.partition(".")
    principal = (
        Principal.objects.select_related("external_credential__identity_provider__certificate")
        .filter(external_credential__name=external_name, name=name)
        .first()
    )
    if principal is None:
        raise PrincipalNotConfigured(f"There is no principal {target!r}.")
    owner = user if principal.kind == PrincipalKind.PER_USER and isinstance(user, get_user_model()) else None
    settings = effective_settings(principal.external_credential)
    context = context_of(principal, owner, settings, user=user, depth=depth + 1)
    return get_protocol(principal.external_credential.protocol)(context)


def _provider_settings(provider: IdentityProvider | None) -> ProviderSettings | None:
    if provider is None:
        return None
    secret: Secret | None = provider.client_secret
    return ProviderSettings(
        name=provider.name,
        issuer=provider.issuer,
        authorization_endpoint=provider.authorization_endpoint,
        token_endpoint=provider.token_endpoint,
        revocation_endpoint=provider.revocation_endpoint,
        client_id=Secret(provider.client_id),
        client_authentication=provider.client_authentication,
        client_secret=secret,
        signing_key=signing_key_of(provider.certificate) if provider.certificate else None,
        # Servers come to insist on their issuer: https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/
        assertion_audience=provider.assertion_audience or provider.issuer,
    )


def _facts_of(owner: User | None) -> dict[str, str]:
    return {"username": owner.get_username(), "email": owner.email, "id": str(owner.pk)} if owner else {}
