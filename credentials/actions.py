"""Setting credentials up. Everything that changes them goes through here: screens, seeds, commands.

`ensure_…` makes what is not there and changes what differs; calling it again changes nothing.
"""

from collections.abc import Mapping
from typing import TypeVar

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.views.decorators.debug import sensitive_variables

from credentials.errors import CredentialInvalid, SecretRefused, SettingsRefused
from credentials.models import (
    ExternalCredential,
    IdentityProvider,
    NamedCredential,
    Principal,
    PrincipalKind,
    PrincipalSecret,
    PrincipalStatus,
    StoredToken,
)
from credentials.protocols.options import ProtocolOption, SettingValue, cleaned_secrets, cleaned_settings
from credentials.registry import get_protocol
from credentials.resolver import effective_settings, with_provider_endpoints
from isthmus import clock
from isthmus.audit import actions as audit
from isthmus.logs import get_logger
from isthmus.vault.errors import SealBroken, UnknownKey
from isthmus.vault.secret import Secret

__all__ = [
    "change_settings",
    "checked_settings",
    "create_external_credential",
    "create_named_credential",
    "create_principal",
    "discard_tokens",
    "ensure_external_credential",
    "ensure_named_credential",
    "ensure_principal",
    "forget_secret",
    "replace_secret",
    "replace_secrets",
    "save_named_credential",
    "saved",
]

log = get_logger(__name__)

_Row = TypeVar("_Row", bound=models.Model)


def create_external_credential(
    name: str,
    *,
    protocol: str,
    label: str = "",
    settings: Mapping[str, object] | None = None,
    identity_provider: IdentityProvider | None = None,
) -> ExternalCredential:
    """Make an external credential. Raises `UnknownProtocol`, `SettingsRefused` or `CredentialInvalid`."""
    cleaned = checked_settings(protocol, settings or {}, identity_provider)
    with transaction.atomic():
        made = saved(
            ExternalCredential(
                name=name, label=label, protocol=protocol, settings=cleaned, identity_provider=identity_provider
            )
        )
        audit.record("credentials.external_credential_made", target=name, details={"protocol": protocol})
    return made


def ensure_external_credential(
    name: str,
    *,
    protocol: str,
    label: str = "",
    settings: Mapping[str, object] | None = None,
    identity_provider: IdentityProvider | None = None,
) -> ExternalCredential:
    """Make the external credential be like this. Raises as `create_external_credential` does.

    The protocol of an existing one stays: its principals' secrets belong to it (`CredentialInvalid`).
    """
    with transaction.atomic():
        found = ExternalCredential.objects.select_for_update().filter(name=name).first()
        if found is None:
            return create_external_credential(
                name, protocol=protocol, label=label, settings=settings, identity_provider=identity_provider
            )
        if found.protocol != protocol:
            raise CredentialInvalid(f"{name} uses {found.protocol}; make another external credential for {protocol}.")
        if found.label != label:
            found.label = label
            saved(found)
        return change_settings(found, settings or {}, identity_provider=identity_provider or found.identity_provider)


def change_settings(
    external_credential: ExternalCredential,
    settings: Mapping[str, object],
    *,
    identity_provider: IdentityProvider | None = None,
) -> ExternalCredential:
    """Replace the settings and the provider; tokens fetched under other ones are dropped. Raises `SettingsRefused`."""
    cleaned = checked_settings(external_credential.protocol, settings, identity_provider)
    with transaction.atomic():
        # Read from the database: a form has put the new provider into the object already.
        before = ExternalCredential.objects.select_for_update().get(pk=external_credential.pk)
        external_credential.settings, external_credential.identity_provider = cleaned, identity_provider
        if cleaned == before.settings and before.identity_provider == identity_provider:
            return external_credential
        changed = sorted(
            name for name in {*cleaned, *before.settings} if cleaned.get(name) != before.settings.get(name)
        )
        external_credential.save(update_fields=["settings", "identity_provider"])
        StoredToken.objects.filter(principal__external_credential=external_credential).delete()
        for principal in external_credential.principals.all():
            _note_configuration(principal)
        audit.record(
            "credentials.external_credential_changed", target=external_credential.name, details={"settings": changed}
        )
    return external_credential


