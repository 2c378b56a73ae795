"""From the name in `callout:Name/path` to an address and a signature, or a refusal that says what is missing."""

from dataclasses import dataclass, field

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User

from credentials.errors import (
    CredentialDisabled,
    InsecureOrigin,
    PrincipalAccessRefused,
    PrincipalNotConfigured,
    SettingsRefused,
    UnknownNamedCredential,
)
from credentials.models import ExternalCredential, NamedCredential, Principal, PrincipalKind, PrincipalSecret
from credentials.origins import Origin
from credentials.protocols.base import AuthenticationContext, AuthenticationFlow, AuthenticationProtocol
from credentials.protocols.options import SettingValue, cleaned_settings
from credentials.registry import get_protocol
from credentials.secret_store import PrincipalSecrets
from credentials.token_store import DatabaseTokenStore
from isthmus.access import policy
from isthmus.access.policy import AnyUser

__all__ = ["ResolvedCredential", "resolve"]


@dataclass(frozen=True, kw_only=True)
class ResolvedCredential:
    """A named credential that this user may use now."""

    name: str
    origin: Origin
    allow_internal_addresses: bool
    principal_name: str
    """`ExternalCredentialName.PrincipalName`."""
    protocol: type[AuthenticationProtocol]
    _context: AuthenticationContext = field(repr=False)

    def url_for(self, path_and_query: str) -> str:
        """Return the address of `/path?query`. Raises `OutsideOrigin` rather than leave the credential's origin."""
        return self.origin.url_for(path_and_query)

    def authentication(self) -> AuthenticationFlow:
        """Return what signs one request."""
        return self.protocol(self._context)


def resolve(name: str, user: AnyUser) -> ResolvedCredential:
    """Return the named credential `name` as `user` may use it. `None` is nobody, who may use nothing.

    Raises `UnknownNamedCredential`, `CredentialDisabled`, `PrincipalAccessRefused`, `PrincipalNotConfigured`,
    `SettingsRefused` or `InsecureOrigin`.
    """
    named = NamedCredential.objects.with_authentication().filter(name=name).first()
    if named is None:
        raise UnknownNamedCredential(f"There is no named credential {name!r}.")
    if not named.is_enabled:
        raise CredentialDisabled(f"The named credential {name} is switched off. An administrator can enable it.")
    principal = _principal_for(named, user)
    protocol = get_protocol(named.external_credential.protocol)
    settings = _settings_of(named.external_credential, protocol)
    _refuse_plain_http(named, protocol, settings)
    owner = user if principal.kind == PrincipalKind.PER_USER and isinstance(user, get_user_model()) else None
    context = AuthenticationContext(
        settings=settings,
        secrets=_secrets_of(principal, owner, protocol),
        tokens=DatabaseTokenStore(principal, owner),
    )
    return ResolvedCredential(
        name=named.name,
        origin=Origin.parse(named.url),
        allow_internal_addresses=named.allow_internal_addresses,
        principal_name=principal.target,
        protocol=protocol,
        _context=context,
    )


def _principal_for(named: NamedCredential, user: AnyUser) -> Principal:
    """Return the fixed principal, or else the first one that the user may use."""
    if named.principal is not None:
        candidates = [named.principal]
    else:
        principals = Principal.objects.filter(external_credential=named.external_credential)
        candidates = list(principals.select_related("external_credential").in_order_of_choice())
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


def _settings_of(external: ExternalCredential, protocol: type[AuthenticationProtocol]) -> dict[str, SettingValue]:
    try:
        return cleaned_settings(protocol.options, external.settings)
    except SettingsRefused as error:
        message = f"The settings of the external credential {external.name} do not fit: {error.message}"
        raise SettingsRefused(message, fields=error.fields) from None


def _refuse_plain_http(
    named: NamedCredential, protocol: type[AuthenticationProtocol], settings: dict[str, SettingValue]
) -> None:
    """Raise `InsecureOrigin` if secrets would cross a public network in the clear."""
    if named.allow_internal_addresses or not protocol.secret_options():
        return
    endpoints = [str(settings[option.name]) for option in protocol.setting_options() if option.type == "url"]
    if any(url.lower().startswith("http:") for url in (named.url, *endpoints)):
        raise InsecureOrigin(
            f"{named.name} would send secrets over plain http. Use https, or allow internal addresses if the system "
            "is in the house."
        )


def _secrets_of(principal: Principal, owner: User | None, protocol: type[AuthenticationProtocol]) -> PrincipalSecrets:
    needed = protocol.secret_options()
    secrets = PrincipalSecrets(PrincipalSecret.objects.of(principal, owner) if needed else ())
    missing = [option.label for option in needed if option.is_required and option.name not in secrets]
    if missing:
        whose = f" for {owner.get_username()}" if owner else ""
        raise PrincipalNotConfigured(
            f"{principal.target} lacks{whose}: {', '.join(missing)}. Enter it under Principals."
        )
    return secrets