def checked_settings(
    protocol: str, settings: Mapping[str, object], identity_provider: IdentityProvider | None
) -> dict[str, SettingValue]:
    """Return the settings as they are kept, with what the provider gives left open.

    Raises `UnknownProtocol` or `SettingsRefused`.
    """
    known = get_protocol(protocol)
    if known.needs_provider and identity_provider is None:
        raise SettingsRefused(f"{known.label} needs an identity provider.", fields=["identity_provider"])
    filled = with_provider_endpoints(known, settings, identity_provider)
    cleaned = cleaned_settings(known.options, filled, refuse=known.refuse_settings)
    from_provider = {name for name, value in filled.items() if value != settings.get(name)}
    return {name: "" if name in from_provider else value for name, value in cleaned.items()}


@sensitive_variables()
def create_principal(
    external_credential: ExternalCredential,
    name: str,
    *,
    kind: PrincipalKind | str = PrincipalKind.NAMED,
    sequence: int = 1,
    secrets: Mapping[str, str] | None = None,
) -> Principal:
    """Make a principal, with its own secrets if it is a named one. Raises `CredentialInvalid` or `SecretRefused`."""
    with transaction.atomic():
        made = saved(
            Principal(external_credential=external_credential, name=name, kind=PrincipalKind(kind), sequence=sequence)
        )
        if secrets:
            replace_secrets(made, secrets)
        else:
            _note_configuration(made)
        audit.record("credentials.principal_made", target=made.target, details={"kind": str(made.kind)})
    return made


@sensitive_variables()
def ensure_principal(
    external_credential: ExternalCredential,
    name: str,
    *,
    kind: PrincipalKind | str = PrincipalKind.NAMED,
    sequence: int = 1,
    secrets: Mapping[str, str] | None = None,
) -> Principal:
    """Make the principal be like this; secrets that are not mentioned, and those that are the same, stay."""
    with transaction.atomic():
        found = external_credential.principals.select_for_update().filter(name=name).first()
        if found is None:
            return create_principal(external_credential, name, kind=kind, sequence=sequence, secrets=secrets)
        if found.kind != PrincipalKind(kind):
            raise CredentialInvalid(f"{found.target} is of the kind {found.kind}; that does not change.")
        if found.sequence != sequence:
            found.sequence = sequence
            saved(found)
        changed = _changed_secrets(found, secrets or {})
        if changed:
            replace_secrets(found, changed)
    return found


def create_named_credential(
    name: str,
    *,
    url: str,
    external_credential: ExternalCredential,
    principal: Principal | None = None,
    label: str = "",
    is_enabled: bool = True,
    allow_internal_addresses: bool = False,
) -> NamedCredential:
    """Make a named credential. Without `principal` each user's permission sets decide. Raises `CredentialInvalid`."""
    return save_named_credential(
        NamedCredential(
            name=name,
            url=url,
            external_credential=external_credential,
            principal=principal,
            label=label,
            is_enabled=is_enabled,
            allow_internal_addresses=allow_internal_addresses,
        )
    )


def ensure_named_credential(
    name: str,
    *,
    url: str,
    external_credential: ExternalCredential,
    principal: Principal | None = None,
    label: str = "",
    is_enabled: bool = True,
    allow_internal_addresses: bool = False,
) -> NamedCredential:
    """Make the named credential be like this. Raises `CredentialInvalid`."""
    with transaction.atomic():
        found = NamedCredential.objects.select_for_update().filter(name=name).first() or NamedCredential(name=name)
        found.url = url
        found.external_credential = external_credential
        found.principal = principal
        found.label = label
        found.is_enabled = is_enabled
        found.allow_internal_addresses = allow_internal_addresses
        return save_named_credential(found)


_AUDITED = (
    "url", "external_credential_id", "principal_id", "is_enabled", "allow_internal_addresses", "client_certificate_id",
    "ca_bundle", "label",
)  # fmt: skip


def save_named_credential(named: NamedCredential) -> NamedCredential:
    """Save it if it makes sense, and record what changed. Raises `CredentialInvalid`."""
    with transaction.atomic():
        before = NamedCredential.objects.select_for_update().filter(pk=named.pk).first()
        row = saved(named)
        if before is None:
            audit.record("credentials.named_credential_made", target=named.name, details={"url": named.url})
        elif changed := [name for name in _AUDITED if getattr(before, name) != getattr(named, name)]:
            details: dict[str, object] = {"changed": changed}
            if "url" in changed:
                details["url"] = {"before": before.url, "after": named.url}
            audit.record("credentials.named_credential_changed", target=named.name, details=details)
    return row


@sensitive_variables()
def replace_secret(principal: Principal, name: str, value: str, *, user: User | None = None) -> None:
    """Set one secret; see `replace_secrets`."""
    replace_secrets(principal, {name: value}, user=user)


@sensitive_variables()
def replace_secrets(principal: Principal, secrets: Mapping[str, str], *, user: User | None = None) -> None:
    """Set secrets, all or none; the others stay. Tokens fetched with the old ones are dropped.

    `user` is whose they are at a per-user principal, and `None` at a named one. Raises `SecretRefused`.
    """
    _refuse_wrong_owner(principal, user)
    cleaned = cleaned_secrets(_secret_options(principal), secrets)
    with transaction.atomic():
        for name, value in cleaned.items():
            PrincipalSecret.objects.update_or_create(
                principal=principal,
                user=user,
                name=name,
                # Wrapped here: the frames below are Django's, and an error report shows their variables.
                defaults={"value": Secret(value), "set_at": clock.now(), "last_used_at": None},
            )
        discard_tokens(principal, user=user)
        _note_configuration(principal)
        audit.record("credentials.secrets_replaced", target=principal.target, details=_about(sorted(cleaned), user))
    log.info("credentials.secrets_replaced", principal=principal.target, names=sorted(cleaned))


def forget_secret(principal: Principal, name: str, *, user: User | None = None) -> None:
    """Delete one secret and the tokens fetched with it."""
    with transaction.atomic():
        PrincipalSecret.objects.of(principal, user).filter(name=name).delete()
        discard_tokens(principal, user=user)
        _note_configuration(principal)
        audit.record("credentials.secret_forgotten", target=principal.target, details=_about([name], user))
    log.info("credentials.secret_forgotten", principal=principal.target, names=[name])


def discard_tokens(principal: Principal, *, user: User | None = None) -> None:
    """Drop the stored access token, so that the next callout fetches one."""
    StoredToken.objects.filter(principal=principal, user=user, refresh_token=None).delete()
    # A grant that a person gave is not ours to throw away: it ends by disconnecting.
    StoredToken.objects.filter(principal=principal, user=user).update(
        access_token=None, expires_at=None, failure_code="", failure_reason="", failed_at=None
    )


def _about(names: list[str], user: User | None) -> dict[str, object]:
    return {"names": names, **({"user": user.get_username()} if user else {})}


def _secret_options(principal: Principal) -> list[ProtocolOption]:
    external = principal.external_credential
    return get_protocol(external.protocol).secret_options(effective_settings(external))


def saved(row: _Row) -> _Row:
    """Save the row if it is valid. Raises `CredentialInvalid`."""
    try:
        row.full_clean()
    except ValidationError as error:
        raise CredentialInvalid(" ".join(error.messages), fields=tuple(error.message_dict)) from None
    row.save()
    return row


def _refuse_wrong_owner(principal: Principal, user: User | None) -> None:
    if principal.kind == PrincipalKind.ANONYMOUS:
        raise SecretRefused(f"{principal.target} is anonymous: it has no secrets.")
    if principal.kind == PrincipalKind.PER_USER and user is None:
        raise SecretRefused(f"At {principal.target} each user has their own secrets: say whose these are.")
    if principal.kind == PrincipalKind.NAMED and user is not None:
        raise SecretRefused(f"{principal.target} has one set of secrets for everybody, not one for each user.")


@sensitive_variables()
def _changed_secrets(principal: Principal, secrets: Mapping[str, str]) -> dict[str, str]:
    kept = {row.name: row.value for row in PrincipalSecret.objects.of(principal, None)}
    changed = {}
    for name, value in secrets.items():
        try:
            is_same = name in kept and kept[name].matches(value)
        except (UnknownKey, SealBroken):
            is_same = False
        if not is_same:
            changed[name] = value
    return changed


def _note_configuration(principal: Principal) -> None:
    """Set the principal's status from the secrets it has now."""
    external = ExternalCredential.objects.get(pk=principal.external_credential_id)
    protocol = get_protocol(external.protocol)
    required = {option.name for option in protocol.secret_options(external.settings) if option.is_required}
    held: dict[int | None, set[str]] = {}
    for user_id, name in PrincipalSecret.objects.filter(principal=principal).values_list("user_id", "name"):
        held.setdefault(user_id, set()).add(name)
    is_complete = not required or any(required <= names for names in held.values())
    if protocol.is_interactive:
        is_complete = StoredToken.objects.filter(principal=principal, connected_at__isnull=False).exists()
    principal.status = PrincipalStatus.CONFIGURED if is_complete else PrincipalStatus.NOT_CONFIGURED
    principal.status_reason = ""
    principal.status_at = clock.now()
    principal.save(update_fields=["status", "status_reason", "status_at"])
